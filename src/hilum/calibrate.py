"""Logit → evidence → confidence and probability; how calibrations and operating points are fitted and applied.

Evidence is the natural log of the likelihood ratio that a film gives a finding. Platt scaling (Platt 1999) fits the
log-odds among the validation films; taking off their own log-odds leaves what the film itself says, however enriched
with illness those films were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.errors import DatasetError
from hilum.records import Calibration, OperatingPoint

Floats = npt.NDArray[np.floating[Any]]

RIDGE = 2.0
"""Pull of the slope towards 1, in units of a film's own information; keeps a rare finding's slope from diverging."""
TARGET = 0.95
"""Specificity that ``rule_in`` and sensitivity that ``rule_out`` must reach."""


def sigmoid(x: Floats) -> Floats:
    """Return 1 / (1 + exp(−x)), float64 inside so that it neither overflows nor reaches 0 or 1 early."""
    return np.asarray(1 / (1 + np.exp(-np.clip(np.asarray(x, dtype=np.float64), -500, 500))))


def log_odds(p: float) -> float:
    """Return the log-odds of a probability strictly between 0 and 1."""
    return math.log(p / (1 - p))


def evidence(logits: Floats, calibration: Calibration) -> Floats:
    """Return the log likelihood ratios for a member's logits of one output."""
    return np.asarray(logits * calibration.slope + calibration.intercept)


def confidence(evidence: Floats) -> Floats:
    """Return 0–100: how likely the finding would be, had it been as likely as not before the film."""
    return 100 * sigmoid(evidence)


def evidence_of(confidence: float) -> float:
    """Return the evidence behind a confidence 0–100, kept finite."""
    return log_odds(min(max(confidence / 100, 1e-12), 1 - 1e-12))


def probability(evidence: float, prevalence: float) -> float:
    """Return 0–1: how likely the finding is where a share ``prevalence`` (0–1) of the films shows it."""
    return float(sigmoid(np.asarray(evidence + log_odds(prevalence))))


def fit_platt(logits: Floats, labels: Floats) -> Calibration:
    """Fit a calibration to logits (N,) and labels (N,) of 1 and 0, by Newton's method.

    Labels are softened as Platt does, and the slope is drawn towards 1, so that few or separable films give no wild
    slope. A slope below zero would turn the finding around: it ends at zero. Raises ``DatasetError`` where all
    labels are the same.
    """
    truth = np.asarray(labels, dtype=np.float64)
    positives, negatives = int(truth.sum()), int((1 - truth).sum())
    if not positives or not negatives:
        raise DatasetError(
            f"Calibration needs films with and without the finding; found {positives} with, {negatives} without."
        )
    prior = math.log(positives / negatives)
    target = np.where(truth > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = np.asarray(logits, dtype=np.float64)
    centre = float(x.mean())
    design = np.stack([x - centre, np.ones_like(x)], axis=1)
    slope, intercept = _newton(design, target, np.array([1.0, prior]))
    slope = max(slope, 0.0)
    return Calibration(float(slope), float(intercept - slope * centre - prior))


def fit_one_slope(logits: Sequence[Floats], labels: Sequence[Floats]) -> tuple[Calibration, ...]:
    """Fit calibrations of several outputs that share one slope; each has an intercept of its own.

    ``logits`` and ``labels``: (N,) an output, N may differ. What flattens all outputs alike, such as averaging, is told from
    all of their films; a finding with few films could not tell it. Softened and drawn towards 1 as ``fit_platt`` does.
    Raises ``DatasetError`` where all labels of an output are the same.
    """
    single = [fit_platt(x, y) for x, y in zip(logits, labels, strict=True)]
    if not single:
        return ()
    counts = [(int(y.sum()), len(y) - int(y.sum())) for y in labels]
    priors = [math.log(ill / well) for ill, well in counts]
    design = np.zeros((sum(map(len, logits)), 1 + len(single)))
    design[:, 0] = np.concatenate(list(logits))
    design[np.arange(len(design)), 1 + np.repeat(np.arange(len(single)), [len(x) for x in logits])] = 1
    soft = [
        np.where(y > 0.5, (ill + 1) / (ill + 2), 1 / (well + 2)) for y, (ill, well) in zip(labels, counts, strict=True)
    ]
    slope, *intercepts = _newton(design, np.concatenate(soft), np.array([1.0, *priors]))
    pairs = zip(intercepts, priors, strict=True)
    return tuple(Calibration(max(float(slope), 0.0), float(intercept - prior)) for intercept, prior in pairs)


def _newton(design: Floats, target: Floats, start: Floats) -> Floats:
    """Return the parameters of a logistic regression; the first is the slope, which is drawn towards 1."""
    parameters, others = start, [0.0] * (len(start) - 1)
    for _ in range(100):
        predicted = sigmoid(design @ parameters)
        gradient = design.T @ (predicted - target) + np.array([RIDGE * (parameters[0] - 1), *others])
        hessian = (design * (predicted * (1 - predicted))[:, None]).T @ design + np.diag(
            [RIDGE, *(1e-9 for _ in others)]
        )
        step = np.linalg.solve(hessian, gradient)
        # A step beyond what the quadratic model can be trusted for would overshoot where the films are nearly separable.
        parameters = parameters - step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-9:
            break
    return parameters


def choose_operating_points(confidences: Floats, labels: Floats) -> dict[str, OperatingPoint]:
    """Return the cuts by policy for confidences (N,), 0–100, and labels (N,) of 1 and 0.

    ``youden``: the largest sensitivity + specificity. ``rule_in``: the largest sensitivity with a specificity of at
    least 0.95. ``rule_out``: the largest specificity with a sensitivity of at least 0.95.
    """
    cuts, sensitivity, specificity = _operating_curve(
        np.asarray(confidences, dtype=np.float64), np.asarray(labels > 0.5)
    )
    goals = {
        "youden": sensitivity + specificity,
        "rule_in": np.where(specificity >= TARGET, 1 + sensitivity, specificity),
        "rule_out": np.where(sensitivity >= TARGET, 1 + specificity, sensitivity),
    }
    positives = int((np.asarray(labels) > 0.5).sum())
    return {
        policy: OperatingPoint(
            float(cuts[at]), float(sensitivity[at]), float(specificity[at]), positives, len(labels) - positives
        )
        for policy, goal in goals.items()
        for at in [int(np.argmax(goal))]
    }


def _operating_curve(confidences: Floats, positive: npt.NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Return every cut half-way between two neighbouring confidences, with its sensitivity and specificity."""
    values = np.unique(confidences)
    cuts = np.concatenate([[values[0] / 2], (values[1:] + values[:-1]) / 2, [(values[-1] + 100) / 2]])
    ill, well = np.sort(confidences[positive]), np.sort(confidences[~positive])
    sensitivity = 1 - np.searchsorted(ill, cuts) / max(1, len(ill))
    specificity = np.searchsorted(well, cuts) / max(1, len(well))
    return cuts, sensitivity, specificity
