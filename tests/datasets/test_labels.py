"""Label policies: uncertain and unmentioned labels become what the user names, reproducibly, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilum.datasets.labels import SOFT_RANGE, settle_labels
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError

STATED = {"Edema": None, "Effusion": None, "Pneumonia": None, "Normal": 0.0}
ROW = Row(Path("a.png"), "P1", labels=STATED, uncertain=frozenset({"Edema", "Effusion"}))
TABLE = Table(Path(), (ROW, Row(Path("b.png"), "P2", labels={"Edema": 1.0, "Pneumonia": 0.0})))


@pytest.mark.parametrize(("policy", "value"), [("ignore", None), ("ones", 1.0), ("zeros", 0.0)])
def test_a_policy_decides_uncertain_labels_and_no_others(policy: str, value: float | None) -> None:
    """Uncertain labels become what the policy says; unknown and certain ones stay."""
    first, second = settle_labels(TABLE, policy).rows
    assert first.labels == {"Edema": value, "Effusion": value, "Pneumonia": None, "Normal": 0.0}
    assert first.uncertain == ROW.uncertain
    assert second.labels == TABLE.rows[1].labels


def test_soft_labels_lie_in_their_range_and_are_reproducible() -> None:
    """A soft label differs from film to film and finding to finding, and is the same in every run and order of rows."""
    rows = tuple(Row(Path(f"{n}.png"), "P", labels=STATED, uncertain=ROW.uncertain) for n in range(200))
    settled = settle_labels(Table(Path(), rows), "soft")
    values = settled.labels(("Edema", "Effusion"))
    assert SOFT_RANGE[0] <= values.min() < 0.58
    assert 0.82 < values.max() <= SOFT_RANGE[1]
    assert len(np.unique(values)) == 400
    turned = settle_labels(Table(Path(), rows[::-1]), "soft").labels(("Edema", "Effusion"))
    np.testing.assert_array_equal(turned[::-1], values)
    assert np.isnan(settled.labels(("Pneumonia",))).all()


def test_each_finding_may_have_its_policy() -> None:
    """What a mapping does not name is ignored, and a name that is no finding is refused."""
    first = settle_labels(TABLE, {"Edema": "ones"}).rows[0]
    assert (first.label("Edema"), first.label("Effusion")) == (1, None)
    with pytest.raises(DatasetError, match="'Oedemas'"):
        settle_labels(TABLE, {"Oedemas": "ones"})


def test_unmentioned_labels_become_absent_only_when_asked() -> None:
    """Zeros for what a report does not mention leave uncertain labels alone, and a finding that nobody labelled unknown."""
    first = settle_labels(TABLE, unmentioned="zeros").rows[0]
    assert first.labels == {"Edema": None, "Effusion": None, "Pneumonia": 0.0, "Normal": 0.0}
    assert first.label("Fracture") is None


def test_films_with_the_same_labels_share_them() -> None:
    """Settled labels are kept once for all films that have them: there are hundreds of thousands of films."""
    rows = tuple(Row(Path(f"{n}.png"), "P", labels=dict(STATED), uncertain=ROW.uncertain) for n in range(3))
    settled = settle_labels(Table(Path(), rows), "ones")
    assert len({id(row.labels) for row in settled.rows}) == 1
