"""Predictive values at a stated prevalence."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.evaluation.bootstrap import patient_draws
from hilum.evaluation.predictive import from_answers, from_points, predictive_values
from hilum.evaluation.scoring import ENSEMBLE
from hilum.records import OperatingPoint
from made import made_scores


def test_predictive_values_are_bayes():
    """At a prevalence of 1 % a test of 90 % and 90 % is right in one positive answer of twelve."""
    positive, negative, flagged = predictive_values(np.array([0.9]), np.array([0.9]), 0.01)
    assert positive[0] == pytest.approx(0.009 / 0.108)
    assert negative[0] == pytest.approx(0.891 / 0.892)
    assert flagged[0] == pytest.approx(0.108)


def test_more_films_give_narrower_intervals():
    """Intervals hold the value, narrow with the films, and are unknown where nobody counted them."""

    def ppv(positives, negatives):
        point = OperatingPoint(50.0, 0.8, 0.9, positives, negatives)
        (found,) = from_points({"Edema": {"youden": point}}, {"Edema": 0.1})
        return found.ppv

    few, many, unknown = ppv(20, 100), ppv(2000, 10_000), ppv(None, None)
    assert few.low < many.low < many.value < many.high < few.high
    assert few.value == many.value == unknown.value == pytest.approx(0.08 / 0.17)
    assert (unknown.low, unknown.high) == (None, None)


def test_a_perfect_specificity_on_few_films_is_not_believed():
    """No false positive among 30 films leaves room for some: the PPV's interval does not start at 1."""
    point = OperatingPoint(50.0, 0.8, 1.0, 50, 30)
    (found,) = from_points({"Edema": {"youden": point}}, {"Edema": 0.1})
    assert found.ppv.value == 1
    assert found.ppv.low < 0.9


def test_a_cut_that_flags_nothing_has_no_ppv():
    """Where no answer is positive nothing is known of positive answers; what is not known at all is passed over."""
    points = {
        "Edema": {"rule_in": OperatingPoint(100.0, 0.0, 1.0)},
        "Nodule": {"youden": OperatingPoint(50.0, None, None)},
        "Hernia": {"youden": OperatingPoint(50.0, 0.5, 0.5)},
    }
    (found,) = from_points(points, {"Edema": 0.1, "Nodule": 0.1})
    assert found.ppv is None
    assert found.npv.value == pytest.approx(0.9)


def test_on_films_the_bootstrap_is_by_patient():
    """Measured on films, each assessed finding with a prevalence has both policies, with intervals around the values."""
    scores = made_scores()
    answers = scores.answers(ENSEMBLE, patient_draws(scores.patients, 100))
    found = list(from_answers(answers, {"Edema": 0.05, "Nodule": 0.02}))
    assert [(one.finding, one.policy) for one in found] == [
        ("Edema", "youden"),
        ("Edema", "rule_in"),
        ("Nodule", "youden"),
        ("Nodule", "rule_in"),
    ]
    assert all(one.ppv.low <= one.ppv.value <= one.ppv.high for one in found)
    assert all(one.npv.low < one.npv.value < one.npv.high for one in found if one.policy == "youden")
    assert found[0].positives == answers["Edema"].labels.sum()
    assert found[0].ppv.value < found[1].ppv.value
