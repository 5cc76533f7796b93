"""Calibration slope and intercept, calibration error and its floor."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.calibrate import log_odds, sigmoid
from hilum.evaluation.bootstrap import patient_draws, replicate, summarise
from hilum.evaluation.calibration import (
    bin_of,
    calibration_figures,
    calibration_replicates,
    floor_interval,
    one_hot,
    recalibration,
    reliability,
    simulated_errors,
)


def gaussian_films(count: int, prevalence: float, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return exact evidence and labels: scores of both classes are normal, two apart, so evidence is linear in them."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < prevalence).astype(np.float64)
    return 2 * (rng.normal(size=count) + 2 * labels) - 2, labels


def figures(evidence, labels, replicates=200):
    patients = [f"p{number}" for number in range(len(labels))]
    return calibration_figures(calibration_replicates(evidence, labels, patient_draws(patients, replicates)))


def test_true_evidence_is_calibrated_at_any_prevalence():
    """Exact likelihood ratios have slope 1 and intercept 0 however rich in findings the films are."""
    for prevalence in (0.05, 0.5):
        found = figures(*gaussian_films(6000, prevalence))
        assert found.slope.low < 1 < found.slope.high
        assert found.intercept.low < 0 < found.intercept.high
        assert found.ece.value < found.ece_floor.high


def test_overconfidence_is_found():
    """Doubled evidence has half the slope and an error above what chance gives; its floor does not rise with it."""
    evidence, labels = gaussian_films(6000, 0.3)
    found, right = figures(2 * evidence, labels), figures(evidence, labels)
    assert found.slope.high < 0.6
    assert found.slope.value == pytest.approx(right.slope.value / 2, abs=1e-6)
    assert found.ece.low > found.ece_floor.high
    assert found.brier.value > right.brier.value


def test_too_low_probabilities_have_a_positive_intercept():
    """Evidence that is one too low everywhere gives an intercept of one."""
    evidence, labels = gaussian_films(6000, 0.3)
    assert figures(evidence - 1, labels).intercept.value == pytest.approx(figures(evidence, labels).intercept.value + 1)


def test_recalibration_solves_the_logistic_equations():
    """At the fitted line the weighted residuals, and those times the evidence, sum to nothing."""
    evidence, labels = gaussian_films(300, 0.3)
    weights = np.random.default_rng(1).integers(0, 3, (4, 300)).astype(np.float64)
    lines = recalibration(evidence, labels, weights)
    for (slope, intercept), weight in zip(lines, weights, strict=True):
        own = log_odds(float(weight @ labels / weight.sum()))
        assert weight @ (sigmoid(evidence + intercept + own) - labels) == pytest.approx(0, abs=1e-4)
        free = [weight @ (sigmoid(slope * evidence + shift) - labels) for shift in (-20, 20)]
        assert free[0] < 0 < free[1]


def test_the_error_is_its_definition():
    """The mean over films of the distance between a bin's mean probability and its share of positives, at their prevalence."""
    evidence, labels = gaussian_films(400, 0.25)
    found = calibration_replicates(evidence, labels, np.ones((1, 400), dtype=np.float32))["ece"][0]
    p = sigmoid(evidence + log_odds(labels.mean()))
    places = bin_of(evidence)
    bins = [places == place for place in np.unique(places)]
    assert len(bins) == 10
    assert {int(one.sum()) for one in bins} == {40}
    assert found == pytest.approx(sum(one.mean() * abs(p[one].mean() - labels[one].mean()) for one in bins))


def test_the_floor_falls_with_the_films():
    """What chance alone gives shrinks with the square root of the number of films, and real labels of true evidence meet it."""
    small, large = (floor_interval(simulated_errors(gaussian_films(n, 0.2)[0], 0.2)) for n in (500, 8000))
    assert small.low < small.value < small.high
    assert small.value / large.value == pytest.approx(4, rel=0.2)
    errors = [figures(*gaussian_films(500, 0.2, seed), 2).ece.value for seed in range(40)]
    assert np.mean(errors) == pytest.approx(small.value, rel=0.2)


def test_films_that_separate_have_no_slope():
    """Where evidence separates the classes no line fits best: the slope is None, and the rest stands."""
    found = figures(np.arange(20.0) - 10, (np.arange(20) >= 10).astype(float), 20)
    assert found.slope is None
    assert found.brier.value < 0.1


def test_equal_evidence_shares_a_bin():
    """Films of one evidence are never parted, and a constant answer has one bin."""
    assert set(bin_of(np.array([1.0, 1, 1, 1, 2, 2]))[:4]) == {0}
    assert one_hot(bin_of(np.zeros(7))).shape == (7, 1)


def test_bins_hold_all_films():
    """A reliability diagram's bins rise, hold every film, and their shares lie in their intervals."""
    evidence, labels = gaussian_films(400, 0.3)
    bins = reliability(evidence, labels, patient_draws([str(n) for n in range(400)], 100))
    assert sum(one.films for one in bins) == 400
    assert [one.stated for one in bins] == sorted(one.stated for one in bins)
    assert all(one.observed.low <= one.observed.value <= one.observed.high for one in bins)


def test_intervals_of_errors_are_moved_back():
    """Resampling raises an error made of absolute differences; the interval still holds the figure."""
    evidence, labels = gaussian_films(300, 0.3)
    found = figures(evidence, labels)
    assert found.ece.low <= found.ece.value <= found.ece.high
    assert summarise(np.array([0.1, 0.2, 0.3]), centred=True).low == pytest.approx(0.0525)


def test_blocks_change_nothing():
    """A figure over many draws is the same whether they are computed in one block or in several."""
    draws = np.random.default_rng(0).integers(0, 3, (700, 1000)).astype(np.float32)
    means = replicate(lambda weights: weights.mean(axis=1), draws)
    assert means[0] == 1
    assert means[1:] == pytest.approx(draws.mean(axis=1))
