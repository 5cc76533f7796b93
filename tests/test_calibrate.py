"""Calibration: evidence, confidence, probability and operating points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum import calibrate
from hilum.errors import DatasetError
from hilum.records import Calibration

finite = st.floats(-60, 60)
shares = st.floats(0.001, 0.999)


def simulated(count: int, prior: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and labels where the true evidence is the logit itself: two unit normals, two apart, ± 1."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < prior).astype(np.float32)
    return (2 * (rng.normal(size=count) + 2 * labels - 1)).astype(np.float32), labels


def test_fit_recovers_the_likelihood_ratio():
    """Where a logit is the log likelihood ratio, slope 1 and intercept 0 come back, however enriched the films are."""
    for prior in (0.1, 0.5, 0.8):
        logits, labels = simulated(40_000, prior)
        fitted = calibrate.fit_platt(logits, labels)
        assert fitted.slope == pytest.approx(1, abs=0.05)
        assert fitted.intercept == pytest.approx(0, abs=0.08)


def test_confidence_does_not_depend_on_enrichment():
    """Ten times as many healthy films change a film's confidence only by the noise of the fit."""
    few, many = (calibrate.fit_platt(*simulated(20_000, prior, seed=3)) for prior in (0.5, 0.05))
    for logit in (-2.0, 0.0, 2.0):
        first, second = (float(calibrate.confidence(calibrate.evidence(np.array(logit), c))) for c in (few, many))
        assert first == pytest.approx(second, abs=3)


def test_separable_films_give_no_wild_slope():
    """Ten films that are ordered perfectly are little evidence: the slope stays within reach of 1."""
    logits = np.linspace(-1, 1, 10).astype(np.float32)
    fitted = calibrate.fit_platt(logits, (logits > 0).astype(np.float32))
    assert 0.5 < fitted.slope < 3


def test_a_finding_is_never_turned_around():
    """Logits that are against the labels give a slope of zero, not a negative one."""
    logits, labels = simulated(2_000, 0.5)
    assert calibrate.fit_platt(-logits, labels).slope == 0


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_alone_is_refused(label):
    """Without both kinds of films there is no calibration, and the error says what was found."""
    with pytest.raises(DatasetError, match="found"):
        calibrate.fit_platt(np.zeros(5, np.float32), np.full(5, label, np.float32))


@given(finite, shares)
def test_probability_at_even_prevalence_is_confidence(evidence, share):
    """At a prevalence of one half, probability is confidence / 100; it grows with the prevalence."""
    confidence = float(calibrate.confidence(np.array(evidence)))
    assert calibrate.probability(evidence, 0.5) == pytest.approx(confidence / 100)
    assert calibrate.probability(evidence, min(share * 1.01, 0.9999)) >= calibrate.probability(evidence, share)


@given(st.floats(0.01, 99.99))
def test_evidence_of_confidence_is_its_inverse(confidence):
    """Confidence → evidence → confidence changes nothing."""
    assert float(calibrate.confidence(np.array(calibrate.evidence_of(confidence)))) == pytest.approx(confidence)


def test_evidence_of_certainty_is_finite():
    """0 and 100 have finite evidence, so that nothing downstream is infinite."""
    assert np.isfinite([calibrate.evidence_of(0.0), calibrate.evidence_of(100.0)]).all()


def test_evidence_is_linear():
    """Slope and intercept are applied as they stand."""
    assert calibrate.evidence(np.array(3.0), Calibration(0.5, -1.0)) == pytest.approx(0.5)


def test_operating_points_are_what_they_say():
    """Sensitivity and specificity stored with a cut are those that the cut gives, and each policy keeps its promise."""
    logits, labels = simulated(3_000, 0.3, seed=5)
    confidences = calibrate.confidence(logits)
    points = calibrate.choose_operating_points(confidences, labels)
    assert set(points) == {"youden", "rule_in", "rule_out"}
    for point in points.values():
        positive = confidences >= point.threshold
        assert point.sensitivity == pytest.approx(positive[labels == 1].mean())
        assert point.specificity == pytest.approx((~positive)[labels == 0].mean())
    assert points["rule_in"].specificity >= 0.95
    assert points["rule_out"].sensitivity >= 0.95
    assert points["rule_out"].threshold < points["youden"].threshold < points["rule_in"].threshold


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=2, max_size=40))
def test_youden_is_the_best_cut(films):
    """No cut has a larger sensitivity + specificity than Youden's."""
    confidences = np.array([confidence for confidence, _ in films])
    labels = np.array([ill for _, ill in films], dtype=np.float32)
    if 0 < labels.sum() < len(labels):
        best = calibrate.choose_operating_points(confidences, labels)["youden"]
        for cut in confidences:
            positive = confidences >= cut
            worth = positive[labels == 1].mean() + (~positive)[labels == 0].mean()
            assert best.sensitivity + best.specificity >= worth - 1e-9


def test_one_slope_is_told_from_all_outputs():
    """Outputs that were flattened alike get the same slope, which is right, and each an intercept of its own."""
    parts = [simulated(2_000, share, seed=seed) for seed, share in enumerate((0.05, 0.2, 0.5))]
    true = [calibrate.fit_platt(x, y) for x, y in parts]
    fitted = calibrate.fit_one_slope([x / 2 + number for number, (x, _) in enumerate(parts)], [y for _, y in parts])
    assert len({one.slope for one in fitted}) == 1
    assert fitted[0].slope == pytest.approx(2 * np.mean([one.slope for one in true]), rel=0.15)
    shifted = [one.intercept + one.slope * number for number, one in enumerate(fitted)]
    assert shifted == pytest.approx([one.intercept for one in true], abs=0.25)
    assert calibrate.fit_one_slope([], []) == ()


def test_one_slope_of_one_output_is_platts():
    """With a single output both ways of fitting agree."""
    x, y = simulated(3_000, 0.3, seed=2)
    (shared,), alone = calibrate.fit_one_slope([x], [y]), calibrate.fit_platt(x, y)
    assert (shared.slope, shared.intercept) == pytest.approx((alone.slope, alone.intercept), abs=1e-4)
