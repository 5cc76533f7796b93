"""Layouts: a data set is told by its files, and what is none is refused with what was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilum.datasets.layouts import open_table
from hilum.errors import DatasetError

LABELS = "file,patient_id,Edema\na.png,P1,-1\n"


def test_a_folder_with_labels_and_a_csv_are_plain_tables(tmp_path: Path) -> None:
    """labels.csv in a folder, or any CSV given by itself, is read with its folder, or another, as the root."""
    (tmp_path / "labels.csv").write_text(LABELS)
    assert open_table(tmp_path) == open_table(tmp_path / "labels.csv", "csv")
    assert open_table(tmp_path).root == tmp_path
    assert open_table(tmp_path / "labels.csv", root=tmp_path / "films").root == tmp_path / "films"


def test_the_policies_reach_the_labels(tmp_path: Path) -> None:
    """A plain table's -1 is uncertain: unknown, unless the policy says otherwise."""
    (tmp_path / "labels.csv").write_text(LABELS)
    assert open_table(tmp_path).rows[0].label("Edema") is None
    assert open_table(tmp_path, uncertain="ones").rows[0].label("Edema") == 1


def test_a_folder_of_no_known_layout_is_refused_with_what_was_found(tmp_path: Path) -> None:
    """The message counts what lies in the folder, names no file, and says what each layout looks like."""
    (tmp_path / "images").mkdir()
    for name in ("Doe.csv", "Doe.png", "other.png"):
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=r"1 folders, 1 CSV files and 2 others.*chexpert: train.csv") as caught:
        open_table(tmp_path)
    assert "Doe" not in str(caught.value)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A layout that is a folder's, of something that is none, is refused."""
    with pytest.raises(DatasetError, match="no folder was found"):
        open_table(tmp_path / "train.csv", "chexpert")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"file,patient_id,Edema\n" + b"x" * 200_000])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is not CSV in UTF-8 is a DatasetError, whatever its name says."""
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DatasetError, match="can't be read"):
        open_table(tmp_path)
