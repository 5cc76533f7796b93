"""Starting sides, telling them what to do, and taking turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

ROOT = Path(__file__).parents[2]
REST = 0.05
"""Seconds between two turns: threads of the side before may still spin."""
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "KMP_BLOCKTIME")
"""Variables that would keep a side from using the processors; a machine may have them set."""


def environment() -> dict[str, str]:
    """Return the environment of every side: as a user's, without limits on threads."""
    kept = {name: value for name, value in os.environ.items() if name not in LIMITS and not name.startswith("HILUM_")}
    return kept | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}


class Side:
    """A process that does jobs."""

    def __init__(self, python: Path, name: str, folder: Path) -> None:
        command = [str(python), "-m", "bench.speed.contender", name, str(folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment(), text=True, **pipes)

    def ask(self, job: str, times: int = 1) -> dict[str, Any]:
        """Return ``seconds`` of each time, the last time's ``value`` and ``peak_mib``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"job": job, "times": times}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"a side ended at the job {job}: python -m bench.speed.contender shows why")
        return dict(json.loads(answer))

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def open_sides(pythons: Mapping[str, Path], folder: Path) -> Iterator[dict[str, Side]]:
    """Start a process for each side, and end them."""
    sides = {name: Side(python, name, folder) for name, python in pythons.items()}
    try:
        yield sides
    finally:
        for side in sides.values():
            side.close()


Samples = dict[tuple[str, str], list[float]]
"""Side and job → milliseconds, one of each round."""


def take_turns(sides: Mapping[str, Side], runners: Sequence[tuple[str, str]], rounds: int) -> Samples:
    """Let each side do its job once a round. The first round only warms up."""
    samples: Samples = {runner: [] for runner in runners}
    for number in range(rounds + 1):
        for side, job in runners if number % 2 else reversed(runners):
            sleep(REST)
            (seconds,) = sides[side].ask(job)["seconds"]
            if number:
                samples[side, job].append(1000 * seconds)
    return samples


def cold_start(python: Path, name: str, folder: Path, job: str) -> tuple[float, float]:
    """Return milliseconds from starting a process to its first answer, and the most memory it had, MiB."""
    begun = perf_counter()
    side = Side(python, name, folder)
    try:
        peak = side.ask(job)["peak_mib"]
        return 1000 * (perf_counter() - begun), peak
    finally:
        side.close()


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the quartiles around it."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Spread(middle, low, high)


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """Return how many times as long they take, round by round."""
    return spread([their / our for their, our in zip(theirs, ours, strict=True)])
