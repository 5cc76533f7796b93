"""Figures of one output's scores against its labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.records import Array


def auroc(scores: Array, labels: Array, weights: npt.NDArray[np.int64] | None = None) -> float:
    """Return the area under the ROC curve of scores (N,) for labels (N,) of 1 and 0; NaN where one class is missing.

    It is the share of pairs of a positive and a negative film that are ordered rightly, ties counting half.
    ``weights`` (N,): how often each film counts, as a bootstrap draws it.
    """
    order = np.argsort(scores, kind="stable")
    ordered = np.asarray(scores)[order]
    count = np.ones(len(order)) if weights is None else np.asarray(weights, dtype=np.float64)[order]
    positive = np.asarray(labels)[order] > 0.5
    ill, well = count * positive, count * ~positive
    pairs = ill.sum() * well.sum()
    if not pairs:
        return float("nan")
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ill_at, well_at = np.add.reduceat(ill, starts), np.add.reduceat(well, starts)
    below = np.cumsum(well_at) - well_at
    return float((ill_at * (below + well_at / 2)).sum() / pairs)
