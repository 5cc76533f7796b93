"""What a positive or negative answer means where a finding has a stated prevalence: predictive values with intervals.

The interval is of sensitivity and specificity; the prevalence is taken as given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hilum.evaluation.bootstrap import SEED, Floats, replicate
from hilum.evaluation.judge import Answers
from hilum.evaluation.metrics import rates
from hilum.records import OperatingPoint

DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Share:
    """A share, 0–1, with its 95 % interval; low and high are None where the films behind it were not counted."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Predictive:
    """One finding at one policy's operating point."""

    finding: str
    policy: str
    prevalence: float
    threshold: float
    """0–100; a film is positive at or above it."""
    sensitivity: Share
    specificity: Share
    ppv: Share | None
    """Share of positive answers that are right; None where no answer would be positive."""
    npv: Share | None
    """Share of negative answers that are right; None where no answer would be negative."""
    flagged: Share
    """Share of films that would be positive."""
    positives: int | None
    """Films with the finding that sensitivity comes from."""
    negatives: int | None


def predictive_values(sensitivity: Floats, specificity: Floats, prevalence: float) -> tuple[Floats, Floats, Floats]:
    """Return positive and negative predictive value, and the share of films that are positive, by Bayes; NaN for 0 / 0."""
    right, wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    well, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    with np.errstate(invalid="ignore"):
        return right / (right + wrong), well / (well + missed), right + wrong


def from_points(
    points: Mapping[str, Mapping[str, OperatingPoint]], prevalence: Mapping[str, float]
) -> Iterator[Predictive]:
    """Yield what operating points and their counts give; those whose sensitivity or specificity is not known are passed over.

    Sensitivity and specificity are drawn from Jeffreys' posterior, Beta(right + ½, wrong + ½), which keeps its coverage
    near 0 and 1 (Brown, Cai and DasGupta 2001). Films are taken as independent.
    """
    for finding, by_policy in points.items():
        for policy, point in by_policy.items():
            if finding in prevalence and point.sensitivity is not None and point.specificity is not None:
                counts = (point.positives, point.negatives)
                drawn = [
                    _draws(share, films, seed)
                    for seed, share, films in zip((0, 1), (point.sensitivity, point.specificity), counts, strict=True)
                ]
                yield _predictive(finding, policy, point, prevalence[finding], (drawn[0], drawn[1]), counts)


def _draws(share: float, films: int | None, seed: int) -> Floats:
    """Return the share, then draws of it; the share alone where the films were not counted."""
    if not films:
        return np.array([share])
    right = round(share * films)
    drawn = np.random.default_rng(SEED + seed).beta(right + 0.5, films - right + 0.5, DRAWS)
    return np.concatenate([[share], drawn])


def from_answers(answers: Mapping[str, Answers], prevalence: Mapping[str, float]) -> Iterator[Predictive]:
    """Yield what the operating points give on judged films, with intervals by bootstrap over patients."""
    for finding, answer in answers.items():
        if finding not in prevalence or not answer.judged or not answer.points:
            continue
        policies = list(answer.points)
        both = _rates(answer, [answer.points[policy].threshold for policy in policies])
        positives = int(answer.labels.sum())
        for at, policy in enumerate(policies):
            pair = (both[:, at], both[:, len(policies) + at])
            counts = (positives, len(answer.labels) - positives)
            yield _predictive(finding, policy, answer.points[policy], prevalence[finding], pair, counts)


def _rates(answer: Answers, thresholds: Sequence[float]) -> Floats:
    return replicate(lambda weights: rates(answer.confidences, answer.labels, thresholds, weights), answer.draws)


def _predictive(
    finding: str,
    policy: str,
    point: OperatingPoint,
    prevalence: float,
    drawn: tuple[Floats, Floats],
    counts: tuple[int | None, int | None],
) -> Predictive:
    sensitivity, specificity = drawn
    positive, negative, flagged = predictive_values(sensitivity, specificity, prevalence)
    return Predictive(
        finding=finding,
        policy=policy,
        prevalence=prevalence,
        threshold=point.threshold,
        sensitivity=_share(sensitivity),
        specificity=_share(specificity),
        ppv=_share(positive) if np.isfinite(positive[0]) else None,
        npv=_share(negative) if np.isfinite(negative[0]) else None,
        flagged=_share(flagged),
        positives=counts[0],
        negatives=counts[1],
    )


def _share(values: Floats) -> Share:
    drawn = values[1:][np.isfinite(values[1:])]
    if not drawn.size:
        return Share(float(values[0]), None, None)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Share(float(values[0]), float(low), float(high))
