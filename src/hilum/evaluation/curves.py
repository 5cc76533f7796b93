"""What plots are drawn of: ROC, precision-recall and reliability, thinned to what an eye can tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilum.evaluation.bootstrap import Floats
from hilum.evaluation.calibration import Bin, reliability
from hilum.evaluation.judge import Answers

Point = tuple[float, float]
MOST_POINTS = 120


@dataclass(frozen=True, slots=True)
class Curves:
    """The curves of one output."""

    roc: tuple[Point, ...]
    """1 − specificity and sensitivity, from (0, 0) to (1, 1)."""
    precision_recall: tuple[Point, ...]
    """Recall and precision, from the highest score down."""
    reliability: tuple[Bin, ...]
    """Empty for a member that is not calibrated."""


def draw_curves(answers: Answers) -> Curves:
    """Return the curves of one output's answers; both classes must be there."""
    ill, well = cumulated(answers)
    recall, false = ill / ill[-1], well / well[-1]
    precision = ill[1:] / (ill[1:] + well[1:])
    bins = () if answers.evidence is None else reliability(answers.evidence, answers.labels, answers.draws)
    return Curves(_thin(false, recall), _thin(recall[1:], precision), bins)


def cumulated(answers: Answers) -> tuple[Floats, Floats]:
    """Return how many films with and without the finding lie at or above each score, from none to all.

    Films that share a score enter together.
    """
    order = np.argsort(-answers.confidences.astype(np.float64), kind="stable")
    ordered, positive = answers.confidences[order], answers.labels[order] > 0.5
    last = np.r_[np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1]
    ill, everyone = np.cumsum(positive)[last], last + 1
    return np.r_[0.0, ill], np.r_[0.0, everyone - ill]


def _thin(x: Floats, y: Floats) -> tuple[Point, ...]:
    """Return a curve's corners; of very many, those nearest to equal steps along it."""
    straight = np.zeros(len(x), dtype=bool)
    rises, runs = np.diff(y), np.diff(x)
    straight[1:-1] = np.isclose(rises[1:] * runs[:-1], rises[:-1] * runs[1:], rtol=0, atol=1e-15)
    x, y = x[~straight], y[~straight]
    if len(x) > MOST_POINTS:
        along = np.r_[0, np.cumsum(np.hypot(np.diff(x), np.diff(y)))]
        kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], MOST_POINTS)).clip(0, len(x) - 1))
        x, y = x[kept], y[kept]
    return tuple(zip(np.round(x, 4).tolist(), np.round(y, 4).tolist(), strict=True))
