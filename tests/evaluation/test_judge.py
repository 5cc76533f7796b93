"""AUROC and its intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.evaluation.bootstrap import patient_draws
from hilum.evaluation.judge import judge_predictions, output_replicates
from hilum.evaluation.metrics import auroc

films = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30)


@given(films)
def test_auroc_is_the_share_of_ordered_pairs(rows):
    """Ties count half; a weight of k counts a film k times."""
    scores, labels, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    repeated = np.repeat(np.arange(len(rows)), weights.astype(int))
    ill, well = scores[repeated][labels[repeated] == 1], scores[repeated][labels[repeated] == 0]
    found = auroc(scores, labels, weights.astype(np.int64))
    if len(ill) and len(well):
        pairs = np.sign(ill[:, None] - well[None, :]) / 2 + 0.5
        assert found == pytest.approx(pairs.mean())
    else:
        assert np.isnan(found)


@given(films)
def test_only_the_order_counts(rows):
    """Any rising change of the scale leaves the figure as it is; turning it around gives one minus it."""
    scores, labels, _ = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    first = auroc(scores, labels)
    if np.isfinite(first):
        assert auroc(np.exp(scores), labels) == pytest.approx(first)
        assert auroc(-scores, labels) == pytest.approx(1 - first)


def test_a_patient_is_drawn_with_all_films():
    """All films of a patient have the same count in a draw, and as many patients are drawn as there are."""
    draws = patient_draws(["a", "b", "a", "c"], 50)
    assert (draws[:, 0] == draws[:, 2]).all()
    assert ((draws[:, 0] + draws[:, 1] + draws[:, 3]) == 3).all()


def test_intervals_cover_and_unknown_labels_do_not_count():
    """The figure lies in its interval; a film of unknown label changes nothing."""
    rng = np.random.default_rng(2)
    labels = (rng.random((300, 1)) < 0.3).astype(np.float32)
    scores = (rng.normal(size=(300, 1)) + labels).astype(np.float32)
    patients = [f"p{number // 2}" for number in range(300)]
    judged = judge_predictions(scores, labels, patients, ("Edema",), 200)
    edema = judged.auroc["Edema"]
    assert edema.low < edema.value < edema.high
    assert 0.05 < edema.high - edema.low < 0.25
    assert judged.mean_auroc == edema
    assert (judged.films, judged.patients) == (300, 150)
    more = judge_predictions(
        np.vstack([scores, [[9.0]]]), np.vstack([labels, [[np.nan]]]), [*patients, "p0"], ("Edema",), 200
    )
    assert more.auroc["Edema"] == edema


def test_an_output_without_both_classes_has_no_figure():
    """What can't be judged is absent, and the mean is over what can."""
    labels = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], dtype=np.float32)
    judged = judge_predictions(np.arange(8.0).reshape(4, 2), labels, list("abcd"), ("Edema", "Nodule"), 20)
    assert set(judged.auroc) == {"Edema"}
    none = judge_predictions(np.ones((2, 1)), np.zeros((2, 1)), list("ab"), ("Edema",), 20)
    assert none.mean_auroc is None


def test_replicates_begin_with_the_figure():
    """The first number is the figure on all films, the others belong to the draws."""
    scores, labels = np.array([0.1, 0.9, 0.4]), np.array([0.0, 1.0, np.nan])
    values = output_replicates(scores, labels, np.array([[1, 1, 5], [2, 0, 5]]))
    assert values[0] == values[1] == 1
    assert np.isnan(values[2])
