"""How well one output's scores order films, and what a cut on them gives, for one or for many weightings at once.

``weights`` (draws × N) say how often each film counts, as a bootstrap draws it; every function gives a value for each draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hilum.evaluation.bootstrap import Floats
from hilum.records import Array


def auroc(scores: Array, labels: Array, weights: Floats | None = None) -> float:
    """Return the area under the ROC curve of scores (N,) for labels (N,) of 1 and 0; NaN where one class is missing.

    It is the share of pairs of a positive and a negative film that are ordered rightly, ties counting half.
    ``weights`` (N,): how often each film counts.
    """
    one = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    return float(ranking_areas(scores, labels, one[np.newaxis])[0, 0])


def ranking_areas(scores: Array, labels: Array, weights: Floats) -> Floats:
    """Return draws × 2: the areas under the ROC curve and under the precision-recall curve; NaN where a class is missing.

    The second is average precision: each recall's gain times the precision there, nothing drawn in between.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    ordered, positive = np.asarray(scores)[order], np.asarray(labels)[order] > 0.5
    if not positive.any():
        return np.full((len(weights), 2), np.nan)
    # Only equal scores that hold a positive film add to either area; they enter together.
    group = np.cumsum(np.r_[True, ordered[1:] != ordered[:-1]]) - 1
    with_ill = np.unique(group[positive])
    starts, ends = np.searchsorted(group, with_ill), np.searchsorted(group, with_ill, side="right")
    everyone = np.cumsum(weights[:, order], axis=1)
    before, after = np.where(starts > 0, everyone[:, starts - 1], 0), everyone[:, ends - 1]
    ill = np.cumsum(weights[:, order[positive]], axis=1)
    ill = ill[:, np.searchsorted(group[positive], with_ill, side="right") - 1]
    gained = np.diff(ill, axis=1, prepend=0)
    positives, total = ill[:, -1:].sum(axis=1), everyone[:, -1]
    negatives = total - positives
    well_before, well_after = before - (ill - gained), after - ill
    with np.errstate(invalid="ignore", divide="ignore"):
        share = gained / positives[:, np.newaxis]
        roc = 1 - (share * (well_before + well_after)).sum(axis=1) / (2 * negatives)
        precision_recall = (share * np.divide(ill, after, out=np.zeros_like(ill), where=after > 0)).sum(axis=1)
    areas = np.stack([roc, precision_recall], axis=1)
    areas[(positives == 0) | (negatives == 0)] = np.nan
    return np.asarray(areas)


def rates(confidences: Array, labels: Array, thresholds: Sequence[float], weights: Floats) -> Floats:
    """Return draws × 2T: sensitivity, then specificity, of "positive at or above" each of T thresholds.

    NaN where a class is missing.
    """
    positive = (np.asarray(labels) > 0.5)[:, np.newaxis]
    above = np.asarray(confidences, dtype=np.float64)[:, np.newaxis] >= np.asarray(thresholds)
    kinds = np.hstack([positive & above, ~positive & ~above, positive, ~positive]).astype(weights.dtype)
    counts = weights @ kinds
    right, (ill, well) = counts[:, :-2], (counts[:, -2:-1], counts[:, -1:])
    middle = len(thresholds)
    with np.errstate(invalid="ignore"):
        return np.hstack([right[:, :middle] / ill, right[:, middle:] / well])
