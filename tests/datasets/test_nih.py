"""NIH ChestX-ray14: its files as they are given out, and Google's labels beside them, become the table."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hilum.datasets.boxes import Box, read_boxes
from hilum.datasets.layouts import open_table
from hilum.datasets.split import read_patients
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError

COLUMNS = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,Height],"
    "OriginalImagePixelSpacing[x,y]"
)
V2020 = (
    "00000001_000.png,Cardiomegaly,0,1,57,M,PA,2682,2749,0.14300000000000002,0.14300000000000002\n"
    "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,PA,2894,2729,0.14300000000000002,0.14300000000000002\n"
    "00000002_000.png,No Finding,0,2,80,F,AP,2500,2048,0.171,0.171\n"
    "00000013_026.png,Mass|Pleural_Thickening,26,13,57,M,AP,2500,2048,0.168,0.168\n"
)
FIRST_RELEASE = (
    "00000001_000.png,Cardiomegaly,000,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
    "00000003_000.png,Hernia,000,3,013M,F,PA,2582,2991,0.143,0.143,\n"
    "00005567_000.png,Effusion,000,5567,412Y,M,AP,3056,2544,0.139,0.139,\n"
)
FOUR = COLUMNS + ",Fracture,Pneumothorax,Airspace opacity,Nodule or mass\r\n"
ALL = (
    "Image ID,Patient ID,Abnormal,Atelectasis,Cardiomegaly,Consolidation,Edema,Effusion,Emphysema,Fibrosis,Hernia,Infiltration,"
    "Mass,Nodule,Pleural Thickening,Pneumonia,Pneumothorax,Other\n"
)


def make(folder: Path, entries: str, name: str = "Data_Entry_2017_v2020.csv", trailing: str = "") -> Path:
    """Write the entries, and an empty film for each, dealt into two of the publisher's folders."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(COLUMNS + trailing + "\n" + entries, encoding="utf-8")
    for number, line in enumerate(entries.splitlines()):
        film = folder / f"images_00{1 + number % 2}" / "images" / line.split(",")[0]
        film.parent.mkdir(parents=True, exist_ok=True)
        film.touch()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "nih", V2020)


def row(table: Table, name: str) -> Row:
    return next(row for row in table.rows if row.image.name == name)


def test_every_film_has_its_row(folder: Path) -> None:
    """Films are found in the publisher's twelve folders; what is known of them is in the row, and the lists give the split."""
    (folder / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (folder / "test_list.txt").write_text("00000002_000.png\n00000013_026.png")
    table = open_table(folder)
    assert (table.layout, table.absent, len(table.rows)) == ("nih", 0, 4)
    first, second, third, _ = table.rows
    assert second.image == Path("images_002/images/00000001_001.png")
    assert (first.view, first.age, first.sex, first.original_width) == ("PA", 57.0, "M", 2682)
    assert first.study != second.study
    assert [row.split for row in table.rows] == ["train", "train", "test", "test"]
    assert (third.label_source, third.source) == ("NIH-NLP", "NIH")
    assert "attribution" in third.label_licence


def test_patients_are_named_as_in_the_frozen_hold_out(folder: Path) -> None:
    """The repository's own splits hold for the publisher's folder."""
    holdout = read_patients(Path(__file__).parents[2] / "splits" / "holdout.csv")
    assert open_table(folder).of_patients(holdout).patients == ("NIH-00002",)


def test_mined_labels_become_ours(folder: Path) -> None:
    """What is named is present and the rest of the 14 absent; Mass is Lesion, No Finding Normal; Fracture is unknown."""
    table = open_table(folder)
    both = row(table, "00000001_001.png")
    assert both.label("Cardiomegaly") == both.label("Emphysema") == 1
    assert both.label("Normal") == both.label("Edema") == 0
    assert both.label("Fracture") is None
    assert row(table, "00000002_000.png").label("Normal") == 1
    last = row(table, "00000013_026.png")
    assert last.label("Lesion") == last.label("Pleural Thickening") == 1


def test_the_first_release_is_read_too(tmp_path: Path) -> None:
    """Ages with a unit become years, impossible ones unknown; the header's trailing comma and a flat folder do no harm."""
    folder = make(tmp_path / "first", FIRST_RELEASE, "Data_Entry_2017.csv", ",")
    (folder / "images").mkdir()
    for film in folder.glob("images_*/images/*.png"):
        film.rename(folder / "images" / film.name)
    ages = [row.age for row in open_table(folder).rows]
    assert ages == [58.0, pytest.approx(13 / 12), None]


def test_a_gzipped_table_and_missing_films_are_fine(folder: Path) -> None:
    """The table may be gzipped; a film that is not there has no row and is counted."""
    table = folder / "Data_Entry_2017_v2020.csv"
    (folder / f"{table.name}.gz").write_bytes(gzip.compress(table.read_bytes()))
    table.unlink()
    next(folder.glob("images_*/images/00000013_026.png")).unlink()
    assert (len(open_table(folder).rows), open_table(folder).absent) == (3, 1)


def test_adjudicated_labels_replace_mined_ones(folder: Path) -> None:
    """Four findings are set as the readers agreed; nodule or mass, where nothing is named, leaves both unknown."""
    lines = V2020.splitlines()
    four = FOUR + f"{lines[0]},NO,NO,YES,YES\r\n{lines[2]},NO,NO,NO,NO\r\n{lines[3]},YES,NO,NO,YES\r\n"
    (folder / "four_findings_expert_labels").mkdir()
    (folder / "four_findings_expert_labels" / "test_labels.csv").write_bytes(four.encode())
    table = open_table(folder)
    first, second, normal, last = table.rows
    assert (first.label("Opacity"), first.label("Fracture"), first.label("Pneumothorax")) == (1, 0, 0)
    assert first.label("Lesion") is first.label("Nodule") is None
    assert first.label("Cardiomegaly") == 1
    assert first.label_source == "NIH-NLP+Google2019"
    assert (second.label("Opacity"), second.label_source) == (None, "NIH-NLP")
    assert (normal.label("Normal"), normal.label("Nodule")) == (1, 0)
    assert (last.label("Fracture"), last.label("Lesion"), last.label("Nodule"), last.label("Normal")) == (1, 1, 0, 0)


def test_all_findings_replace_mined_ones_and_adjudicated_ones_replace_both(folder: Path) -> None:
    """The majority's labels count for all 14 and for Normal, the adjudicated ones count more; single readers' files are left."""
    majority = (
        "00000001_000.png,1,YES,NO,NO,NO,NO,YES,NO,NO,NO,NO,NO,YES,NO,NO,YES,NO\n00000002_000.png,2,NO"
        + ",NO" * 15
        + "\n"
    )
    (folder / "all_findings_expert_labels_test_labels.csv").write_text(ALL + majority)
    (folder / "individual_readers.csv").write_text("Reader ID," + ALL + "4343882785," + majority)
    (folder / "four.csv").write_bytes((FOUR + f"{V2020.splitlines()[0]},NO,NO,NO,YES\r\n").encode())
    table = open_table(folder)
    first, _, normal, _ = table.rows
    assert (first.label("Cardiomegaly"), first.label("Effusion"), first.label("Normal")) == (0, 1, 0)
    assert first.label("Pneumothorax") == 0
    assert (first.label("Nodule"), first.label("Lesion")) == (1, 0)
    assert first.label_source == "NIH-NLP+Google2021+Google2019"
    assert (normal.label("Normal"), normal.label("Edema")) == (1, 0)
    assert table.dropped == ("Other",)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("00000001_000.png,Cardiomegaly|Gout,0,1,57,M,PA,1,1,1,1\n", "Line 2 of Data_Entry_2017 has 1 labels"),
        ("", "0 films are listed"),
    ],
)
def test_what_does_not_match_is_refused(tmp_path: Path, entries: str, message: str) -> None:
    """A label that is none of the 14, or no film at all, is a DatasetError with what was found."""
    with pytest.raises(DatasetError, match=message):
        open_table(make(tmp_path / "wrong", entries))


def test_another_table_is_refused(tmp_path: Path) -> None:
    """A file of that name without the publisher's columns is a DatasetError that names what is missing."""
    (tmp_path / "Data_Entry_2017.csv").write_text("Image Index,Finding Labels\n")
    with pytest.raises(DatasetError, match="2 columns were found in Data_Entry_2017, but not Follow-up #, Patient ID"):
        open_table(tmp_path)


def test_the_publishers_boxes_are_read(folder: Path) -> None:
    """The list's odd header is understood, Infiltrate is Infiltration, and boxes of films that are not there are left out."""
    (folder / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_001.png,Atelectasis,225.084745762712,547.019216763771,86.7796610169491,79.1864406779661,,,\n"
        "00000001_001.png,Infiltrate,1,2,3,4,,,\n"
        "00029817_009.png,Atelectasis,1,2,3,4,,,\n"
    )
    boxes = read_boxes(folder / "BBox_List_2017.csv", open_table(folder))
    assert set(boxes) == {Path("images_002/images/00000001_001.png")}
    by_finding = boxes[Path("images_002/images/00000001_001.png")]
    assert by_finding["Atelectasis"] == [Box(225.084745762712, 547.019216763771, 86.7796610169491, 79.1864406779661)]
    assert by_finding["Infiltration"] == [Box(1, 2, 3, 4)]
