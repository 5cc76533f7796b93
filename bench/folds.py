"""Five-fold cross-validation as one table: what each training's folds reached, each on the patients that it never saw.

    hilum train examples/train_default/mobilenetv2-short.toml --folds 5
    python bench/folds.py runs/mobilenetv2-short > bench/results/folds.md

Reads what ``hilum train --folds`` wrote (``folds/figures.json``). Intervals are 95 %, by bootstrap over the patients of all folds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hilum.findings import OUTPUTS
from hilum.training.folds import CrossValidation, read_figures
from trainings import text


def fold_range(values: list[float]) -> str:
    return f"{min(values):.3f}–{max(values):.3f}"


def rows(figures: CrossValidation) -> dict[str, tuple[str, str]]:
    """Return finding → (out-of-fold AUROC with its interval, smallest and largest of the folds), the mean last."""
    by_finding = {
        name: (text(pooled), fold_range([fold.auroc[name].value for fold in figures.folds if name in fold.auroc]))
        for name in OUTPUTS
        if (pooled := figures.pooled.auroc.get(name)) is not None
    }
    means = [fold.mean_auroc.value for fold in figures.folds if fold.mean_auroc is not None]
    if figures.pooled.mean_auroc is None or not means:
        raise SystemExit("No finding could be judged.")
    mean = (text(figures.pooled.mean_auroc), f"{np.mean(means):.3f} ± {np.std(means, ddof=1):.3f}")
    return by_finding | {"**mean**": mean}


def main(runs: list[Path]) -> None:
    """Print findings × trainings."""
    given = {run.name: read_figures(run) for run in runs}
    tables = {name: rows(figures) for name, figures in given.items()}
    print("| finding | " + " | ".join(f"{name}, out of fold | folds" for name in tables) + " |")
    print("|---" * (1 + 2 * len(tables)) + "|")
    for finding in [*OUTPUTS, "**mean**"]:
        if any(finding in table for table in tables.values()):
            cells = [cell for table in tables.values() for cell in table.get(finding, ("", ""))]
            print(f"| {finding} | {' | '.join(cells)} |")
    films = "; ".join(
        f"{name}: {one.pooled.films:,} of {one.pooled.patients:,} patients" for name, one in given.items()
    )
    print(f"\nFilms judged, each by the network that never saw its patient: {films}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of cross-validated trainings")
    main(parser.parse_args().runs)
