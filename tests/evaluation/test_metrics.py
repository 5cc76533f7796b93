"""Areas and rates for many weightings at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.evaluation.metrics import ranking_areas, rates

films = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30)


@given(films)
def test_average_precision_is_its_definition(rows):
    """The sum, over the scores from high to low, of recall gained times precision there; a weight of k counts k times."""
    scores, labels, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = ranking_areas(scores, labels, weights[np.newaxis])[0, 1]
    ill, well = weights * labels, weights * (1 - labels)
    if not ill.sum() or not well.sum():
        assert np.isnan(found)
        return
    expected = sum(
        ill[scores == cut].sum() / ill.sum() * ill[scores >= cut].sum() / weights[scores >= cut].sum()
        for cut in np.unique(scores)
        if weights[scores >= cut].sum()
    )
    assert found == pytest.approx(expected)


def test_each_draw_has_its_own_row():
    """Several weightings give what each gives alone."""
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(size=40), (rng.random(40) < 0.3).astype(float)
    weights = rng.integers(0, 3, (5, 40)).astype(float)
    together = ranking_areas(scores, labels, weights)
    alone = [ranking_areas(scores, labels, one[np.newaxis])[0] for one in weights]
    assert together == pytest.approx(np.array(alone))


def test_rates_count_films_at_or_above():
    """A film at the threshold is positive; a class that is missing gives NaN; sensitivities come first."""
    confidences, labels = np.array([10, 50, 50, 90]), np.array([0, 1, 0, 1])
    weights = np.array([[1.0, 1, 1, 1], [1, 3, 1, 1], [0, 1, 0, 1]])
    found = rates(confidences, labels, [50.0, 60.0], weights)
    assert found[0] == pytest.approx([1, 0.5, 0.5, 1])
    assert found[1] == pytest.approx([1, 0.25, 0.5, 1])
    assert np.isnan(found[2, 2:]).all()
