"""How soon the monitor sees a shift, and how often it cries wolf, on streams drawn from films of real patients.

    python bench/drift.py --data data/cxr/labels.csv --holdout splits/holdout.csv --scores runs/drift.npz

Writes bench/results/drift.md and the tables of docs/explanation/drift.md. The films are analyzed once, as they are and as a
detector would change them, and their statistics are kept in ``--scores``; streams are drawn from these, with replacement. Where the
members have changed, the films are analyzed anew. The reference and the films before a shift are drawn from the same films, those
of held-out patients: that is what "no shift" means.

``--page monitor.html`` writes the monitor's page of such a stream; docs/images/monitor.png is

    chromium --headless --hide-scrollbars --window-size=1100,940 --screenshot=docs/images/monitor.png monitor.html
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from hilum.datasets.layouts import open_table
from hilum.datasets.split import read_patients
from hilum.datasets.table import Row, Table
from hilum.images import read_image
from hilum.monitor.detector import FILMS_PER_FALSE_ALARM, Detector
from hilum.monitor.journal import Rows
from hilum.monitor.live import statistics_of
from hilum.monitor.measured import without_heat_maps
from hilum.monitor.page import to_html
from hilum.monitor.power import MOST_FILMS, SHIFTS, quantiles, spoken
from hilum.monitor.statistics import measure, members_of, weights_of
from hilum.monitor.summary import summarise
from hilum.monitor.words import label_of
from hilum.pipeline import Engine, analyze, open_engine

SEED = 20266
REFERENCE = 400
"""Films of a reference; the shipped one has about as many."""
QUIET = 500
"""Films before the shift that are as the reference."""
RUNS = 40
"""Streams for each shift."""
STREAMS, LENGTH = 30, 20_000
"""Quiet streams, and their films."""
MATERIAL = 100
"""Films at most of each changed kind, and of each other source."""
ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "bench" / "results" / "drift.md", ROOT / "docs" / "explanation" / "drift.md"
BEGIN, END = "<!-- drift: written by bench/drift.py -->\n", "<!-- end of drift -->"
Change = Callable[[np.ndarray], np.ndarray]
CHANGES: dict[str, Change] = {
    "gain": lambda film: np.clip(film * 1.1, 0, 1),
    "gamma": lambda film: film**0.85,
    "blur": lambda film: (film + np.roll(film, 1, 0) + np.roll(film, 1, 1) + np.roll(film, (1, 1), (0, 1))) / 4,
}


def analyzed(engine: Engine, table: Table, rows: list[Row], change: Change | None = None) -> np.ndarray:
    """Return films' statistics, N×K."""
    names, found = statistics_of(engine), []
    for row in rows:
        image = read_image(table.root / row.image)
        if change is not None:
            image = replace(image, pixels=np.asarray(change(image.pixels), dtype=np.float32))
        values = measure(image, analyze(image, engine))
        found.append([values.get(name, np.nan) for name in names])
    return np.array(found, dtype=np.float32)


def score(engine: Engine, table: Table, patients: set[str]) -> dict[str, np.ndarray]:
    """Return the statistics of all material, with what the streams are drawn by."""
    rng = np.random.default_rng(SEED)
    own = [
        row
        for row in table.rows
        if row.patient in patients and row.source.startswith("nih") and (row.original_width or 0) >= 1024
    ]
    some = [own[index] for index in rng.permutation(len(own))[:MATERIAL]]
    found = {"films": analyzed(engine, table, own)}
    for name, change in CHANGES.items():
        found[name] = analyzed(engine, table, some, change)
    for source in ("kermany", "hannover"):
        rows = [row for row in table.rows if row.source == source]
        found[source] = analyzed(engine, table, [rows[index] for index in rng.permutation(len(rows))[:MATERIAL]])
    found["ap"] = np.array([row.view == "AP" for row in own])
    found["effusion"] = np.array([(row.labels or {}).get("Effusion") == 1 for row in own])
    found["normal"] = np.array([(row.labels or {}).get("Normal") == 1 for row in own])
    found["weights"] = np.array(weights_of(members_of(engine.provenance)))
    return found


def mixed(found: dict[str, np.ndarray], flag: str, share: float) -> np.ndarray:
    """Return each film's chance to be drawn so that this share of the stream has a flag."""
    flagged = found[flag]
    return np.where(flagged, share / flagged.sum(), (1 - share) / (~flagged).sum())


def kept(path: Path, engine: Engine) -> dict[str, np.ndarray] | None:
    """Return the statistics that an earlier run kept, where they are of these members."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        found = {name: stored[name] for name in stored.files}
    return found if str(found["weights"]) == weights_of(members_of(engine.provenance)) else None


def put(text: str) -> None:
    """Write the results, and put them into the page."""
    RESULTS.write_text(text, "utf-8")
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")


def shifts(found: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Yield what happens, the films that are drawn from then on, and their chances."""
    films = found["films"]
    yield "detector's gain + 10 %", found["gain"], None
    yield "gamma 0.85", found["gamma"], None
    yield "blurred by one pixel", found["blur"], None
    for name, flag, words in (("effusion", "effusion", "films with effusion"), ("normal", "normal", "normal films")):
        share = float(found[flag].mean())
        for factor, said in ((2.0, "twice"), (0.5, "half")):
            if name == "effusion" or factor < 1:
                yield (
                    f"{said} as many {words} ({share:.0%} → {share * factor:.0%})",
                    films,
                    mixed(found, flag, share * factor),
                )
    share = float(found["ap"].mean())
    for to in (0.75, 1.0):
        yield f"AP in place of PA ({share:.0%} → {to:.0%} AP)", films, mixed(found, "ap", to)
    for part in (0.05, 0.15):
        both = np.concatenate([films, found["kermany"]])
        chances = np.r_[
            np.full(len(films), (1 - part) / len(films)), np.full(len(found["kermany"]), part / len(found["kermany"]))
        ]
        yield f"{part:.0%} children", both, chances
    yield "another hospital (`hannover`)", found["hannover"], None


def line(what: str, names: tuple[str, ...], films: np.ndarray, after: np.ndarray, chances: np.ndarray | None) -> str:
    """Return a row of the table of shifts."""
    rng = np.random.default_rng(SEED)
    waits: list[float] = []
    firsts: dict[str, int] = {}
    for _ in range(RUNS):
        detector = Detector(names, films[rng.integers(len(films), size=REFERENCE)])
        detector.follow(films[rng.integers(len(films), size=QUIET)])
        alarms, taken = [], 0
        while not alarms and taken < MOST_FILMS:
            _, alarms = detector.follow(after[rng.choice(len(after), size=250, p=chances)])
            taken += 250
        waits.append(alarms[0].film - QUIET + 1 if alarms else float("inf"))
        if alarms:
            firsts[alarms[0].statistic] = firsts.get(alarms[0].statistic, 0) + 1
    median, most = np.quantile(waits, [0.5, 0.9], method="inverted_cdf")
    seen = np.isfinite(waits).mean()
    first = ", ".join(
        f"{label_of(name).title} {count / RUNS:.0%}"
        for name, count in sorted(firsts.items(), key=lambda one: -one[1])[:3]
    )
    return f"| {what} | {spoken(median)} | {spoken(most)} | {seen:.0%} | {first} |"


def page(names: tuple[str, ...], found: dict[str, np.ndarray]) -> bytes:
    """Return the page of 900 films, thirty a day, and 300 after them of another gamma."""
    rng = np.random.default_rng(3)
    films, after = found["films"], found["gamma"]
    known = films[rng.integers(len(films), size=REFERENCE)]
    values = np.concatenate([films[rng.integers(len(films), size=900)], after[rng.integers(len(after), size=300)]])
    days = tuple((date(2026, 3, 2) + timedelta(days=film // 30)).isoformat() for film in range(len(values)))
    rows = Rows(str(found["weights"]), names, days[:1] * REFERENCE + days, np.concatenate([known, values]))
    return to_html(summarise(rows, None, REFERENCE))


def quiet(names: tuple[str, ...], films: np.ndarray) -> tuple[int, int]:
    """Return alarms in streams that nothing happens in, and the streams' films."""
    rng = np.random.default_rng(SEED + 1)
    alarms = 0
    for _ in range(STREAMS):
        detector = Detector(names, films[rng.integers(len(films), size=REFERENCE)])
        alarms += len(detector.follow(films[rng.integers(len(films), size=LENGTH)])[1])
    return alarms, STREAMS * LENGTH


def lines(names: tuple[str, ...], found: dict[str, np.ndarray]) -> Iterator[str]:
    """Yield the tables."""
    films = found["films"]
    yield f"| what happens | films until it is seen, median | 90 % | seen within {MOST_FILMS:,} films | what gave the alarm |"
    yield "|---|---|---|---|---|"
    for what, after, chances in shifts(found):
        yield line(what, names, films, after, chances)
    alarms, total = quiet(names, films)
    yield (
        f"\nNo shift: {alarms} false alarms in {total:,} films, {alarms / total * 100_000:.2f} per 100,000. "
        f"The proof promises at most {100_000 / FILMS_PER_FALSE_ALARM:g}."
    )
    yield (
        f"\n{RUNS} streams a row: a reference of {REFERENCE} films, {QUIET} films like it, then the shift. "
        f"{len(names)} statistics of {len(films)} films; members {found['weights']}."
    )
    yield (
        "\n| shift of one statistic, in standard deviations | "
        + " | ".join(f"reference of {n:,}" for n in REFERENCES)
        + " |"
    )
    yield "|---|" + "---|" * len(REFERENCES)
    for shift in SHIFTS:
        cells = (quantiles(count, len(names), shift) for count in REFERENCES)
        yield f"| {shift:g} | " + " | ".join(f"{spoken(a)} ({spoken(b)})" for a, b in cells) + " |"
    yield "\nFilms until it is seen, median (90 %), by simulation from the first film on."


REFERENCES = (400, 2_000, 10_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--holdout", type=Path, required=True)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    opened = without_heat_maps(open_engine(given.models, threads=1))
    material = kept(given.scores, opened)
    if material is None:
        material = score(opened, open_table(given.data), set(read_patients(given.holdout)))
        np.savez_compressed(given.scores, **material)
    if given.page is not None:
        given.page.write_bytes(page(statistics_of(opened), material))
    written = []
    for text in lines(statistics_of(opened), material):
        print(text, flush=True)
        written.append(text + "\n")
    put("".join(written))
