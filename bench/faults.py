"""What is lost when things go wrong: the real service, node and watch, with the weights that ship, killed, starved and beset.

    python bench/faults.py

Needs Linux, root (it mounts small disks) and libfaketime (Debian: faketime). Prints a table of what was tried, what must hold, what
was seen, how many films were lost and how many answers were wrong, and ends with 1 where either is not 0. ``--only`` runs the
scenarios whose name has that in it.
"""

from __future__ import annotations

import argparse
import datetime
import random
import sys
import tempfile
import traceback
from pathlib import Path

import faults_http
import faults_node
from faults_http import Row
from serving import machine, table


def report(rows: list[Row], only: str, seed: int, about: str) -> tuple[str, int]:
    """Return the table as Markdown, and how many films were lost or answers wrong."""
    lost, wrong = sum(row.lost for row in rows), sum(row.wrong for row in rows)
    date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    command = " ".join(["python bench/faults.py", *([f"--only {only}"] if only else []), f"--seed {seed}"])
    text = "\n\n".join(
        [
            f"`{command}`, {date}, {about}.",
            f"**{len(rows)} faults: {lost} films lost, {wrong} answers wrong.**",
            table(
                ("fault", "tried", "what must hold", "seen", "lost", "wrong"),
                [(row.fault, row.tried, row.must, row.seen, row.lost, row.wrong) for row in rows],
            ),
        ]
    )
    return text, lost + wrong


def main() -> int:
    """Run, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a scenario's name; several are separated by commas")
    parser.add_argument("--seed", type=int, default=1, help="of what is random")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    random.seed(given.seed)
    about = machine()
    rows: list[Row] = []
    for scenario in (*faults_http.SCENARIOS, *faults_node.SCENARIOS):
        if not any(part in scenario.__name__ for part in given.only.split(",")):
            continue
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                new = scenario(Path(folder))
            except Exception:  # noqa: BLE001 - a scenario that breaks is a line of the table
                traceback.print_exc()
                new = [Row(scenario.__name__, "", "", "the scenario itself broke", 1, 0)]
        rows += new
        if given.out:  # after each one, so that what was seen stays if a later one is stopped
            given.out.write_text(report(rows, given.only, given.seed, about)[0] + "\n", "utf-8")
        for row in new:
            print(f"{row.fault}: {row.seen} (lost {row.lost}, wrong {row.wrong})", flush=True)
    text, bad = report(rows, given.only, given.seed, about)
    print(text)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
