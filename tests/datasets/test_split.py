"""Splits: by patient, stratified, reproducible, kept in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.datasets.split import read_patients, split_folds, split_patients, write_patients
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError


def make_table(patients: int, seed: int) -> Table:
    generator = np.random.default_rng(seed)
    rows = [
        Row(
            Path(f"{patient}_{film}.png"),
            f"P{patient}",
            labels={"Edema": int(generator.random() < 0.1), "Effusion": int(generator.random() < 0.4)},
        )
        for patient in range(patients)
        for film in range(1 + generator.integers(3))
    ]
    return Table(Path(), tuple(rows))


@settings(deadline=None)  # the machine may be busy
@given(seed=st.integers(0, 1000), fraction=st.floats(0.1, 0.5))
def test_a_split_keeps_its_size_and_each_findings_share(seed: int, fraction: float) -> None:
    """About the wanted share of patients, and about that share of each finding's patients, is split off."""
    table = make_table(200, seed)
    chosen = split_patients(table, fraction, seed)
    assert len(chosen) == pytest.approx(200 * fraction, abs=8)
    for finding in ("Edema", "Effusion"):
        positive = {row.patient for row in table.rows if row.label(finding) == 1}
        assert len(positive & chosen) == pytest.approx(len(positive) * fraction, abs=6)


def test_the_same_seed_gives_the_same_split() -> None:
    """A split is reproducible, and another seed gives another one."""
    table = make_table(100, 3)
    assert split_patients(table, 0.2, 1) == split_patients(table, 0.2, 1)
    assert split_patients(table, 0.2, 1) != split_patients(table, 0.2, 2)


@settings(deadline=None)  # the machine may be busy
@given(seed=st.integers(0, 1000), k=st.integers(2, 6))
def test_folds_hold_each_patient_once_and_each_finding_evenly(seed: int, k: int) -> None:
    """Every patient stands in one fold; folds differ by few patients, and by few patients with each finding."""
    table = make_table(150, seed)
    folds = split_folds(table, k, seed)
    assert sorted(patient for fold in folds for patient in fold) == sorted(table.patients)
    assert max(map(len, folds)) - min(map(len, folds)) <= 2
    for finding in ("Edema", "Effusion"):
        positive = {row.patient for row in table.rows if row.label(finding) == 1}
        shares = [len(positive & fold) for fold in folds]
        assert max(shares) - min(shares) <= 2


def test_the_same_seed_gives_the_same_folds() -> None:
    """Folds are reproducible, do not depend on the order of the rows, and another seed gives others."""
    table = make_table(100, 3)
    assert split_folds(table, 5, 1) == split_folds(Table(table.root, table.rows[::-1]), 5, 1)
    assert split_folds(table, 5, 1) != split_folds(table, 5, 2)


@pytest.mark.parametrize("k", [1, 4])
def test_impossible_folds_are_refused(k: int) -> None:
    """One fold, or more folds than patients, is a DatasetError."""
    with pytest.raises(DatasetError, match=f"3 patients can't be dealt into {k} folds"):
        split_folds(make_table(3, 0), k, 1)


def test_a_split_survives_its_file(tmp_path: Path) -> None:
    """What is written is read back."""
    path = tmp_path / "split.csv"
    write_patients(path, {"P2", "P1"})
    assert path.read_text() == "patient_id\nP1\nP2\n"
    assert read_patients(path) == {"P1", "P2"}


def test_wrong_splits_are_refused(tmp_path: Path) -> None:
    """A missing file, a missing column and an impossible fraction are DatasetErrors."""
    (tmp_path / "other.csv").write_text("name\nP1\n")
    (tmp_path / "latin.csv").write_bytes("patient_id\nJosé\n".encode("latin-1"))
    (tmp_path / "empty.csv").write_text("patient_id,note\nP1,\n,P2\n")
    with pytest.raises(DatasetError, match="UTF-8"):
        read_patients(tmp_path / "latin.csv")
    with pytest.raises(DatasetError, match="Line 3 has no patient_id"):
        read_patients(tmp_path / "empty.csv")
    with pytest.raises(DatasetError, match="There is no split file"):
        read_patients(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match="patient_id"):
        read_patients(tmp_path / "other.csv")
    with pytest.raises(DatasetError, match="between 0 and 1"):
        split_patients(make_table(3, 0), 1.0, 0)


def test_the_frozen_splits_share_no_patient() -> None:
    """The hold-out and the validation patients in the repository are disjoint."""
    splits = Path(__file__).parents[2] / "splits"
    holdout, validation = read_patients(splits / "holdout.csv"), read_patients(splits / "validation.csv")
    assert not holdout & validation
    assert len(holdout) == 407
