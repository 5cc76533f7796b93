"""How sure the ensemble may be, fitted on validation patients: calibration, intervals, sets, Normal's miss rate, limits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hilum import calibrate, conformal
from hilum.errors import ConfigError
from hilum.evaluation.bootstrap import Floats, patient_draws, replicate, summarise
from hilum.evaluation.metrics import rates
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.findings import NORMAL
from hilum.records import Calibration, CrossLimit, Interval, IntervalSteps, NormalClaim, OperatingPoint, Uncertainty

PROMISE = 0.9
"""Share of films, with a finding and without it, whose set shall hold the truth."""
LEAST = 20
"""Patients with, and patients without, a finding that its set and interval need: below, they would rest on one or two."""
NORMAL_MISSES = 0.05
"""Share of films with a listed finding that may be called normal."""
CROSS_SHARE = 0.99
"""Share of films, finding by finding, whose members' difference counts as usual."""
DECIMALS = 3
"""Of the confidences that steps begin at, and of the shares on them: finer than what is known."""


def fit_uncertainty(validation: Scores) -> Uncertainty:
    """Return what validation films allow to be said.

    Findings that an uncalibrated member takes part in are left out. Needs ``hilum[conformal]``; raises ``ConfigError`` where it
    is not installed.
    """
    columns = {
        validation.names[column]: column
        for column in validation.assessed(ENSEMBLE)
        if not np.isnan(validation.evidence[ENSEMBLE][:, column]).any()
    }
    no_set = {name: why for name, column in columns.items() if (why := _too_few(validation, column))}
    judged = {name: validation.known(column) for name, column in columns.items() if name not in no_set}
    return Uncertainty(
        films=len(validation.patients),
        patients=len(set(validation.patients)),
        promise=PROMISE,
        evidence=_evidence(validation, columns),
        intervals={name: fit_steps(*films) for name, films in judged.items()},
        sets={name: conformal.fit_cuts(*films, PROMISE) for name, films in judged.items()},
        no_set=no_set,
        cross_share=None if validation.verifier is None else CROSS_SHARE,
        cross_check=_limits(validation, columns),
    )


def _too_few(scores: Scores, column: int) -> str:
    """Return why a finding has too few patients, in words; empty where it has enough."""
    patients = np.asarray(scores.patients, dtype=object)
    ill, well = (len(set(patients[scores.labels[:, column] == label].tolist())) for label in (1, 0))
    if min(ill, well) >= LEAST:
        return ""
    return f"{ill} validation patients with it and {well} without; {LEAST} of each are needed"


def _evidence(scores: Scores, columns: Mapping[str, int]) -> dict[str, Calibration]:
    """Return the calibration of each finding that several members assess and that has films with and without it."""
    together = {}
    for name, column in columns.items():
        confidences, labels = scores.known(column)
        if 0 < labels.sum() < len(labels) and len(_assessing(scores, column)) > 1:
            together[name] = (log_odds(confidences), labels)
    fitted = calibrate.fit_one_slope([x for x, _ in together.values()], [y for _, y in together.values()])
    return dict(zip(together, fitted, strict=True))


def log_odds(confidences: Floats) -> Floats:
    """Return the log-odds of confidences, 0–100, kept finite."""
    shares = np.clip(confidences / 100, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(shares) - np.log1p(-shares))


def _assessing(scores: Scores, column: int) -> list[str]:
    return [who for who in scores.together if column in scores.assessed(who)]


def shared_differences(scores: Scores, column: int) -> Floats | None:
    """Return the verifying member's confidence minus the mean of the others' (N,); None where they do not share the finding."""
    assessing = _assessing(scores, column)
    others = [who for who in assessing if who != scores.verifier]
    if scores.verifier is None or scores.verifier not in assessing or not others:
        return None
    mean = np.mean([scores.confidences[who][:, column] for who in others], axis=0, dtype=np.float64)
    return np.asarray(scores.confidences[scores.verifier][:, column] - mean)


def fit_steps(confidences: Floats, labels: Floats) -> IntervalSteps:
    """Return the Venn–Abers step functions of confidences (N,), 0–100, and labels (N,) of 1 and 0.

    Inductive Venn–Abers predictor (Vovk, Petej and Fedorova 2015). Needs ``hilum[conformal]``; raises ``ConfigError`` where it is
    not installed.
    """
    try:
        # Its import sets how the whole process treats division by zero.
        with np.errstate():
            from venn_abers import calc_p0p1
    except ImportError:
        raise ConfigError("Intervals need venn-abers. Install it: pip install 'hilum[conformal]'.") from None
    values = np.round(confidences, DECIMALS)
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of slices without a slope, which it expects
        p0, p1, grid = calc_p0p1(np.stack([100 - values, values], axis=1), np.asarray(labels, dtype=np.float64))
    # Rounded outwards: fewer steps, and what an interval held it still holds.
    scale = 10**DECIMALS
    low, high = np.floor(p0[:, 1] * scale).clip(0, scale) / scale, np.ceil(p1[:, 1] * scale).clip(0, scale) / scale
    begins = np.flatnonzero((np.diff(low) != 0) | (np.diff(high) != 0))
    kept = np.r_[0, begins + 1]
    return IntervalSteps(
        tuple(np.round(grid[begins], DECIMALS).tolist()),
        tuple(low[kept].tolist()),
        tuple(high[kept].tolist()),
        float(np.mean(labels)),
    )


def _limits(scores: Scores, columns: Mapping[str, int]) -> dict[str, CrossLimit]:
    limits = {}
    for name, column in columns.items():
        differences = shared_differences(scores, column)
        limit = None if differences is None else conformal.limit_of(differences, CROSS_SHARE)
        if differences is not None and limit is not None:
            limits[name] = CrossLimit(limit, len(differences))
    return limits


def recalibrated(scores: Scores, uncertainty: Uncertainty) -> Scores:
    """Return scores with the ensemble's evidence as this calibration makes it from the confidences."""
    evidence = scores.evidence[ENSEMBLE].copy()
    for name, fitted in uncertainty.evidence.items():
        if name in scores.names:
            column = scores.names.index(name)
            found = calibrate.evidence(log_odds(scores.confidences[ENSEMBLE][:, column].astype(np.float64)), fitted)
            evidence[:, column] = np.where(np.isnan(evidence[:, column]), np.nan, found)
    return replace(scores, evidence={**scores.evidence, ENSEMBLE: evidence})


def claim_normal(validation: Scores, holdout: Scores) -> tuple[OperatingPoint, NormalClaim] | None:
    """Return Normal's operating point and its miss rates; None where no validation film has a listed finding."""
    if NORMAL not in validation.names or validation.names.index(NORMAL) not in validation.assessed(ENSEMBLE):
        return None
    confidences, labels = validation.known(validation.names.index(NORMAL))
    if labels.all():
        return None
    point = conformal.claim_point(confidences, labels, NORMAL_MISSES)
    missed = _missed(validation, point)
    return None if missed is None else (point, NormalClaim(NORMAL_MISSES, missed, _missed(holdout, point)))


def _missed(scores: Scores, point: OperatingPoint) -> Interval | None:
    """Return the share of films with a listed finding that are called normal; None where there is none."""
    if NORMAL not in scores.names:
        return None
    column = scores.names.index(NORMAL)
    known = ~np.isnan(scores.labels[:, column])
    confidences, labels = scores.confidences[ENSEMBLE][known, column], scores.labels[known, column]
    if labels.all():
        return None
    draws = patient_draws(scores.patients)[:, known]
    return summarise(1 - replicate(lambda weights: rates(confidences, labels, [point.threshold], weights), draws)[:, 1])
