"""Steady load for a long time: does anything grow, does any answer change, is any request lost?

    python bench/soak.py --minutes 30

Starts the service with the weights that ship and sends it sound, broken, huge and hostile films at a steady rate, by 1, 2, 4 and 8
clients in turn, over and over: ten rounds. It measures the resident memory of the service and of the processes that decode, open
descriptors, threads, processes and temporary files on the way. A line is fitted to the means of the rounds, the first two left out;
growth is its slope with a 95 % interval. Ends with 1 where something grows, is lost or is wrong. Linux only.
"""

from __future__ import annotations

import argparse
import datetime
import queue
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np

from serving import Film, Service, bad_films, children, good_films, machine, post, serving, table

CLIENTS = (1, 2, 4, 8)
ROUNDS = 10
WARM = 2
"""Rounds that are left out of the fit."""
STUDENT = 2.447
"""97.5 % quantile of Student's t at 6 degrees of freedom."""
GROWTH = {"RSS of the service, MiB": 0.02, "RSS of decoding processes, MiB": 0.02}
"""Share of the mean that the run may at least have grown by before it counts as growth; of counts, half of one."""


@dataclass
class Run:
    """What happened."""

    begun: float = field(default_factory=time.monotonic)
    samples: list[tuple[int, float, dict[str, float]]] = field(default_factory=list)
    """Round, seconds since the start, what was measured."""
    latencies: dict[int, list[float]] = field(default_factory=lambda: {clients: [] for clients in CLIENTS})
    kinds: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(kind of film, expected, seen) → how often."""
    contents: dict[str, set[str]] = field(default_factory=dict)
    timeline: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, seconds that the answer took; of sound films."""


def measure(service: Service, folder: Path) -> dict[str, float]:
    """Return what the service takes now."""
    pids = [service.process.pid, *children(service.process.pid)]
    status = {
        pid: Path(f"/proc/{pid}/status").read_text("ascii") for pid in pids if Path(f"/proc/{pid}/status").exists()
    }

    def kib(pid: int) -> float:
        return float(status[pid].partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status[pid] else 0.0

    own = service.process.pid
    return {
        "RSS of the service, MiB": kib(own) / 1024,
        "RSS of decoding processes, MiB": sum(kib(pid) for pid in status if pid != own) / 1024,
        "descriptors": float(len(list(Path(f"/proc/{own}/fd").iterdir()))),
        "threads": float(status[own].partition("Threads:")[2].split()[0]),
        "processes": float(len(status)),
        "temporary files": float(sum(1 for path in folder.rglob("*") if path.suffix != ".log")),
    }


def client(service: Service, jobs: queue.Queue[tuple[Film, int] | None], run: Run, lock: threading.Lock) -> None:
    """Send films until there are no more; a busy service is asked again, as its answer says."""
    with service.client() as http:
        while (job := jobs.get()) is not None:
            film, clients = job
            outcome = post(http, film)
            with lock:
                run.kinds[film.kind, film.expected, outcome.said] += 1
                run.contents.setdefault(film.kind, set()).add(outcome.content)
                if film.expected == "answer" and "huge" not in film.kind:
                    run.latencies[clients].append(outcome.seconds)
                    run.timeline.append((time.monotonic() - run.begun, outcome.seconds))


def load(service: Service, folder: Path, minutes: float, rate: float) -> Run:
    """Send films at ``rate`` a second for so long, and measure on the way."""
    good, bad = cycle(good_films()), cycle(bad_films())
    run, lock = Run(), threading.Lock()
    every = 60 * minutes / ROUNDS / len(CLIENTS)
    # Bad ones are a quarter of all.
    films = (next(bad) if number == 3 else next(good) for number in cycle(range(4)))
    for place, clients in enumerate(CLIENTS * ROUNDS):
        jobs: queue.Queue[tuple[Film, int] | None] = queue.Queue(maxsize=clients)
        threads = [threading.Thread(target=client, args=(service, jobs, run, lock)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        due = time.monotonic()
        due_sample = 0.0
        while (elapsed := time.monotonic() - run.begun) < (place + 1) * every:
            if elapsed >= due_sample:
                run.samples.append((place // len(CLIENTS), elapsed, measure(service, folder)))
                due_sample = elapsed + min(5.0, every / 4)
            # Where the clients are slower than the rate, they are what limits it.
            jobs.put((next(films), clients))
            due = max(due + 1 / rate, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
        for _ in threads:
            jobs.put(None)
        for thread in threads:
            thread.join()
    return run


def fit(run: Run, name: str) -> tuple[float, float, float, float]:
    """Return the mean of a quantity, its slope an hour, half of the slope's 95 % interval, and the hours between the ends."""
    rounds = [
        np.mean([(at / 3600, values[name]) for number, at, values in run.samples if number == wanted], axis=0)
        for wanted in sorted({number for number, _, _ in run.samples} - set(range(WARM)))
    ]
    x, y = np.array(rounds).T
    centred = x - x.mean()
    slope = float((centred * (y - y.mean())).sum() / (centred**2).sum())
    rest = y - y.mean() - slope * centred
    error = float(np.sqrt((rest**2).sum() / (len(x) - 2) / (centred**2).sum()))
    return float(y.mean()), slope, STUDENT * error, float(x[-1] - x[0])


def warm_up(service: Service) -> None:
    """Send each film from as many threads as there will be clients, so that what is kept for the next film is there."""

    def send(films: list[Film]) -> None:
        with service.client() as http:
            for film in films:
                post(http, film)

    films = [*good_films(), *bad_films()]
    threads = [threading.Thread(target=send, args=(films[place:] + films[:place],)) for place in range(CLIENTS[-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def growth_table(run: Run) -> tuple[str, list[str]]:
    """Return the table of what was measured, and what of it grows."""
    rows: list[tuple[object, ...]] = []
    grown = []
    for name in run.samples[0][2]:
        mean, slope, half, hours = fit(run, name)
        allowed = GROWTH[name] * mean if name in GROWTH else 0.5
        if (slope - half) * hours > allowed:
            grown.append(name)
        first, last = (
            np.mean([values[name] for number, _, values in run.samples if number == wanted])
            for wanted in (WARM, ROUNDS - 1)
        )
        hourly = f"{slope:+.1f} ({slope - half:+.1f} to {slope + half:+.1f})"
        rows.append((name, f"{first:.1f}", f"{last:.1f}", hourly, "grows" if name in grown else "no"))
    return table(("quantity", "mean of round 3", "mean of round 10", "growth an hour (95 %)", "grows"), rows), grown


def latency_table(run: Run) -> str:
    """Return the table of latencies of sound films, by clients and over time."""
    rows: list[tuple[object, ...]] = []
    for clients, seconds in run.latencies.items():
        shares = np.percentile(seconds, [50, 95, 99]) if seconds else [np.nan] * 3
        rows.append(
            (f"{clients} client{'s' * (clients > 1)}", len(seconds), *(f"{1000 * share:.0f}" for share in shares))
        )
    last = max(at for at, _ in run.timeline)
    for part in range(6):
        seconds = [took for at, took in run.timeline if part * last / 6 <= at <= (part + 1) * last / 6]
        shares = np.percentile(seconds, [50, 95, 99]) if seconds else [np.nan] * 3
        rows.append((f"sixth {part + 1} of the time", len(seconds), *(f"{1000 * share:.0f}" for share in shares)))
    return table(("sound films", "requests", "p50, ms", "p95, ms", "p99, ms"), rows)


def films_table(run: Run) -> tuple[str, int, int]:
    """Return the table of films by kind, how many requests were lost and how many answers were wrong."""
    rows: list[tuple[object, ...]] = []
    lost = sum(count for (_, _, seen), count in run.kinds.items() if seen == "lost")
    wrong = sum(count for (_, expected, seen), count in run.kinds.items() if seen not in (expected, "lost"))
    wrong += sum(len(contents) - 1 for contents in run.contents.values())
    for group in ("JPEG", "PNG", "TIFF", "DICOM", "broken", "huge", "bomb"):
        counted = {key: count for key, count in run.kinds.items() if key[0].startswith(group)}
        as_expected = sum(count for (_, expected, seen), count in counted.items() if expected == seen)
        rows.append((group, sum(counted.values()), as_expected))
    return table(("films", "requests", "answered as they must be"), rows), lost, wrong


def main() -> int:
    """Run, print and write the tables; return 1 where something grows, is lost or is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=4, help="requests a second, at most")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder, HILUM_LOG_LEVEL="warning") as service:
            warm_up(service)
            run = load(service, folder, given.minutes, given.rate)
    growth, grown = growth_table(run)
    films, lost, wrong = films_table(run)
    seen = sum(run.kinds.values())
    text = "\n\n".join(
        [
            f"`python bench/soak.py --minutes {given.minutes:g} --rate {given.rate:g}`, "
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {about}.",
            f"**{seen:,} requests in {run.samples[-1][1] / 60:.1f} minutes: {lost} lost, {wrong} wrong; "
            f"{'nothing grows' if not grown else 'grown: ' + ', '.join(grown)}.**",
            growth,
            films,
            latency_table(run),
        ]
    )
    print(text)
    if given.out:
        given.out.write_text(text + "\n", "utf-8")
    return 1 if lost or wrong or grown else 0


if __name__ == "__main__":
    sys.exit(main())
