"""Answers with a promised coverage: conformal sets of one finding, the interval of its probability, limits from a quantile.

A set is label-conditional (Mondrian; Vovk, Gammerman and Shafer 2005, chapter 4): the promise holds for films with a finding and
for films without it, each among themselves. One promise for all films together would be kept for a rare finding by always
answering "absent".
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.records import ConformalCuts, IntervalSteps, OperatingPoint, Said

Floats = npt.NDArray[np.floating[Any]]


def said(confidence: float, cuts: ConformalCuts) -> Said:
    """Return the set of one finding for a confidence, 0–100. Where both answers are excluded, nothing can be said either."""
    present, absent = confidence > cuts.present_above, confidence < cuts.absent_below
    if present == absent:
        return "can't say"
    return "present" if present else "absent"


def interval(confidence: float, steps: IntervalSteps, prevalence: float) -> tuple[float, float]:
    """Return the Venn–Abers probabilities, 0–1, low first, for a confidence 0–100 at a prevalence, 0–1."""
    at = bisect_right(steps.cuts, confidence)
    low, high = (_shift(share, steps.prevalence, prevalence) for share in (steps.low[at], steps.high[at]))
    return low, high


def _shift(share: float, measured: float, wanted: float) -> float:
    """Return a probability at another prevalence, by Bayes; 0 and 1 stay what they are."""
    ill, well = share * wanted / measured, (1 - share) * (1 - wanted) / (1 - measured)
    return ill / (ill + well)


def fit_cuts(confidences: Floats, labels: Floats, promise: float) -> ConformalCuts:
    """Return the cuts for confidences (N,), 0–100, and labels (N,) of 1 and 0 that keep a promise, 0–1.

    "Absent" is excluded where fewer than a share ``1 − promise`` of the films without the finding, the new one counted with them,
    lie as high; "present" likewise from below. With fewer than ``1 / (1 − promise) − 1`` films of a kind nothing is excluded.
    """
    positive = np.asarray(labels) > 0.5
    values = np.asarray(confidences, dtype=np.float64)
    return ConformalCuts(
        absent_below=100 - _above_most(100 - values[positive], 100 - values, promise),
        present_above=_above_most(values[~positive], values, promise),
        positives=int(positive.sum()),
        negatives=int((~positive).sum()),
    )


def _above_most(kind: Floats, values: Floats, promise: float) -> float:
    """Return a cut above all but the allowed share of one kind of film, half-way to the next film of any kind; 100 for none."""
    allowed = math.floor((1 - promise) * (len(kind) + 1) + 1e-9)
    if not allowed:
        return 100.0
    edge = float(np.sort(kind)[-allowed])
    above = values[values > edge]
    return (edge + (float(above.min()) if above.size else 100.0)) / 2


def claim_point(confidences: Floats, labels: Floats, most: float) -> OperatingPoint:
    """Return the cut from which films count as shown by an output that may be wrong on a share ``most`` of the others.

    ``confidences`` (N,), 0–100, and ``labels`` (N,) of 1 and 0. The share is kept as a conformal set keeps its promise.
    """
    cuts = fit_cuts(confidences, labels, 1 - most)
    positive, claimed = np.asarray(labels) > 0.5, np.asarray(confidences, dtype=np.float64) >= cuts.present_above
    sensitivity = float(claimed[positive].mean()) if positive.any() else None
    specificity = float((~claimed[~positive]).mean()) if (~positive).any() else None
    return OperatingPoint(cuts.present_above, sensitivity, specificity, cuts.positives, cuts.negatives)


def limit_of(differences: Floats, share: float) -> float | None:
    """Return what a new film's difference stays within with a probability of at least ``share``; None for too few films."""
    rank = math.ceil(share * (len(differences) + 1) - 1e-9)
    return float(np.sort(np.abs(differences))[rank - 1]) if 0 < rank <= len(differences) else None
