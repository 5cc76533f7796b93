"""The plain table: labels are 1, 0, uncertain or unknown, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilum.datasets.plain import read_table
from hilum.errors import DatasetError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_label_is_unknown_and_never_absent(tmp_path: Path) -> None:
    """1 is present, 0 absent, nothing is unknown; a publisher's name becomes ours."""
    table = read_table(
        write(
            tmp_path / "labels.csv",
            "file,patient_id,view,age,orig_width,Lesion/Mass,Edema\na.png,P1,PA,47,1024,1,\nb.png,P2,AP,,,0,1\n",
        )
    )
    first, second = table.rows
    assert (first.label("Lesion"), first.label("Edema"), first.label("Fracture")) == (1, None, None)
    assert (first.view, first.age, first.original_width) == ("PA", 47.0, 1024)
    assert (second.age, second.original_width) == (None, None)
    np.testing.assert_array_equal(table.labels(("Lesion", "Edema")), [[1, np.nan], [0, 1]])


def test_columns_that_are_not_understood_are_named(tmp_path: Path) -> None:
    """A misspelt finding is not read, and is named among what was left out."""
    table = read_table(write(tmp_path / "t.csv", "file,patient_id,licence,Edema,Efusion\na,P1,CC0,1,1\n"))
    assert table.dropped == ("Efusion",)


def test_tables_divide_by_patient(tmp_path: Path) -> None:
    """of_patients and without_patients share no patient and lose no row."""
    table = read_table(write(tmp_path / "t.csv", "file,patient_id,Edema\na,P1,1\nb,P2,0\nc,P1,0\n"))
    one, rest = table.of_patients({"P1"}), table.without_patients({"P1"})
    assert one.patients == ("P1",)
    assert rest.patients == ("P2",)
    assert len(one.rows) + len(rest.rows) == len(table.rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,Edema\na,1\n", "patient_id"),
        ("file,patient_id,colour\na,P1,1\n", "3 columns, but not one for a finding"),
        ("file,patient_id,Edema\na,P1,maybe\n", "Line 2"),
    ],
)
def test_a_wrong_table_is_refused_with_what_was_found(tmp_path: Path, text: str, message: str) -> None:
    """A missing column, no finding or a strange label is a DatasetError that says where."""
    with pytest.raises(DatasetError, match=message):
        read_table(write(tmp_path / "t.csv", text))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    """A path that leads nowhere is a DatasetError, without the path."""
    with pytest.raises(DatasetError) as caught:
        read_table(tmp_path / "Doe^Jane.csv")
    assert "Doe" not in str(caught.value)
