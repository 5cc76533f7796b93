"""One side of the race, in a process and an environment of its own, which does a job each time it is told to.

    python -m bench.speed.contender SIDE FOLDER

A side is a module ``SIDE_side`` of this folder with ``jobs(folder)``: name → what is timed. It loads what a job needs when the job
first runs, so that a process that has just been started and does one job is a cold start.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

Jobs = Mapping[str, Callable[[], Any]]


def main() -> None:
    """Answer requests, a line of JSON each, until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    jobs: Jobs = import_module(f"bench.speed.{sys.argv[1]}_side").jobs(Path(sys.argv[2]))
    for line in sys.stdin:
        request = json.loads(line)
        seconds = []
        for _ in range(request["times"]):
            begun = perf_counter()
            value = jobs[request["job"]]()
            seconds.append(perf_counter() - begun)
        answer = {"seconds": seconds, "value": value, "peak_mib": peak_mib()}
        print(json.dumps(answer), file=answers, flush=True)


def peak_mib() -> float:
    """Return the most memory that this process has had resident."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
