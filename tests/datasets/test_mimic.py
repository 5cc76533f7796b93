"""MIMIC-CXR-JPG: its files as they are given out become the table; what is missing is refused by name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hilum.datasets.layouts import open_table
from hilum.datasets.table import Table
from hilum.errors import DatasetError

LABELS = (
    "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,"
    "No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices\n"
    "10000032,50414267,,,,,,,,,1.0,,,,,\n"
    "10000764,57375967,,,1.0,,,,,,,,,-1.0,,\n"
)
SPLIT = (
    "dicom_id,study_id,subject_id,split\n"
    "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014,50414267,10000032,train\n"
    "174413ec-4ec4c1f7-34ea26b7-c5f994f8-79ef1962,50414267,10000032,train\n"
    "096052b7-d256dc40-453a102b-fa7d01c6-1b22c6b4,57375967,10000764,test\n"
    "68b5c4b1-227d0485-9cc38c3f-7b84ab51-4b472714,53911762,10000898,validate\n"
)
METADATA = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning\n"
    "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531,"
    "CHEST (PA AND LAT),postero-anterior,Erect\n"
    "174413ec-4ec4c1f7-34ea26b7-c5f994f8-79ef1962,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,213014.531,"
    "CHEST (PA AND LAT),lateral,Erect\n"
    "096052b7-d256dc40-453a102b-fa7d01c6-1b22c6b4,10000764,57375967,CHEST (PORTABLE AP),,2021,2021,21321015,80935.0,,"
    "antero-posterior,\n"
)
FILES = {"chexpert": LABELS, "split": SPLIT, "metadata": METADATA}


def make(folder: Path, **files: str) -> Path:
    """Write the files, gzipped as they are given out, and an empty film for each of the split's."""
    folder.mkdir(exist_ok=True)
    for kind, text in files.items():
        (folder / f"mimic-cxr-2.0.0-{kind}.csv.gz").write_bytes(gzip.compress(text.encode()))
    for line in SPLIT.splitlines()[1:]:
        film, study, subject, _ = line.split(",")
        path = folder / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}" / f"{film}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return open_table(make(tmp_path / "mimic", **FILES))


def test_every_film_has_its_row(table: Table) -> None:
    """Path, patient, study, view, width and split are known; a view that is missing is told from the view's code."""
    assert (table.layout, len(table.rows), table.absent) == ("mimic-cxr", 4, 0)
    frontal, lateral, portable, plain = table.rows
    assert frontal.image == Path("files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg")
    assert (frontal.patient, frontal.study, frontal.original_width) == ("p10000032", "s50414267", 2544)
    assert [row.view for row in table.rows] == ["PA", "LATERAL", "AP", ""]
    assert [row.split for row in table.rows] == ["train", "train", "test", "validation"]
    assert frontal.labels is lateral.labels
    assert "PhysioNet" in portable.image_licence
    assert (plain.labels, plain.label_source) == ({}, "")


def test_labels_are_the_labelers(table: Table) -> None:
    """No Finding makes the rest absent; -1 is uncertain; a study that no labeler could label stays unknown."""
    frontal, _, portable, plain = table.rows
    assert (frontal.label("Normal"), frontal.label("Effusion"), frontal.label_source) == (1, 0, "CheXpert labeler")
    assert (portable.label("Consolidation"), portable.label("Pneumonia"), portable.label("Normal")) == (1, None, 0)
    assert portable.uncertain == {"Pneumonia"}
    assert plain.label("Normal") is None
    assert table.dropped == ("Enlarged Cardiomediastinum", "Pleural Other", "Support Devices")


def test_age_and_sex_come_from_mimic_iv(tmp_path: Path, table: Table) -> None:
    """Where MIMIC-IV's patients.csv lies beside it, a patient's age is the one at the study; else neither is known."""
    assert {(row.age, row.sex) for row in table.rows} == {(None, "")}
    folder = make(tmp_path / "both", **FILES)
    (folder / "patients.csv").write_text(
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n10000032,F,52,2178,2014 - 2016,2180-09-09\n"
    )
    first, lateral, other, _ = open_table(folder).rows
    assert (first.age, first.sex, lateral.age) == (54.0, "F", 54.0)
    assert (other.age, other.sex) == (None, "")


def test_negbio_is_read_where_it_stands_alone(tmp_path: Path) -> None:
    """NegBio's labels have the same columns and are named as their source."""
    files = {"negbio": LABELS, "split": SPLIT, "metadata": METADATA}
    assert open_table(make(tmp_path / "negbio", **files)).rows[0].label_source == "NegBio"


def test_the_radiologists_labels_replace_the_labelers(tmp_path: Path) -> None:
    """Of 2.1.0's test set the radiologist's labels count, with Airspace Opacity for Lung Opacity."""
    folder = make(tmp_path / "mimic", **FILES)
    (folder / "mimic-cxr-2.1.0-test-set-labeled.csv").write_text(
        "study_id,Airspace Opacity,Pneumonia,No Finding\n57375967,1.0,0.0,\n"
    )
    labelled = open_table(folder).rows[2]
    assert (labelled.label("Opacity"), labelled.label("Pneumonia"), labelled.label("Consolidation")) == (1, 0, None)
    assert labelled.label_source == "radiologist (report)"


def test_films_that_are_not_there_are_counted(tmp_path: Path) -> None:
    """A part of the data set can be used."""
    folder = make(tmp_path / "part", **FILES)
    next(folder.glob("files/p10/p10000764/*/*.jpg")).unlink()
    assert (len(open_table(folder).rows), open_table(folder).absent) == (3, 1)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({**FILES, "split": SPLIT.replace("validate", "later")}, "Line 5 of the split file has another split"),
        ({**FILES, "chexpert": LABELS.replace("-1.0", "maybe")}, "Line 3 has an unexpected label for Pneumonia"),
        (
            {**FILES, "chexpert": LABELS.replace("Edema,", "")},
            "15 columns were found in the chexpert labels, but not Edema",
        ),
        ({"split": SPLIT, "metadata": METADATA}, "There is no mimic-cxr-2.x-negbio.csv"),
        ({"split": SPLIT, "chexpert": LABELS}, "There is no mimic-cxr-2.x-metadata.csv"),
    ],
)
def test_what_does_not_match_is_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    """Another split, a strange label, a missing column or file is a DatasetError with what was found."""
    with pytest.raises(DatasetError, match=message):
        open_table(make(tmp_path / "wrong", **files))


def test_a_broken_gzip_is_refused(tmp_path: Path) -> None:
    """A file that was cut off while it was fetched is a DatasetError."""
    folder = make(tmp_path / "cut", **FILES)
    path = folder / "mimic-cxr-2.0.0-chexpert.csv.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DatasetError, match="can't be read"):
        open_table(folder)
