"""What the five confidence levels hold, on labelled films: by the film's top finding, as in docs/explanation/models.md.

    python bench/bands.py --data data/cxr/labels.csv --patients splits/holdout.csv --min-original-width 1024

For each level: its share of the films, the share of those that show any of the assessed findings, and the share that
show the very finding that leads. Films on which the ensemble can't say have a line of their own. A finding whose label is
unknown counts as absent, so the shares are lower bounds.
"""

from __future__ import annotations

import numpy as np

from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.findings import NORMAL
from hilum.levels import LEVELS, NO_READING, level
from scored import scores_asked_for


def bands(scores: Scores) -> list[str]:
    """Return the lines of a Markdown table."""
    columns = [index for index, name in enumerate(scores.names) if name != NORMAL]
    confidences = scores.confidences[ENSEMBLE][:, columns]
    labels = np.nan_to_num(scores.labels[:, columns]) == 1
    top = confidences.argmax(axis=1)
    bands = [level(round(float(value), 1)) for value in confidences.max(axis=1)]
    levels = np.where(said(scores), bands, NO_READING)
    shown = labels[np.arange(len(top)), top]
    lines = ["| level | films | with any finding | with the leading finding |", "|---|---|---|---|"]
    for name in (*(name for _, name, _ in LEVELS), NO_READING):
        inside = levels == name
        share = f"{inside.mean():.0%}"
        known = (
            (f"{labels[inside].any(axis=1).mean():.0%}", f"{shown[inside].mean():.0%}") if inside.any() else ("–", "–")
        )
        lines.append(f"| {name} | {share} ({inside.sum()}) | {known[0]} | {known[1]} |")
    return lines


def said(scores: Scores) -> np.ndarray:
    """Return for each film whether a set is "present" or Normal is claimed; all, where nothing was fitted."""
    if scores.uncertainty is None:
        return np.ones(len(scores.patients), dtype=bool)
    says = np.zeros(len(scores.patients), dtype=bool)
    for at, name in enumerate(scores.names):
        confidences, cuts = scores.confidences[ENSEMBLE][:, at], scores.uncertainty.sets.get(name)
        if name == NORMAL and name in scores.points[ENSEMBLE]:
            says |= confidences >= scores.points[ENSEMBLE][name]["youden"].threshold
        elif name != NORMAL and cuts is not None:
            says |= confidences > cuts.present_above
    return says


if __name__ == "__main__":
    print("\n".join(bands(scores_asked_for(__doc__))))
