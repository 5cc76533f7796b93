"""Sets, intervals and limits with a promised coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum import conformal
from hilum.records import ConformalCuts, IntervalSteps

CUTS = ConformalCuts(30.0, 70.0, 40, 200)


@pytest.mark.parametrize(
    ("confidence", "set_of"),
    [(29.9, "absent"), (30.0, "can't say"), (70.0, "can't say"), (70.1, "present"), (100.0, "present")],
)
def test_a_set_is_one_answer_outside_of_the_cuts(confidence, set_of):
    """Below the lower cut a finding is absent, above the upper present, and in between both remain."""
    assert conformal.said(confidence, CUTS) == set_of


def test_where_both_are_excluded_nothing_can_be_said():
    """Where cuts cross, a confidence that speaks against both answers is no answer."""
    crossed = ConformalCuts(60.0, 40.0, 40, 200)
    assert [conformal.said(value, crossed) for value in (30.0, 50.0, 70.0)] == ["absent", "can't say", "present"]


@given(
    films=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1)), min_size=1, max_size=80),
    promise=st.sampled_from([0.8, 0.9, 0.95]),
)
def test_cuts_are_the_conformal_p_values(films, promise):
    """An answer is excluded where at most 1 − promise of its films, the new one with them, are as extreme."""
    x, y = (np.array(part) for part in zip(*films, strict=True))
    cuts = conformal.fit_cuts(x, y, promise)
    for new in x.tolist():
        present = (1 + (x[y == 1] <= new).sum()) / (1 + (y == 1).sum()) > 1 - promise + 1e-9
        absent = (1 + (x[y == 0] >= new).sum()) / (1 + (y == 0).sum()) > 1 - promise + 1e-9
        single = {(True, False): "present", (False, True): "absent"}
        assert conformal.said(new, cuts) == single.get((present, absent), "can't say")


def test_the_promise_is_kept_for_each_kind_of_film():
    """Over many draws, of films with a rare finding and of films without it 90 % of the sets hold the truth."""
    rng = np.random.default_rng(3)
    held = {0: [], 1: []}
    for _ in range(400):
        y = np.r_[np.ones(30), np.zeros(300)]
        cuts = conformal.fit_cuts(50 + 12 * y + rng.normal(0, 12, 330), y, 0.9)
        for label in (0, 1):
            sets = [conformal.said(float(value), cuts) for value in 50 + 12 * label + rng.normal(0, 12, 20)]
            held[label] += [one != ("present" if label == 0 else "absent") for one in sets]
    assert all(0.9 <= np.mean(one) < 0.925 for one in held.values())


def test_too_few_films_exclude_nothing():
    """With eight films of a kind no promise of 90 % can exclude it."""
    cuts = conformal.fit_cuts(np.arange(16.0), np.arange(16) % 2, 0.9)
    assert (cuts.absent_below, cuts.present_above) == (0.0, 100.0)


def test_an_interval_is_read_off_its_steps_and_moves_with_prevalence():
    """The step of the confidence gives the two shares; at another prevalence both move by Bayes, and 0 and 1 stay."""
    steps = IntervalSteps((20.0, 60.0), (0.0, 0.1, 0.5), (0.2, 0.4, 1.0), 0.25)
    assert conformal.interval(19.9, steps, 0.25) == pytest.approx((0.0, 0.2))
    assert conformal.interval(20.0, steps, 0.25) == pytest.approx((0.1, 0.4))
    low, high = conformal.interval(60.0, steps, 0.5)
    assert (low, high) == pytest.approx((0.75, 1.0))
    assert conformal.interval(0.0, steps, 0.001)[0] == 0


def test_a_claim_misses_at_most_what_it_may():
    """At most 5 % of the other films lie above the cut; its rates are those of the films it was chosen on."""
    rng = np.random.default_rng(5)
    labels = (rng.random(500) < 0.3).astype(float)
    point = conformal.claim_point(50 + 20 * labels + rng.normal(0, 15, 500), labels, 0.05)
    assert point.specificity is not None
    assert 0.95 <= point.specificity < 0.96
    assert point.sensitivity > 0.2
    assert point.positives + point.negatives == 500


def test_a_claim_on_too_few_films_is_never_made():
    """Ten films with a finding can't show that only one in twenty is missed: nothing is called normal."""
    point = conformal.claim_point(np.r_[np.full(10, 20.0), np.full(10, 90.0)], np.r_[np.zeros(10), np.ones(10)], 0.05)
    assert (point.threshold, point.sensitivity, point.specificity) == (100.0, 0.0, 1.0)


def test_a_limit_holds_its_share():
    """99 % of 199 differences lie within the limit, whatever their sign; of 50 films none can be told."""
    differences = np.linspace(-1, 1, 199)
    assert conformal.limit_of(differences, 0.99) == pytest.approx(1, abs=0.02)
    assert (np.abs(differences) <= conformal.limit_of(differences, 0.9)).mean() >= 0.9
    assert conformal.limit_of(differences[:50], 0.99) is None
