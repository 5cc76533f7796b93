"""What becomes of the ensemble's promises on other films."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilum.evaluation.bootstrap import patient_draws
from hilum.evaluation.promises import judge_promises
from hilum.evaluation.scorecard.promises import promises as section
from hilum.evaluation.scoring import ENSEMBLE
from hilum.evaluation.uncertainty import claim_normal, fit_uncertainty
from hilum.records import ConformalCuts, CrossLimit, Interval, Uncertainty
from made import made_scores


def with_normal(films, seed):
    """Return made scores whose third output is Normal: shown where neither finding is, and the surer the less they speak."""
    scores = made_scores(films, seed)
    labels = np.nan_to_num(scores.labels)
    labels[:, 2] = (labels[:, :2] == 0).all(axis=1)
    labels[:5, 0] = np.nan
    confidences = {who: values.copy() for who, values in scores.confidences.items()}
    for values in confidences.values():
        values[:, 2] = 100 - values[:, :2].max(axis=1)
    return replace(scores, names=("Edema", "Effusion", "Normal"), labels=labels, confidences=confidences)


def promised(films=1600, seed=11):
    """Return scores of new films with what was fitted on others."""
    fitted = with_normal(1600, 4)
    point, claim = claim_normal(fitted, fitted)
    new = with_normal(films, seed)
    points = {ENSEMBLE: {**new.points[ENSEMBLE], "Normal": {"youden": point}}}
    return replace(new, uncertainty=replace(fit_uncertainty(fitted), normal=claim), points=points)


def judged(scores, replicates=60):
    return judge_promises(scores, patient_draws(scores.patients, replicates), "youden")


def test_a_promise_that_holds_is_kept():
    """On films like those that it was fitted on, pooled coverage lies within two points, and findings' intervals contain it."""
    found = judged(promised())
    assert found.promise == 0.9
    assert found.kept
    assert set(found.findings) == {"Edema", "Effusion", "Normal"}
    assert sum(one.contains for one in found.findings.values()) >= 2
    assert found.pooled.answers == sum(one.answers for one in found.findings.values())
    assert found.normal_missed.low <= 0.05 <= found.normal_missed.high + 0.02
    assert {one.attribute for one in found.groups} == {"view", "sex", "age", "source"}
    ages = [one.films for one in found.groups if one.attribute == "age"]
    assert sum(ages) == 1600


def test_a_promise_on_other_films_breaks():
    """Where films without the finding score as those with it did, coverage falls, and it is said that the promise is not kept."""
    scores = promised()
    shifted = {ENSEMBLE: np.minimum(scores.confidences[ENSEMBLE] + 25, 100)}
    found = judged(replace(scores, confidences=scores.confidences | shifted))
    assert not found.kept
    assert found.pooled.without.value < found.pooled.with_finding.value
    assert not found.findings["Effusion"].contains


def test_coverage_is_counted_by_hand():
    """Four films: one right, one wrong, one undecided, one whose label is unknown."""
    scores = made_scores(4)
    labels = np.full((4, 3), np.nan, dtype=np.float32)
    labels[:, 1] = [1, 1, 0, np.nan]
    confidences = np.full((4, 3), 50, dtype=np.float32)
    confidences[:, 1] = [90, 10, 50, 90]
    sets = {"Effusion": ConformalCuts(30.0, 70.0, 40, 60)}
    scores = replace(
        scores,
        labels=labels,
        confidences=scores.confidences | {ENSEMBLE: confidences},
        uncertainty=Uncertainty(100, 100, 0.9, sets=sets),
    )
    found = judged(scores)
    one = found.findings["Effusion"]
    assert (one.answers, one.covered.value, one.single.value, one.wrong.value) == (
        3,
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        0.5,
    )
    assert (one.with_finding.value, one.without.value) == (0.5, 1.0)
    assert found.normal_missed is None
    assert found.flags is None


def test_a_findings_interval_counts_its_calibration():
    """The fewer films the cuts rest on, the wider the interval of coverage."""
    scores = promised()
    narrow = judged(scores).findings["Effusion"].covered
    few = {"Effusion": replace(scores.uncertainty.sets["Effusion"], positives=20, negatives=40)}
    wide = judged(replace(scores, uncertainty=replace(scores.uncertainty, sets=few))).findings["Effusion"].covered
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_the_error_falls_with_abstaining():
    """Of the films that are answered fewer are wrong than of all, and the curve ends at all."""
    reading = judged(promised()).reading
    assert 0.1 < reading.answered.value < 1
    assert reading.wrong.value < reading.wrong_of_all.value
    shares, errors = zip(*reading.curve, strict=True)
    assert list(shares) == sorted(shares)
    assert (shares[-1], errors[-1]) == (1.0, pytest.approx(reading.wrong_of_all.value, abs=1e-3))
    assert errors[10] < errors[-1]


def test_flags_are_counted():
    """A limit of nothing flags every film; one that nothing exceeds, none, and then there is no flagged answer to be wrong."""
    scores = promised(400)
    for limit, share in ((0.0, 1.0), (100.0, 0.0)):
        limits = {"Edema": CrossLimit(limit, 400)}
        flags = judged(replace(scores, uncertainty=replace(scores.uncertainty, cross_check=limits))).flags
        assert flags.films.value == share
        assert (flags.wrong_flagged is None) == (share == 0)
        assert (flags.wrong_others is None) == (share == 1)


def test_nothing_promised_is_nothing_judged():
    """Without what was fitted, or without a label, there is no figure."""
    assert judged(made_scores(40)) is None
    blank = promised(40)
    assert judged(replace(blank, labels=np.full_like(blank.labels, np.nan))) is None


def test_the_scorecard_says_whether_it_was_kept():
    """The section names the verdict, groups, curves, the miss rate and the flags; without promises, that there are none."""

    class Holder:
        promises = judged(promised())

    html = "".join(section(Holder()))
    for part in (
        "within 2 points of the promise 0.90",
        "findings contains it",
        "view: AP",
        "Risk and coverage of Edema",
    ):
        assert part in html
    assert "were called normal" in html
    assert "The cross-check flagged" in html
    broken = Holder()
    broken.promises = replace(Holder.promises, kept=False, normal_missed=Interval(0.2, 0.1, 0.3), reading=None)
    assert "NOT within" in "".join(section(broken))
    broken.promises = None
    assert "promise nothing" in "".join(section(broken))
