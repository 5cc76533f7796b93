"""What validation films allow to be said."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from hilum import conformal
from hilum.errors import ConfigError
from hilum.evaluation import uncertainty
from hilum.evaluation.scoring import ENSEMBLE
from hilum.evaluation.uncertainty import claim_normal, fit_steps, fit_uncertainty, recalibrated
from made import made_scores


def test_every_finding_has_its_set_interval_and_limit():
    """Findings with enough patients have cuts and steps; a slope is where members were averaged, a limit where they share."""
    found = fit_uncertainty(made_scores(800))
    assert (found.films, found.patients, found.promise) == (800, 400, 0.9)
    assert set(found.sets) == set(found.intervals) == {"Edema", "Effusion", "Nodule"}
    assert set(found.evidence) == set(found.cross_check) == {"Edema", "Effusion"}
    assert (found.no_set, found.cross_share) == ({}, 0.99)
    cuts = found.sets["Effusion"]
    assert 0 < cuts.absent_below < cuts.present_above < 100
    assert found.cross_check["Edema"].films == 800
    assert fit_uncertainty(replace(made_scores(800), verifier=None)).cross_check == {}


def test_too_few_patients_get_no_set_and_it_says_so():
    """A finding of eleven patients has neither set nor interval, with the counts in words."""
    scores = made_scores(400)
    labels = scores.labels.copy()
    labels[22:, 2] = 0
    labels[:22, 2] = 1
    found = fit_uncertainty(replace(scores, labels=labels))
    assert "Nodule" not in found.sets
    assert "Nodule" not in found.intervals
    assert found.no_set == {"Nodule": "11 validation patients with it and 189 without; 20 of each are needed"}


def test_an_uncalibrated_finding_is_left_out():
    """Where the ensemble has no evidence, nothing is promised."""
    scores = made_scores(400)
    evidence = scores.evidence[ENSEMBLE].copy()
    evidence[:, 0] = np.nan
    scores = replace(scores, evidence=scores.evidence | {ENSEMBLE: evidence})
    found = fit_uncertainty(scores)
    assert "Edema" not in {**found.sets, **found.intervals, **found.evidence, **found.no_set, **found.cross_check}
    assert np.isnan(recalibrated(scores, found).evidence[ENSEMBLE][:, 0]).all()


def test_evidence_is_made_from_confidences():
    """A calibrated set of scores is flatter or steeper by the slope, whatever evidence it came with."""
    scores = made_scores(800)
    found = fit_uncertainty(scores)
    once = recalibrated(scores, found)
    assert np.allclose(recalibrated(once, found).evidence[ENSEMBLE], once.evidence[ENSEMBLE], equal_nan=True)
    column = scores.names.index("Effusion")
    fitted = found.evidence["Effusion"]
    odds = uncertainty.log_odds(scores.confidences[ENSEMBLE][:, column].astype(float))
    assert once.evidence[ENSEMBLE][:, column] == pytest.approx(odds * fitted.slope + fitted.intercept, abs=1e-4)


def test_steps_hold_one_of_the_two_answers():
    """Steps rise, low is below high, and over new films the observed share lies between the mean of both."""
    rng = np.random.default_rng(1)

    def films(n):
        labels = (rng.random(n) < 0.2).astype(float)
        return 50 + 15 * labels + rng.normal(0, 12, n), labels

    steps = fit_steps(*films(600))
    assert len(steps.low) == len(steps.high) == len(steps.cuts) + 1
    assert all(np.diff(one).min() >= 0 for one in (steps.cuts, steps.low, steps.high))
    assert all(low < high for low, high in zip(steps.low, steps.high, strict=True))
    confidences, labels = films(4000)
    both = np.array([conformal.interval(value, steps, steps.prevalence) for value in confidences.tolist()])
    assert both[:, 0].mean() - 0.02 < labels.mean() < both[:, 1].mean() + 0.02


def test_normal_is_claimed_at_its_miss_rate():
    """At most 5 % of validation films with a finding lie above the cut; held-out films have an interval of their own."""
    scores = replace(made_scores(800), names=("Edema", "Effusion", "Normal"))
    point, claim = claim_normal(scores, replace(made_scores(600, seed=9), names=scores.names))
    assert claim.missed.value <= claim.most == 0.05
    assert point.specificity == pytest.approx(1 - claim.missed.value)
    assert claim.held_out.low < claim.held_out.value < claim.held_out.high
    assert claim_normal(scores, made_scores(600))[1].held_out is None
    assert claim_normal(made_scores(200), made_scores(200)) is None


def test_the_library_is_named_where_it_is_missing(monkeypatch):
    """Without the extra, fitting names what to install."""
    monkeypatch.setitem(sys.modules, "venn_abers", None)
    with pytest.raises(ConfigError, match=r"hilum\[conformal\]"):
        fit_steps(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
