"""How often each member counts in the ensemble's mean, chosen on validation patients.

Members start with one vote each. As in ensemble selection (Caruana et al. 2004), the vote that lifts the mean AUROC most is added,
again and again; but only while it lifts it enough, since the smallest differences among a few hundred patients are chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hilum.evaluation.bootstrap import Floats
from hilum.evaluation.metrics import auroc
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.evaluation.uncertainty import log_odds

LEAST_GAIN = 0.001
"""Of mean AUROC, that a further vote must bring."""


def choose_votes(validation: Scores) -> dict[str, int]:
    """Return member of the ensemble → votes, at least 1."""
    votes = dict.fromkeys(validation.together, 1)
    reached = _mean_auroc(validation, votes)
    while len(votes) > 1:
        tried = {who: _mean_auroc(validation, votes | {who: votes[who] + 1}) for who in votes}
        best = max(tried, key=lambda who: tried[who])
        if not tried[best] >= reached + LEAST_GAIN:  # nor where nothing can be judged, and both are NaN
            break
        votes[best] += 1
        reached = tried[best]
    return votes


def with_votes(scores: Scores, votes: Mapping[str, int]) -> Scores:
    """Return the scores with the ensemble's confidences, and evidence before any calibration of its own, by these votes."""
    confidences = _together(scores, votes)
    raw = [~np.isnan(scores.confidences[who]) & np.isnan(scores.evidence[who]) for who in votes]
    evidence = np.where(np.any(raw, axis=0), np.nan, log_odds(confidences))
    return replace(
        scores,
        confidences={**scores.confidences, ENSEMBLE: confidences.astype(np.float32)},
        evidence={**scores.evidence, ENSEMBLE: evidence.astype(np.float32)},
    )


def _together(scores: Scores, votes: Mapping[str, int]) -> Floats:
    """Return the mean confidences (N×K) by these votes; NaN where no member of the ensemble assesses."""
    total, count = np.zeros(scores.labels.shape), np.zeros(scores.labels.shape)
    for who, own in votes.items():
        given = scores.confidences[who].astype(np.float64)
        total += own * np.nan_to_num(given)
        count += own * ~np.isnan(given)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def _mean_auroc(scores: Scores, votes: Mapping[str, int]) -> float:
    """Return the ensemble's mean AUROC by these votes, over what can be judged; NaN where nothing can."""
    areas = [auroc(confidences, labels) for _, confidences, labels in with_votes(scores, votes).judged()]
    return float(np.mean(areas)) if areas else float("nan")
