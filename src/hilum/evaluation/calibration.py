"""Can the probabilities be believed? Brier score, calibration slope and intercept, and the calibration error with its floor.

Evidence is judged after shifting it to the evaluated films' own prevalence, since a table rich in findings would otherwise
count against every model. Slope and intercept as in Van Calster et al. 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.evaluation.bootstrap import SEED, Draws, Floats, replicate, summarise
from hilum.records import Array, CalibrationFigures, Interval

BINS = 10
FLOOR_DRAWS = 500
STEPS = 60
TOLERANCE = 1e-4
"""Newton's method doubles the right digits with each step: the one that ends it is far smaller."""
STEEPEST = 50.0
"""A slope beyond this is not followed further: the draw's films are separable, or nearly."""


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram."""

    stated: float
    """Mean probability, 0–1."""
    observed: Interval
    """Share of the films that show the finding."""
    films: int


def calibration_replicates(evidence: Array, labels: Array, draws: Draws) -> dict[str, Floats]:
    """Return each figure of evidence (N,) on labels (N,) of 1 and 0, both present: on all films, then on each draw.

    ``ece_floor`` holds what simulated labels give instead, as many as there are simulations.
    """
    x, y = np.asarray(evidence, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    places = one_hot(bin_of(x))
    errors = replicate(lambda weights: _errors(x, y, places, weights), draws)
    start = _fit(x, y, np.ones((1, len(x))), np.array([0.0, 1.0]), True)[0]
    lines = replicate(lambda weights: recalibration(x, y, weights, start), draws)
    return {
        "brier": errors[:, 0],
        "slope": lines[:, 0],
        "intercept": lines[:, 1],
        "ece": errors[:, 1],
        "ece_floor": simulated_errors(x, float(y.mean())),
    }


def calibration_figures(replicates: Mapping[str, Floats]) -> CalibrationFigures:
    """Return the figures with their intervals from ``calibration_replicates``."""
    slope = replicates["slope"]
    return CalibrationFigures(
        brier=summarise(replicates["brier"]),
        slope=summarise(slope) if np.isfinite(slope[0]) and np.isfinite(slope).mean() > 0.5 else None,
        intercept=summarise(replicates["intercept"]),
        ece=summarise(replicates["ece"], centred=True),
        ece_floor=floor_interval(replicates["ece_floor"]),
    )


def bin_of(evidence: Floats, bins: int = BINS) -> Floats:
    """Return each film's bin, 0 …: about equally many films in each, equal evidence in one."""
    inner = np.unique(np.quantile(evidence, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(inner, evidence, side="left").astype(np.float64)


def one_hot(places: Floats) -> Floats:
    """Return N × bins: 1 where a film is in a bin; bins without films are left out."""
    return np.asarray(places[:, np.newaxis] == np.unique(places), dtype=np.float64)


def _log_odds(shares: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(shares) - np.log1p(-shares))


def _prevalence(labels: Floats, weights: Floats) -> Floats:
    return np.asarray(weights @ labels.astype(weights.dtype) / weights.sum(axis=1))


def probabilities(evidence: Floats, shares: Floats) -> Floats:
    """Return draws × N: the probabilities of evidence (N,) at each of several prevalences (draws,)."""
    return _sigmoid(evidence.astype(shares.dtype) + _log_odds(shares)[:, np.newaxis])


def _sigmoid(x: Floats) -> Floats:
    """Return 1 / (1 + exp(−x)) in the precision of ``x``: half of all the time goes here."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))


def _errors(evidence: Floats, labels: Floats, places: Floats, weights: Floats) -> Floats:
    """Return draws × 2: Brier score and ECE."""
    places, labels = places.astype(weights.dtype), labels.astype(weights.dtype)
    difference = probabilities(evidence, _prevalence(labels, weights)) - labels
    films = weights.sum(axis=1)
    brier = (weights * difference**2).sum(axis=1) / films
    ece = np.abs((weights * difference) @ places).sum(axis=1) / films
    return np.stack([brier, ece], axis=1)


def recalibration(evidence: Floats, labels: Floats, weights: Floats, start: Floats | None = None) -> Floats:
    """Return draws × 2: calibration slope, and calibration intercept with the slope held at 1.

    NaN where a draw lacks a class, or separates the classes. ``start``: intercept and slope to begin from.
    """
    begin = np.array([0.0, 1.0]) if start is None else start
    slope = _fit(evidence, labels, weights, begin, True)[:, 1]
    intercept = _fit(evidence, labels, weights, np.array([begin[0], 1.0]), False)[:, 0]
    shares = _prevalence(labels, weights)
    lines = np.stack([slope, intercept - _log_odds(shares)], axis=1)
    lines[(shares == 0) | (shares == 1)] = np.nan
    lines[_separable(evidence, labels, weights), 0] = np.nan
    return np.asarray(lines)


def _separable(evidence: Floats, labels: Floats, weights: Floats) -> npt.NDArray[np.bool_]:
    """Return for each draw whether a cut parts its classes: then the steeper a line, the better, without end."""
    ill, well = (_range(evidence[labels == kind], weights[:, labels == kind]) for kind in (1, 0))
    return np.asarray((ill[0] >= well[1]) | (well[0] >= ill[1]))


def _range(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the smallest and the largest value that each draw holds."""
    order = np.argsort(values)
    held = weights[:, order] > 0
    return values[order[held.argmax(axis=1)]], values[order[::-1][held[:, ::-1].argmax(axis=1)]]


def _fit(evidence: Floats, labels: Floats, weights: Floats, start: Floats, free_slope: bool) -> Floats:
    """Return draws × 2: intercept and slope of weighted logistic regressions, all at once by Newton's method."""
    evidence, labels = evidence.astype(weights.dtype), labels.astype(weights.dtype)
    powers = np.stack([np.ones_like(evidence), evidence, evidence**2], axis=1)
    line = np.tile(start.astype(weights.dtype), (len(weights), 1))
    for _ in range(STEPS):
        p = _sigmoid(line[:, :1] + line[:, 1:] * evidence)
        gradient = (weights * (p - labels)) @ powers[:, :2]
        h00, h01, h11 = ((weights * (p * (1 - p))) @ powers).T + np.array([[1e-6], [0.0], [1e-6]], dtype=weights.dtype)
        if free_slope:
            scale = h00 * h11 - h01**2
            step = np.stack([h11 * gradient[:, 0] - h01 * gradient[:, 1], h00 * gradient[:, 1] - h01 * gradient[:, 0]])
            step = (step / scale).T
        else:
            step = np.stack([gradient[:, 0] / h00, np.zeros(len(line))], axis=1)
        # Newton's step is trusted for about one unit; a separable draw would run off and take the others' time.
        longest = np.abs(step).max(axis=1, keepdims=True)
        step = step / np.maximum(1.0, longest)
        line = line - step
        running = np.abs(line[:, 1]) < STEEPEST
        if not (np.abs(step).max(axis=1)[running] > TOLERANCE).any():
            break
    return line


def simulated_errors(evidence: Floats, prevalence: float, draws: int = FLOOR_DRAWS) -> Floats:
    """Return the ECE (draws,) that the model would show on labels for which its probabilities are exactly right.

    Labels are drawn from the probabilities, and each draw is judged as real labels are: shifted to its own prevalence.
    """
    rng = np.random.default_rng(SEED)
    p = probabilities(evidence, np.array([prevalence]))[0]
    places, own = one_hot(bin_of(evidence)), float(_log_odds(np.array([p.mean()]))[0])
    base = evidence + float(_log_odds(np.array([prevalence]))[0])

    def error(weights: Floats) -> Floats:
        labels = (rng.random(weights.shape) < p).astype(np.float64)
        shares = np.clip(labels.mean(axis=1), 0.5 / len(p), 1 - 0.5 / len(p))
        shifted = _sigmoid(base + (_log_odds(shares) - own)[:, np.newaxis])
        return np.asarray(np.abs((shifted - labels) @ places).sum(axis=1) / len(p))

    return replicate(error, np.ones((draws, len(p)), dtype=np.float32))[1:]


def floor_interval(errors: Floats) -> Interval:
    """Return the mean and the middle 95 % of simulated errors (draws,)."""
    low, high = np.quantile(errors, [0.025, 0.975])
    return Interval(float(errors.mean()), float(low), float(high))


def reliability(evidence: Array, labels: Array, draws: Draws) -> tuple[Bin, ...]:
    """Return the bins of a reliability diagram at the evaluated films' prevalence, from low to high probability."""
    x, y = np.asarray(evidence, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    places = one_hot(bin_of(x))
    stated = (probabilities(x, np.array([y.mean()]))[0] @ places) / places.sum(axis=0)

    def shares(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            return np.asarray((weights @ (y[:, np.newaxis] * places)) / (weights @ places))

    observed = replicate(shares, draws)
    return tuple(
        Bin(float(mean), summarise(observed[:, k]), int(places[:, k].sum())) for k, mean in enumerate(stated.tolist())
    )
