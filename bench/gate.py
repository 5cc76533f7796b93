"""How often the gate is right, on films of patients and on pictures of sources that it never saw.

    python bench/gate.py --data data/cxr/labels.csv --holdout splits/holdout.csv --others data/gate/table.csv

``right``: films accepted; other pictures refused, or set right or warned of where that is what is done about them.
Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from hilum import gate
from hilum.datasets.layouts import open_table
from hilum.datasets.split import read_patients
from hilum.datasets.table import Table
from hilum.images import read_image
from hilum.pipeline import Engine, admit, analyze, open_engine
from hilum.records import Radiograph, Source, Verdict
from hilum.training.gate import SEED, read_pictures
from hilum.training.spoil import SPOILERS

Right = Callable[[Verdict], bool]
SEVERAL = {
    "photograph": {"not_a_radiograph", "not_chest", "unusual_aspect", "near_constant"},
    "other_modality": {"not_chest", "not_a_radiograph", "unusual_aspect"},
    "several_images": {"several_images", "unusual_aspect"},
    "cropped": {"cropped", "unusual_aspect"},
    "underexposed": {"underexposed", "near_constant"},
}
"""Kinds for which a neighbouring reason is right as well: a CT slice is no radiograph either, and two films are too wide."""


def picture(pixels: np.ndarray) -> Radiograph:
    """Return pixels as what a PNG of them would be read as."""
    rows, columns = pixels.shape
    return Radiograph(np.asarray(pixels, dtype=np.float32), Source("PNG", columns, rows, 8, "00" * 32))


def named(kind: str) -> Right:
    """Return whether a verdict gives the reason that a kind calls for, be it to refuse, to warn or to set right."""
    codes = SEVERAL.get(kind, {gate.KINDS[kind][0]})
    return lambda verdict: bool(codes & {reason.code for reason in verdict.reasons})


def handled(verdict: Verdict, kind: str) -> bool:
    """Return whether a picture was refused, or set right or warned of where that is what is done about its kind."""
    code = gate.KINDS[kind][0]
    mild = code in gate.CORRECTED or getattr(gate.DEFAULT_SCOPE, code) == "warn"
    return not verdict.accepted or (mild and named(kind)(verdict))


def row(what: str, engine: Engine, pictures: Iterable[Radiograph], kind: str | None) -> str:
    """Return a line of the table."""
    verdicts = [admit(one, engine).verdict for one in pictures]
    right = [verdict.accepted if kind is None else handled(verdict, kind) for verdict in verdicts]
    reasons = "" if kind is None else f"{np.mean([named(kind)(verdict) for verdict in verdicts]):.1%}"
    low, high = wilson(sum(right), len(right))
    return f"| {what} | {len(right)} | {np.mean(right):.1%} ({low:.1%}–{high:.1%}) | {reasons} |"


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def lines(engine: Engine, films: Table, others: Path, spoiled: int) -> Iterator[str]:
    """Yield the table."""
    holdout = [row for row in films.rows if row.source.startswith("nih") and (row.original_width or 0) >= 1024]
    adults = [row for row in holdout if row.age is None or row.age >= 18]
    pixels = [read_image(films.root / row.image).pixels for row in adults]
    yield "| material | pictures | right (95 %) | with the right reason |\n|---|---|---|---|"
    yield row("adults' films, unseen patients", engine, map(picture, pixels), None)
    rng = np.random.default_rng(SEED + 1)
    some = [pixels[index] for index in rng.permutation(len(pixels))[:spoiled]]
    for kind, spoil in SPOILERS.items():
        yield row(f"the same, {kind.replace('_', ' ')}", engine, (picture(spoil(one, rng)) for one in some), kind)
    tested = [one for one in read_pictures(others) if one.split == "test"]
    for kind, source in dict.fromkeys((one.kind, one.source) for one in tested):
        chosen = [one for one in tested if (one.kind, one.source) == (kind, source)]
        picked = [chosen[index] for index in rng.permutation(len(chosen))[:300]]
        yield row(f"{kind.replace('_', ' ')}: {source}", engine, (read_image(one.path) for one in picked), kind)


def cost(engine: Engine, films: Table) -> str:
    """Return what the gate adds to an analysis."""
    image = read_image(films.root / films.rows[0].image)
    member = next(member for member in engine.members if member.appearance is not None)
    scored = admit(image, engine).scored[member.name]
    from hilum.appearance import look

    ratios = []
    for _ in range(20):
        start = time.perf_counter()
        analyze(image, engine)
        middle = time.perf_counter()
        gate.judge_look(
            gate.judge(image, engine.scope), look(scored.features, image.pixels, member.appearance), engine.scope
        )
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return f"The gate takes {np.median(ratios):.1%} of an analysis (median of {len(ratios)})."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--holdout", type=Path, required=True)
    parser.add_argument("--others", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--spoiled", type=int, default=200)
    given = parser.parse_args()
    opened = open_engine(given.models)
    everything = open_table(given.data)
    kept = everything.of_patients(read_patients(given.holdout))
    for line in lines(opened, kept, given.others, given.spoiled):
        print(line, flush=True)
    unseen = everything.where(lambda one: one.source == "hannover")
    print(row("another hospital: hannover", opened, (read_image(unseen.root / one.image) for one in unseen.rows), None))
    print("\n" + cost(opened, kept))
