"""How often each member counts: one vote each, and more only where validation patients show that it helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilum.calibrate import confidence
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.evaluation.votes import choose_votes, with_votes
from made import made_scores


def scores_of(good: float, poor: float) -> Scores:
    """Return scores of two members that see so much of the truth, errors apart."""
    scores, rng = made_scores(), np.random.default_rng(1)
    labels = np.nan_to_num(scores.labels)
    evidence = {
        who: (seen * labels + rng.normal(0, 1, labels.shape)).astype(np.float32)
        for who, seen in (("A", good), ("B", poor))
    }
    return replace(
        scores,
        evidence={**scores.evidence, **evidence},
        confidences={
            **scores.confidences,
            **{who: confidence(one).astype(np.float32) for who, one in evidence.items()},
        },
    )


def test_equal_members_have_a_vote_each():
    """Where a further vote lifts nothing, nobody has one."""
    scores = scores_of(1.5, 1.5)
    same = replace(scores, confidences={**scores.confidences, "B": scores.confidences["A"]})
    assert choose_votes(same) == {"A": 1, "B": 1}


def test_a_much_better_member_has_more():
    """The better member outvotes the one that sees nothing; that one keeps its vote."""
    votes = choose_votes(scores_of(3.0, 0.0))
    assert votes["A"] > 1
    assert votes["B"] == 1


def test_one_member_is_not_tried():
    scores = made_scores()
    assert choose_votes(replace(scores, together=("A",))) == {"A": 1}


def test_no_judged_finding_leaves_votes_alone():
    scores = made_scores()
    assert choose_votes(replace(scores, labels=np.full_like(scores.labels, np.nan))) == {"A": 1, "B": 1}


def test_votes_weigh_the_mean():
    """The mean is over the members that assess a finding, each as often as it has votes; evidence is its log-odds."""
    scores = made_scores()
    given = with_votes(scores, {"A": 2, "B": 1})
    a, b = (scores.confidences[who].astype(np.float64) for who in "AB")
    assert given.confidences[ENSEMBLE][:, 0] == pytest.approx((2 * a[:, 0] + b[:, 0]) / 3, rel=1e-5)
    assert given.confidences[ENSEMBLE][:, 2] == pytest.approx(a[:, 2], rel=1e-5)
    share = given.confidences[ENSEMBLE][:, 0] / 100
    assert given.evidence[ENSEMBLE][:, 0] == pytest.approx(np.log(share / (1 - share)), abs=1e-3)


def test_an_uncalibrated_member_leaves_no_evidence():
    """Only for the findings that it takes part in."""
    scores = made_scores()
    raw = replace(scores, evidence={**scores.evidence, "B": np.full_like(scores.evidence["B"], np.nan)})
    given = with_votes(raw, {"A": 1, "B": 1})
    assert np.isnan(given.evidence[ENSEMBLE][:, :2]).all()
    assert not np.isnan(given.evidence[ENSEMBLE][:, 2]).any()
