"""What the five confidence levels hold, on labelled films: by the film's top finding, as in docs/explanation/models.md.

    python bench/bands.py --data data/cxr/labels.csv --patients splits/holdout.csv --min-original-width 1024

For each level: its share of the films, the share of those that show any of the assessed findings, and the share that
show the very finding that leads. A finding whose label is unknown counts as absent, so the shares are lower bounds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hilum.cli.labelled import score_patients
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.findings import NORMAL
from hilum.levels import LEVELS, level
from hilum.pipeline import open_engine


def bands(scores: Scores) -> list[str]:
    """Return the lines of a Markdown table."""
    columns = [index for index, name in enumerate(scores.names) if name != NORMAL]
    confidences = scores.confidences[ENSEMBLE][:, columns]
    labels = np.nan_to_num(scores.labels[:, columns]) == 1
    top = confidences.argmax(axis=1)
    levels = np.array([level(round(float(value), 1)) for value in confidences.max(axis=1)])
    shown = labels[np.arange(len(top)), top]
    lines = ["| level | films | with any finding | with the leading finding |", "|---|---|---|---|"]
    for _, name, _ in LEVELS:
        inside = levels == name
        share = f"{inside.mean():.0%}"
        known = (
            (f"{labels[inside].any(axis=1).mean():.0%}", f"{shown[inside].mean():.0%}") if inside.any() else ("–", "–")
        )
        lines.append(f"| {name} | {share} ({inside.sum()}) | {known[0]} | {known[1]} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--patients", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--min-original-width", type=int, default=0)
    given = parser.parse_args()
    engine = open_engine(given.models)
    print("\n".join(bands(score_patients(engine, given.data, given.patients, given.min_original_width))))
