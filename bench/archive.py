"""What the parts of reading an archive cost on real films, and what that means for machines that are not here.

    python bench/archive.py data/films > bench/results/archive.md

Takes films evenly from a folder, as they are, and as a detector would have given them: 2500 × 2048, 12 bits, noise, DICOM in
lossless JPEG 2000, which archives often hold and which is seldom at hand. Measures in one run, film by film: fetching the bytes,
decoding, the networks with all around them, and the rows as Parquet; for each shard, writing it and giving it out over Dask.
Then whole runs, with one process and with as many as there are processors. Seconds of parts are of the processor, which depend
little on what else the machine does; those of whole runs, of fetching and of writing are of the clock. A discrete-event
simulation draws from the costs of single films, for more cores and storages than are here. Needs hilum[archive,dask]; Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import onnxruntime
import pyarrow
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from decode import SIZE, encoded, film
from hilum.cli.analyze import SUFFIXES
from hilum.cli.archive import processors
from hilum.cluster.plan import SCHEMA, SHARD_FILMS, Plan, basis_of
from hilum.cluster.processes import on_processes
from hilum.cluster.run import run
from hilum.cluster.shard import Part
from hilum.cluster.source import Film, Source, find_source, list_films, read_film
from hilum.cluster.store import listing_of, opened
from hilum.images import ENOUGH, apart, read_image
from hilum.pipeline import Engine, analyze, open_engine
from hilum.report import csv_rows, to_parquet

LATENCY = 0.02
"""Seconds from asking a storage to its first byte, assumed: object storages answer in some tens of milliseconds."""
SHARDS = 1
"""Shards a core in the simulation. A longer run goes on at the same pace, and the end, when some cores wait, weighs less."""
SEED = 1
TASKS = 200
ARCHIVES = (
    ("a clinic, a year", 10_000, 2, 1e8),
    ("a hospital, a year", 100_000, 8, 1e8),
    ("a hospital, twenty years", 2_000_000, 32, 1e9),
    ("a national archive, a year", 10_000_000, 256, 1e9),
    ("a national archive, twenty years", 200_000_000, 1024, 1e10),
)
"""Name, films, cores, bytes a second of the storage: assumed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one film costs."""

    size: int
    """Bytes."""
    decode: float
    """Seconds of one core, as the next."""
    score: float
    table: float


def spent() -> float:
    """Return the seconds of processor that this process, and the one that decodes DICOM for it, have taken."""
    others = sum(int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) for pid in apart.waiting())
    return time.process_time() + others / 1e9


@contextmanager
def measured(into: list[float]) -> Iterator[None]:
    begun = spent()
    yield
    into.append(spent() - begun)


def measure(source: Source, films: list[Film], engine: Engine) -> tuple[list[Cost], float, bytes]:
    """Return the costs of films, the median seconds of fetching one, and the rows of all as Parquet."""
    decode: list[float] = []
    score: list[float] = []
    fetch, rows = [], []
    for one in films:
        begun = time.perf_counter()
        data = read_film(source, one)
        fetch.append(time.perf_counter() - begun)
        with measured(decode):
            image = read_image(data, enough=ENOUGH)
        with measured(score):
            analysis = analyze(image, engine)
        rows.append(csv_rows(one.name, analysis))
    table: list[float] = []
    with measured(table):
        parquet = to_parquet([row for some in rows for row in some])
    share = table[0] / len(films)
    costs = [Cost(one.size or 0, *both, share) for one, *both in zip(films, decode, score, strict=True)]
    return costs, statistics.median(fetch), parquet


def whole(source: Source, films: list[Film], engine: Engine, workers: int, folder: Path) -> float:
    """Return the seconds that a whole run over these films takes, with so many processes."""
    listing = listing_of(films)
    digest = hashlib.sha256(listing).hexdigest()
    plan = Plan(SCHEMA, basis_of(engine, source.url), len(films), max(1, len(films) // 12), digest)
    with opened(folder) as store:
        store.begin(plan, listing)
        begun = time.perf_counter()
        assert run(plan, store, on_processes(source, engine, workers), Event(), lambda _: None)
        return time.perf_counter() - begun


def writing(table: bytes, folder: Path) -> float:
    """Return the median seconds of writing a shard's rows, to the disk."""
    seconds = []
    with opened(folder) as store:
        for shard in range(20):
            begun = time.perf_counter()
            store.keep(shard, table)
            seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def dispatching(films: list[Film], table: bytes) -> float:
    """Return the processor seconds, of scheduler, client and worker, that giving out a shard and taking its rows cost Dask."""
    from distributed import Client, LocalCluster

    part = Part(0, 0, tuple((films * SHARD_FILMS)[:SHARD_FILMS]))
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.submit(_rows, part, len(table), pure=False).result()
        begun = time.process_time()
        waiting = [client.submit(_rows, part, len(table), pure=False) for _ in range(TASKS)]
        for future in waiting:
            assert len(future.result()) == len(table)
        return (time.process_time() - begun) / TASKS


def _rows(part: Part, size: int) -> bytes:
    assert part.films
    return bytes(size)


def simulate(costs: list[Cost], cores: int, storage: float, dispatch: float) -> tuple[float, float]:
    """Return films a second, and the share of the time that cores compute.

    Each core takes shards from one dispatcher, which serves one after the other. Of each film it waits for LATENCY and for the
    bytes, which one storage of ``storage`` bytes a second sends one film after the other; then it computes. Films are drawn from
    those measured.
    """
    left = max(12, SHARDS * cores)
    drawn = iter(np.random.default_rng(SEED).integers(len(costs), size=left * SHARD_FILMS).tolist())
    sizes = [cost.size / storage for cost in costs]
    seconds = [cost.decode + cost.score + cost.table for cost in costs]
    dispatcher = sending = busy = end = 0.0
    done = 0
    events = [(0.0, core, 0) for core in range(cores)]
    while events:
        now, core, films = heapq.heappop(events)
        if films:
            film = next(drawn)
            sending = max(now, sending) + sizes[film]
            end = sending + LATENCY + seconds[film]
            busy += seconds[film]
            done += 1
            heapq.heappush(events, (end, core, films - 1))
        elif left:
            left -= 1
            dispatcher = max(now, dispatcher) + dispatch
            heapq.heappush(events, (dispatcher, core, SHARD_FILMS))
        else:
            end = max(end, now)
    return done / end, busy / (end * cores)


def enlarge(source: Source, films: list[Film], folder: Path) -> tuple[Source, list[Film]]:
    """Write films as a detector would have given them, and return where they are."""
    noise = np.random.default_rng(SEED)
    for number, one in enumerate(films):
        pixels = Image.fromarray(read_image(read_film(source, one)).pixels).resize(SIZE, Image.Resampling.BICUBIC)
        stored = np.asarray(pixels) * 3950 + noise.normal(0, 8, SIZE[::-1])
        dataset = film()
        dataset.PixelData = np.clip(stored, 0, 4095).astype(np.uint16).tobytes()
        (folder / f"{number:04d}.dcm").write_bytes(encoded(dataset, JPEG2000Lossless))
    made = find_source(str(folder))
    return made, list_films(made, SUFFIXES)


def main(folder: str, count: int, large: int) -> None:
    """Print the report."""
    begun = time.perf_counter()
    source = find_source(folder)
    found = list_films(source, SUFFIXES)
    listing = (time.perf_counter() - begun) / len(found)
    films = found[:: max(1, len(found) // count)][:count]
    engine = open_engine(threads=1)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch, "films")
        made.mkdir()
        place, enlarged = enlarge(source, films[:: max(1, count // large)][:large], made)
        measure(place, enlarged[:1], engine)  # what the first films set up
        given = measure(source, films, engine)
        costs, fetch, _ = measure(place, enlarged, engine)
        workers = sorted({1, processors()})
        runs = {one: len(enlarged) / whole(place, enlarged, engine, one, Path(scratch, str(one))) for one in workers}
        shard = given[2] * (SHARD_FILMS // len(films) + 1)
        write = writing(shard, Path(scratch, "write"))
    dispatch = dispatching(films, shard)
    print("# What an archive costs\n")
    print(f"Written by `python bench/archive.py FOLDER --films {count} --large {large} > bench/results/archive.md`.\n")
    print(f"{platform.machine()}, {processors()} processors, Python {platform.python_version()},", end=" ")
    print(f"onnxruntime {onnxruntime.__version__}, pyarrow {pyarrow.__version__}.\n")
    print_costs(
        {f"as given, from {len(found):,}": given[:2], "as of a detector": (costs, fetch)}, listing, write, dispatch
    )
    stored = len(given[2]) / len(films)
    print(f"Results: {stored:,.0f} bytes of Parquet a film. What follows is of films as of a detector.\n")
    print_runs(runs, 1 / mean(costs))
    print_simulation(costs, dispatch + write)
    print_archives(costs, dispatch + write, stored)


def mean(costs: list[Cost]) -> float:
    """Return the seconds of one core that a film takes."""
    return statistics.fmean(cost.decode + cost.score + cost.table for cost in costs)


def print_costs(forms: dict[str, tuple[list[Cost], float]], listing: float, write: float, dispatch: float) -> None:
    """Print what each part costs."""
    print("| films | how many | MB | fetch | decode | score | rows | a film, on one core | films a second of a core |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (costs, fetch) in forms.items():
        parts = [statistics.median(getattr(cost, part) for cost in costs) for part in ("decode", "score", "table")]
        cells = " | ".join(f"{1000 * part:.1f}" for part in (fetch, *parts))
        size = statistics.fmean(cost.size for cost in costs) / 1e6
        print(
            f"| {name} | {len(costs)} | {size:.2f} | {cells} | **{1000 * mean(costs):.0f}** | **{1 / mean(costs):.1f}** |"
        )
    print(
        "\nMilliseconds. Fetch: by the clock, median, from a local folder that the system has in its cache. Decode, score,"
    )
    print("rows: of one core, median; the film's: mean.\n")
    print(f"Listing a local folder: {1000 * listing:.2f} ms a file, by the clock. A shard of {SHARD_FILMS} films:")
    print(
        f"{1000 * write:.1f} ms to write to this disk, by the clock; {1000 * dispatch:.1f} ms of one core to give out by Dask,"
    )
    print("scheduler, client and worker together.\n")


def print_runs(runs: dict[int, float], rate: float) -> None:
    """Print how whole runs went here."""
    print("## Whole runs here\n\n| processes | films a second, by the clock | by the parts' costs |\n|---|---|---|")
    for workers, reached in runs.items():
        print(f"| {workers} | {reached:.1f} | {workers * rate:.1f} |")
    print("\nBetween the columns lies what else the machine did meanwhile.\n")


def print_simulation(costs: list[Cost], dispatch: float) -> None:
    """Print how cores and storages go together."""
    storages = {"100 MB/s": 1e8, "1 GB/s": 1e9, "10 GB/s": 1e10}
    print(
        "## Simulated\n\nFilms a second, and the share of the time that cores compute. Columns: what the storage gives to all cores"
    )
    print(f"together. Assumed: {1000 * LATENCY:.0f} ms from asking for a film to its first byte. Measured: all else.\n")
    print(f"| cores | {' | '.join(storages)} |\n|---|---|---|---|")
    for cores in (2, 16, 64, 256, 1024):
        cells = [simulate(costs, cores, storage, dispatch) for storage in storages.values()]
        print(f"| {cores:,} | {' | '.join(f'{rate:,.0f} ({100 * share:.0f} %)' for rate, share in cells)} |")
    print()


def print_archives(costs: list[Cost], dispatch: float, stored: float) -> None:
    """Print what whole archives take."""
    size = statistics.fmean(cost.size for cost in costs)
    print(
        "## From a clinic to a nation\n\nHours are simulated, for the cores and the storage named. Numbers of films are assumed.\n"
    )
    print(
        "| archive | films | core-hours | cores | storage | hours | to fetch | results |\n|---|---|---|---|---|---|---|---|"
    )
    for name, films, cores, storage in ARCHIVES:
        rate, _ = simulate(costs, cores, storage, dispatch)
        print(
            f"| {name} | {films:,} | {films * mean(costs) / 3600:,.1f} | {cores:,} | {storage / 1e6:,.0f} MB/s "
            f"| {films / rate / 3600:,.1f} | {films * size / 1e9:,.0f} GB | {films * stored / 1e9:,.2f} GB |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--films", type=int, default=32)
    parser.add_argument("--large", type=int, default=16)
    given = parser.parse_args()
    main(given.folder, given.films, given.large)
