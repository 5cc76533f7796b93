"""How often sets hold the truth, as they promise: pooled, by finding and by group of films."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.evaluation.bootstrap import Draws, Floats, replicate, summarise
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.evaluation.subgroups import ATTRIBUTES, LEAST
from hilum.records import ConformalCuts, Interval, Uncertainty

Mask = npt.NDArray[np.bool_]
NORMAL_95 = 1.96
"""Standard deviations to either end of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often sets held the truth, over answers: one film and one finding whose label is known."""

    answers: int
    covered: Interval
    with_finding: Interval | None
    """Of films that show the finding; None where none does."""
    without: Interval | None
    single: Interval
    """Share of sets that are one answer."""
    wrong: Interval | None
    """Share of those that are wrong; None where there are none."""
    contains: bool
    """Whether the interval of ``covered`` contains the promise."""


@dataclass(frozen=True, slots=True)
class GroupCoverage:
    """Coverage in one group of films, pooled over findings."""

    attribute: str
    """``view``, ``sex``, ``age`` or ``source``."""
    value: str
    films: int
    patients: int
    coverage: Coverage


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """N×K each: whether the set holds the truth, is a single answer, can be judged, and whether the film shows the finding."""

    held: Mask
    single: Mask
    judged: Mask
    ill: Mask


def sets_of(scores: Scores, known: Uncertainty) -> Sets:
    """Return what the ensemble's sets say of every film and finding."""
    confidences, labels = scores.confidences[ENSEMBLE], scores.labels
    above, below = np.full(len(scores.names), np.inf), np.full(len(scores.names), -np.inf)
    for at, name in enumerate(scores.names):
        if name in known.sets:
            above[at], below[at] = known.sets[name].present_above, known.sets[name].absent_below
    present, absent = confidences > above, confidences < below
    single, ill = present ^ absent, labels > 0.5
    held = ~single | np.where(ill, present, absent)
    return Sets(held, single, ~np.isnan(labels) & np.isfinite(above) & ~np.isnan(confidences), ill)


def share_of(counted: Floats | Mask, of: Floats | Mask, draws: Draws) -> Interval | None:
    """Return the share that counts of films (N,) are of others, with its interval over patients; None for a share of nothing."""
    both = np.stack([counted, of], axis=1).astype(np.float64)
    if not both[:, 1].sum():
        return None

    def shares(weights: Floats) -> Floats:
        sums = weights @ both.astype(weights.dtype)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums[:, 0] / sums[:, 1])

    return summarise(replicate(shares, draws))


def coverage_of(
    sets: Sets, promise: float, films: Mask, columns: slice, draws: Draws, cuts: ConformalCuts | None = None
) -> Coverage:
    """Return the coverage of some films (N,) and some columns; there must be an answer among them.

    The promise is one on average over calibrations. With a finding's ``cuts`` the interval counts, beside the films, that as many
    other calibration films would have given other cuts: coverage then strays as a Beta distribution (Vovk 2012).
    """
    held, single, ill = sets.held[:, columns], sets.single[:, columns], sets.ill[:, columns]
    judged = sets.judged[:, columns] & films[:, np.newaxis]

    def share(counted: Mask, of: Mask) -> Interval | None:
        return share_of((counted & of).sum(axis=1), of.sum(axis=1), draws)

    nothing = Interval(0.0, 0.0, 0.0)
    covered, alone = share(held, judged) or nothing, share(single, judged) or nothing
    if cuts is not None:
        covered = _strayed(covered, float(ill[judged].mean()), promise, cuts)
    return Coverage(
        answers=int(judged.sum()),
        covered=covered,
        with_finding=share(held, judged & ill),
        without=share(held, judged & ~ill),
        single=alone,
        wrong=share(~held, judged & single),
        contains=covered.low <= promise <= covered.high,
    )


def groups_of(scores: Scores, sets: Sets, promise: float, draws: Draws) -> Iterator[GroupCoverage]:
    """Yield every group of ten patients or more, of attributes with more than one value."""
    for attribute, value_of in ATTRIBUTES.items():
        values = np.array([value_of(row) for row in scores.rows], dtype=object)
        present = sorted({value for value in values.tolist() if value})
        for value in present if len(present) > 1 else ():
            films = values == value
            patients = len({scores.patients[film] for film in np.flatnonzero(films).tolist()})
            if patients >= LEAST and sets.judged[films].any():
                coverage = coverage_of(sets, promise, films, slice(None), draws)
                yield GroupCoverage(attribute, value, int(films.sum()), patients, coverage)


def _strayed(covered: Interval, ill: float, promise: float, cuts: ConformalCuts) -> Interval:
    """Return the interval of a finding's coverage, wider by how far calibrations of that size stray; ``ill``: share with it."""
    both = 0.0
    for films, weight in ((cuts.positives, ill), (cuts.negatives, 1 - ill)):
        excluded = math.floor((1 - promise) * (films + 1) + 1e-9)
        held = films + 1 - excluded
        both += weight**2 * held * excluded / ((films + 1) ** 2 * (films + 2))
    spread = NORMAL_95 * math.sqrt(both)
    low, high = math.hypot(covered.value - covered.low, spread), math.hypot(covered.high - covered.value, spread)
    return Interval(covered.value, max(0.0, covered.value - low), min(1.0, covered.value + high))
