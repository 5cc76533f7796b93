"""Are promises kept? Coverage of the sets, the error that abstaining leaves, Normal's miss rate, what a flag tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hilum.evaluation.bootstrap import Draws, Floats
from hilum.evaluation.coverage import Coverage, GroupCoverage, Mask, coverage_of, groups_of, sets_of, share_of
from hilum.evaluation.curves import Point
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.evaluation.uncertainty import log_odds, shared_differences
from hilum.findings import NORMAL
from hilum.records import Interval, Uncertainty

TOLERANCE = 0.02
"""How far pooled coverage may lie from the promise."""
MOST_POINTS = 60
FEWEST = 10
"""Films that a curve begins with: the error of fewer means nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What abstaining is worth. A film's answer is "a listed finding" or "none", and is wrong where its labels say otherwise."""

    films: int
    answered: Interval
    """Share of films that get a recommendation."""
    wrong: Interval | None
    """Share of those whose answer is wrong."""
    wrong_of_all: Interval
    """The same, had every film been answered."""
    curve: tuple[Point, ...]
    """Share answered, and share wrong among those; the surest films first."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What a cross-check's flag tells, over answers to the findings that the verifying member shares."""

    films: Interval
    """Share of films with a flag."""
    wrong_flagged: Interval | None
    """Share of flagged answers on the wrong side of their operating point."""
    wrong_others: Interval | None


@dataclass(frozen=True, slots=True)
class Promises:
    """What became of all that the ensemble promises."""

    promise: float
    pooled: Coverage
    kept: bool
    """Whether pooled coverage lies within 0.02 of the promise."""
    findings: Mapping[str, Coverage]
    groups: tuple[GroupCoverage, ...]
    curves: Mapping[str, tuple[Point, ...]]
    """Finding → share answered and share wrong among those; the films furthest from the operating point first."""
    normal_most: float | None
    """The miss rate that Normal's operating point was chosen for."""
    normal_missed: Interval | None
    """Share of films with a listed finding that are called normal."""
    reading: Reading | None
    flags: Flags | None


def judge_promises(scores: Scores, draws: Draws, policy: str) -> Promises | None:
    """Return what became of the ensemble's promises; None where it makes none, or no label can tell.

    ``policy``: whose operating points decide what counts as an error.
    """
    known = scores.uncertainty
    if known is None or ENSEMBLE not in scores.confidences:
        return None
    sets = sets_of(scores, known)
    if not sets.judged.any():
        return None
    every = np.ones(len(scores.patients), dtype=bool)
    pooled = coverage_of(sets, known.promise, every, slice(None), draws)
    missed = None if known.normal is None else _missed(scores, policy)
    return Promises(
        promise=known.promise,
        pooled=pooled,
        kept=abs(pooled.covered.value - known.promise) <= TOLERANCE,
        findings={
            name: coverage_of(sets, known.promise, every, slice(at, at + 1), draws, known.sets[name])
            for at, name in enumerate(scores.names)
            if sets.judged[:, at].any()
        },
        groups=tuple(groups_of(scores, sets, known.promise, draws)),
        curves={name: curve for name in scores.names if (curve := _finding_curve(scores, name, policy))},
        normal_most=None if known.normal is None else known.normal.most,
        normal_missed=None if missed is None else share_of(*missed, draws),
        reading=_reading(scores, known, draws, policy),
        flags=_flags(scores, known, draws, policy),
    )


def _curve(certainty: Floats, wrong: Mask) -> tuple[Point, ...]:
    """Return share answered and share wrong among those, from the surest ten films to all, thinned."""
    order = np.argsort(-certainty, kind="stable")
    answered = np.arange(1, len(order) + 1)
    errors = np.cumsum(wrong[order]) / answered
    if len(order) < FEWEST:
        return ()
    kept = np.unique(np.linspace(FEWEST - 1, len(order) - 1, MOST_POINTS).astype(int))
    shares = np.round(answered[kept] / len(order), 4)
    return tuple(zip(shares.tolist(), np.round(errors[kept], 4).tolist(), strict=True))


def _cut(scores: Scores, name: str, policy: str) -> float | None:
    point = scores.points.get(ENSEMBLE, {}).get(name, {}).get(policy)
    return None if point is None else point.threshold


def _finding_curve(scores: Scores, name: str, policy: str) -> tuple[Point, ...]:
    at, cut = scores.names.index(name), _cut(scores, name, policy)
    confidences = scores.confidences[ENSEMBLE][:, at].astype(np.float64)
    known = ~np.isnan(scores.labels[:, at]) & ~np.isnan(confidences)
    if cut is None or not known.any():
        return ()
    far = np.abs(log_odds(confidences[known]) - log_odds(np.array([cut])))
    return _curve(far, (confidences[known] >= cut) != (scores.labels[known, at] > 0.5))


def _missed(scores: Scores, policy: str) -> tuple[Mask, Mask] | None:
    """Return which films with a listed finding are called normal, and which have one."""
    cut = _cut(scores, NORMAL, policy)
    if cut is None or NORMAL not in scores.names:
        return None
    at = scores.names.index(NORMAL)
    ill = scores.labels[:, at] == 0
    return ill & (scores.confidences[ENSEMBLE][:, at] >= cut), ill


def _reading(scores: Scores, known: Uncertainty, draws: Draws, policy: str) -> Reading | None:
    """Return what the recommendation's rule gives: answered is a film with a set "present", or one that is called normal."""
    columns = [at for at, name in enumerate(scores.names) if name in known.sets and name != NORMAL]
    if not columns:
        return None
    confidences = scores.confidences[ENSEMBLE].astype(np.float64)
    cuts = np.array([known.sets[scores.names[at]].present_above for at in columns])
    speaks = np.nan_to_num(confidences[:, columns] - cuts, nan=-100.0).max(axis=1)
    normal, cut = np.full(len(speaks), -100.0), _cut(scores, NORMAL, policy)
    ill = np.nan_to_num(scores.labels[:, columns]).max(axis=1) == 1
    judged = ill | (~np.isnan(scores.labels[:, columns])).all(axis=1)
    if cut is not None and NORMAL in scores.names:
        at = scores.names.index(NORMAL)
        normal = confidences[:, at] - cut
        ill, judged = (
            np.where(np.isnan(scores.labels[:, at]), ill, scores.labels[:, at] == 0),
            judged | ~np.isnan(scores.labels[:, at]),
        )
    answered = judged & ((speaks > 0) | (normal >= 0))
    wrong = judged & ((speaks >= normal) != ill)
    share, whole = share_of(answered, judged, draws), share_of(wrong, judged, draws)
    if share is None or whole is None:
        return None
    certainty = np.maximum(speaks, normal)[judged]
    return Reading(
        int(judged.sum()),
        share,
        share_of(wrong & answered, answered, draws),
        whole,
        _curve(certainty, wrong[judged]),
    )


def _flags(scores: Scores, known: Uncertainty, draws: Draws, policy: str) -> Flags | None:
    flagged, shared = np.zeros(scores.labels.shape, dtype=bool), np.zeros(scores.labels.shape, dtype=bool)
    wrong = np.zeros(scores.labels.shape, dtype=bool)
    for at, name in enumerate(scores.names):
        difference, cut = shared_differences(scores, at), _cut(scores, name, policy)
        if name not in known.cross_check or difference is None:
            continue
        flagged[:, at] = np.abs(difference) > known.cross_check[name].limit
        if cut is not None:
            shared[:, at] = ~np.isnan(scores.labels[:, at])
            wrong[:, at] = (scores.confidences[ENSEMBLE][:, at] >= cut) != (scores.labels[:, at] > 0.5)
    films = share_of(np.asarray(flagged.any(axis=1)), np.ones(len(flagged)), draws)
    if films is None or not known.cross_check:
        return None
    in_flagged, in_others = shared & flagged, shared & ~flagged
    return Flags(
        films,
        share_of((wrong & in_flagged).sum(axis=1), in_flagged.sum(axis=1), draws),
        share_of((wrong & in_others).sum(axis=1), in_others.sum(axis=1), draws),
    )
