"""Spoil files of every kind that hilum reads, for as long as one likes, and say what came of it.

    python bench/fuzz.py --minutes 10

The inputs are those of ``tests/fuzzing.py``, from a number on that differs each time or is given. Each parser has its share of the
time, in a process of its own with a limit on memory, which is watched: a process that dies is a crash, one that computes for more
than HANG seconds at one input a hang, any exception that is not hilum's an error, and a message that repeats what stands in the
file is counted as well. What broke something is written to ``--keep``, to become a file of ``tests/golden/fuzzing``. Linux only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import select
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from serving import machine, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzzing import PARSERS, attempt, spoilt

HANG = 20.0
"""Seconds of computing, or six times as many by the clock."""
MEMORY = 2 << 30
"""Address space that a parser may take beyond what the process has at the start."""


@dataclass
class Tally:
    """What came of one parser's inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    found: list[tuple[str, int, str]] = field(default_factory=list)
    """Kind, number, what it was."""
    peak: float = 0.0
    slowest: float = 0.0


def child(name: str, first: int, seconds: float) -> None:
    """Try inputs from ``first`` on, and say on standard output what came of each."""
    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end = time.monotonic() + seconds
    number = first
    while time.monotonic() < end:
        said.write(json.dumps({"begun": number}) + "\n")
        data = spoilt(name, number)
        begun = time.process_time()
        try:
            outcome, what = attempt(name, data), ""
        except AssertionError as error:
            outcome, what = "said", str(error)
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            outcome, what = "error", f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        said.write(
            json.dumps({"outcome": outcome, "what": what, "seconds": time.process_time() - begun, "peak": peak}) + "\n"
        )
        number += 1


def computed(pid: int) -> float:
    """Return how many seconds a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(name: str, first: int, seconds: float) -> Tally:
    """Fuzz one parser, in as many processes as that takes."""
    tally, end, number = Tally(), time.monotonic() + seconds, first
    while (left := end - time.monotonic()) > 0:
        command = [sys.executable, __file__, "--child", name, "--first", str(number), "--seconds", str(left)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        number = watch(process, number, tally) + 1
    return tally


def watch(process: subprocess.Popen[bytes], first: int, tally: Tally) -> int:
    """Note what a process says until it ends; return the number of the last input that it began."""
    assert process.stdout is not None
    number, open_input, since, spent, buffer = first - 1, False, time.monotonic(), 0.0, b""
    while True:
        if select.select([process.stdout], [], [], 1.0)[0]:
            part = os.read(process.stdout.fileno(), 2**16)
            if not part:
                break
            *lines, buffer = (buffer + part).split(b"\n")
            for line in lines:
                said = json.loads(line)
                since, spent = time.monotonic(), computed(process.pid) if process.poll() is None else 0.0
                if "begun" in said:
                    number, open_input = said["begun"], True
                else:
                    open_input = False
                    tally.outcomes[said["outcome"]] += 1
                    tally.peak, tally.slowest = max(tally.peak, said["peak"]), max(tally.slowest, said["seconds"])
                    if said["outcome"] in ("error", "said"):
                        tally.found.append((said["outcome"], number, said["what"]))
        elif open_input and (computed(process.pid) - spent > HANG or time.monotonic() - since > 6 * HANG):
            process.kill()
            process.wait()
            tally.outcomes["hang"] += 1
            tally.found.append(("hang", number, f"more than {HANG:g} s"))
            return number
    ended = process.wait()
    if open_input or (ended and number < first):
        tally.outcomes["crash"] += 1
        tally.found.append(("crash", number, f"ended with {ended}"))
    return number


def main() -> int:
    """Fuzz, print the table and write it; return 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--first", type=int, default=time.time_ns() // 10**9 * 10**6, help="number of the first input")
    parser.add_argument("--only", help="one parser")
    parser.add_argument("--keep", type=Path, help="folder for inputs that broke something")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    about = machine()
    if given.child:
        child(given.child, given.first, given.seconds)
        return 0
    names = [given.only] if given.only else list(PARSERS)
    rows: list[tuple[object, ...]] = []
    found = total = 0
    for name in names:
        tally = run(name, given.first, 60 * given.minutes / len(names))
        bad = [tally.outcomes[kind] for kind in ("crash", "hang", "error", "said")]
        tried = sum(tally.outcomes.values())
        found, total = found + sum(bad), total + tried
        refused = tried - tally.outcomes["read"] - sum(bad)
        rows.append(
            (
                name,
                f"{tried:,}",
                f"{tally.outcomes['read']:,}",
                f"{refused:,}",
                *bad,
                f"{tally.peak:.0f}",
                f"{tally.slowest:.1f}",
            )
        )
        for kind, number, what in {what: (kind, number, what) for kind, number, what in tally.found}.values():
            print(f"{name}: {kind} at input {number}: {what}", flush=True)
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                (given.keep / f"{name.replace(' ', '_')}-{number}.bin").write_bytes(spoilt(name, number))
    head = (
        "parser",
        "inputs",
        "read",
        "refused",
        "crashes",
        "hangs",
        "other errors",
        "messages that repeat",
        "peak, MiB",
        "slowest, s",
    )
    date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    text = "\n\n".join(
        [
            f"`python bench/fuzz.py --minutes {given.minutes:g} --first {given.first}`, {date}, {about}.",
            f"**{total:,} inputs, {found} of them broke something.**",
            table(head, rows),
        ]
    )
    print(text)
    if given.out:
        given.out.write_text(text + "\n", "utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
