"""CheXpert: its files as they are given out become the table; what is not as documented is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hilum.datasets.layouts import open_table
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError
from tiny_chexpert import HEADER, TEST, TRAIN, VALID, make


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return open_table(make(tmp_path / "any-name", train=HEADER + TRAIN, valid=HEADER + VALID, test_labels=TEST))


def row(table: Table, patient: str) -> Row:
    return next(row for row in table.rows if row.patient == patient)


def test_every_film_has_its_row(table: Table) -> None:
    """Paths lose the publisher's folder; patient, study, view, age, sex, split, source and licence are known where they are."""
    assert table.layout == "chexpert"
    assert table.absent == 0
    first, second, lateral, unknown, *_, valid, test = table.rows
    assert first.image == Path("train/patient00001/study1/view1_frontal.jpg")
    assert (first.patient, first.study, first.view, first.age, first.sex) == (
        "patient00001",
        "patient00001/study1",
        "AP",
        68.0,
        "F",
    )
    assert (second.view, lateral.view) == ("PA", "LATERAL")
    assert (unknown.age, unknown.sex) == (None, "")
    assert [row.split for row in (first, valid, test)] == ["train", "validation", "test"]
    assert [row.label_source for row in (first, valid)] == ["CheXpert labeler", "CheXpert radiologists"]
    assert "Stanford" in first.image_licence


def test_publishers_labels_become_ours(table: Table) -> None:
    """1 is present, 0 absent, -1 uncertain, blank unknown; Lung Opacity is Opacity; what we do not have is dropped and named."""
    second = row(table, "patient00002")
    assert second.label("Opacity") == 1
    assert second.label("Fracture") == 1
    assert second.label("Pneumonia") is None
    assert second.label("Cardiomegaly") is None
    assert second.uncertain == {"Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Effusion"}
    assert set(table.dropped) == {"Enlarged Cardiomediastinum", "Pleural Other", "Support Devices"}


def test_blanks_say_what_the_labelers_definition_says(table: Table) -> None:
    """With "No Finding" all else is absent; with any pathology, even one that we drop, a film is not normal; devices are none."""
    normal = row(table, "patient00001")
    assert normal.label("Normal") == 1
    assert normal.label("Edema") == normal.label("Pneumothorax") == 0
    assert row(table, "patient00002").label("Normal") == 0
    assert row(table, "patient00003").label("Normal") == 0  # Pleural Other
    assert row(table, "patient00004").label("Normal") is None  # Support Devices alone


def test_films_that_are_not_there_are_counted(tmp_path: Path) -> None:
    """A part of the data set can be used; what is listed and missing has no row."""
    table = open_table(make(tmp_path / "part", without="patient00002", train=HEADER + TRAIN))
    assert len(table.rows) == 3
    assert table.absent == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("AP/PA,", ""), "18 columns were found in train.csv, but not AP/PA"),
        (HEADER + "patient00001/view1.jpg,Female,68,Frontal,AP" + "," * 14 + "\n", "Line 2 of train.csv has a path"),
        (
            HEADER + TRAIN.replace("1.0,,,,1.0", "2.0,,,,1.0").replace("0.0,,,,1.0", "2.0,,,,1.0"),
            "Line 2 has an unexpected",
        ),
        (HEADER, "0 films are listed"),
    ],
)
def test_what_does_not_match_is_refused_with_what_was_found(tmp_path: Path, text: str, message: str) -> None:
    """A missing column, another form of path, a strange label or no film at all is a DatasetError."""
    with pytest.raises(DatasetError, match=message):
        open_table(make(tmp_path / "wrong", train=text), "chexpert")


def test_films_of_which_none_is_there_are_refused(tmp_path: Path) -> None:
    """Labels without their films are a DatasetError, not an empty table."""
    (tmp_path / "train.csv").write_text(HEADER + TRAIN)
    with pytest.raises(DatasetError, match="5 films are listed, and none"):
        open_table(tmp_path)
