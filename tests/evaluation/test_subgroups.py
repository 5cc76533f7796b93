"""Figures by view, sex, age and source."""

from __future__ import annotations

import pytest

from hilum.evaluation.bootstrap import patient_draws
from hilum.evaluation.scoring import ENSEMBLE
from hilum.evaluation.subgroups import age_band, judge_groups
from made import made_scores


def groups():
    scores = made_scores()
    found = judge_groups(scores, ENSEMBLE, patient_draws(scores.patients, 50), "youden")
    return {(group.attribute, group.value): group for group in found}


def test_two_groups_mirror_each_other():
    """With two groups the gap of one is the other's turned around, for each finding and each figure."""
    found = groups()
    ap, pa = found["view", "AP"], found["view", "PA"]
    for measure in ("auroc", "sensitivity", "specificity"):
        one, other = ap.findings["Edema"][measure], pa.findings["Edema"][measure]
        assert one.gap.value == pytest.approx(one.inside.value - other.inside.value)
        assert one.gap.low == pytest.approx(-other.gap.high)
        assert ap.means[measure].gap.value == pytest.approx(-pa.means[measure].gap.value)


def test_small_groups_are_said_to_be():
    """A group without enough patients of both kinds has no figure, and names the findings; its films are counted."""
    small = groups()["source", "small"]
    assert (small.films, small.patients) == (24, 12)
    assert small.findings == {}
    assert small.means == {}
    assert set(small.too_few) == {"Edema", "Effusion", "Nodule"}


def test_unknown_values_are_in_no_group():
    """Films without a value count neither inside nor outside."""
    found = groups()
    assert found["sex", "F"].films + found["sex", "M"].films == 230


def test_age_bands():
    """Bands in years; an unknown age, and one that is none, has no band."""
    bands = [age_band(age) for age in (0, 17.9, 18, 59, 60, 75, 110, None, 414)]
    assert bands == ["0–17", "0–17", "18–39", "40–59", "60–74", "75 and over", "75 and over", "", ""]
