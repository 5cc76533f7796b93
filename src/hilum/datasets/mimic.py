"""MIMIC-CXR-JPG 2.x: its label files, its split, its metadata, and ``files/p10/p10000032/s50414267/….jpg``.

Johnson et al. 2019, "MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs". The labels are CheXpert's
14, by the CheXpert labeler or NegBio; from 2.1.0 on a radiologist's labels of the test set's reports lie beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.datasets.cells import Cells, open_csv, read_number
from hilum.datasets.chexpert import OBSERVATIONS, Observed, observer
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError
from hilum.findings import canonical

EXPECTED = "mimic-cxr-2.0.0-chexpert.csv.gz (or -negbio), -split.csv.gz and -metadata.csv.gz beside the folder files"
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0"
SPLITS = {"train": "train", "validate": "validation", "test": "test"}
VIEWS = {"postero-anterior": "PA", "antero-posterior": "AP", "lateral": "LATERAL", "left lateral": "LL"}
"""The view's code in words, for the films that have no ViewPosition."""

_LABELERS = {"chexpert": "CheXpert labeler", "negbio": "NegBio"}
_RADIOLOGIST = "test-set-labeled"
_AIRSPACE = "Airspace Opacity"  # the radiologist's file calls Lung Opacity so
_SPLIT = ("dicom_id", "study_id", "subject_id", "split")
_METADATA = ("dicom_id", "ViewPosition", "Columns", "StudyDate", "ViewCodeSequence_CodeMeaning")
_PATIENTS = ("subject_id", "gender", "anchor_age", "anchor_year")
Labelled = Mapping[str, tuple[Observed, str]]
"""Study → its labels, and who gave them."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the metadata say of a film."""

    view: str
    width: int | None
    year: float | None
    """Of the study, in the patient's own shifted time."""


@dataclass(frozen=True, slots=True)
class Person:
    """What MIMIC-IV says of a patient."""

    sex: str
    born: float | None
    """Year, in the patient's own shifted time."""


UNKNOWN = Described("", None, None)


def matches(folder: Path) -> bool:
    """Return whether the folder looks like MIMIC-CXR-JPG."""
    return _find(folder, "split") is not None


def read_mimic(folder: Path) -> Table:
    """Read the films that the folder holds. A study that no labeler could label has unknown labels.

    Age and sex are not in MIMIC-CXR-JPG; they are read where MIMIC-IV's ``patients.csv`` lies beside it. Films that the split file
    lists and the folder lacks have no row and are counted. Raises ``DatasetError`` for a missing file or column, a strange label or
    split, or no film at all.
    """
    labels, dropped = _labels(folder)
    described, people = _metadata(folder), _people(folder)
    rows, listed = [], 0
    with open_csv(_need(folder, "split"), _SPLIT, "the split file") as (_, lines):
        for line, cells in enumerate(lines, start=2):
            listed += 1
            row = _row(cells, line, labels, described.get(cells["dicom_id"], UNKNOWN), people.get(cells["subject_id"]))
            if (folder / row.image).is_file():
                rows.append(row)
    if not rows:
        raise DatasetError(f"{listed} films are listed, and none of them is in the folder. Expected {EXPECTED}.")
    return Table(folder, tuple(rows), "mimic-cxr", dropped, listed - len(rows))


def _find(folder: Path, kind: str) -> Path | None:
    """Return the file of a kind, of whichever 2.x, plain or gzipped."""
    found = (*sorted(folder.glob(f"mimic-cxr-2.*-{kind}.csv")), *sorted(folder.glob(f"mimic-cxr-2.*-{kind}.csv.gz")))
    return found[0] if found else None


def _need(folder: Path, kind: str) -> Path:
    path = _find(folder, kind)
    if path is None:
        raise DatasetError(f"There is no mimic-cxr-2.x-{kind}.csv or .csv.gz in the folder. Expected {EXPECTED}.")
    return path


def _labels(folder: Path) -> tuple[Labelled, tuple[str, ...]]:
    kind = "chexpert" if _find(folder, "chexpert") else "negbio"
    labels: dict[str, tuple[Observed, str]] = {}
    with open_csv(_need(folder, kind), ("subject_id", "study_id", *OBSERVATIONS), f"the {kind} labels") as (_, lines):
        observe = observer(OBSERVATIONS)
        for line, cells in enumerate(lines, start=2):
            labels[cells["study_id"]] = (observe(cells, line), _LABELERS[kind])
    radiologist = _find(folder, _RADIOLOGIST)
    if radiologist is not None:
        with open_csv(radiologist, ("study_id",), "the test set's labels") as (columns, lines):
            observe = observer([column for column in columns if column in (*OBSERVATIONS, _AIRSPACE)])
            for line, cells in enumerate(lines, start=2):
                labels[cells["study_id"]] = (observe(cells, line), "radiologist (report)")
    return labels, tuple(name for name in OBSERVATIONS if canonical(name) is None)


def _metadata(folder: Path) -> Mapping[str, Described]:
    """Return film → its description."""
    described = {}
    with open_csv(_need(folder, "metadata"), _METADATA, "the metadata") as (_, lines):
        for cells in lines:
            view = cells["ViewPosition"] or VIEWS.get(cells["ViewCodeSequence_CodeMeaning"].strip().lower(), "")
            width = read_number(cells["Columns"])
            described[cells["dicom_id"]] = Described(
                view, None if width is None else int(width), read_number(cells["StudyDate"][:4])
            )
    return described


def _people(folder: Path) -> Mapping[str, Person]:
    """Return subject → sex and year of birth, from MIMIC-IV's table where it is there. Everybody above 89 is 91 in it."""
    people = {}
    path = next((folder / name for name in ("patients.csv", "patients.csv.gz") if (folder / name).is_file()), None)
    if path is not None:
        with open_csv(path, _PATIENTS, "MIMIC-IV's table of patients") as (_, lines):
            for cells in lines:
                age, year = read_number(cells["anchor_age"]), read_number(cells["anchor_year"])
                people[cells["subject_id"]] = Person(
                    cells["gender"], None if age is None or year is None else year - age
                )
    return people


def _row(cells: Cells, line: int, labels: Labelled, described: Described, person: Person | None) -> Row:
    film, study, subject = cells["dicom_id"], cells["study_id"], cells["subject_id"]
    if cells["split"] not in SPLITS:
        raise DatasetError(f"Line {line} of the split file has another split. Expected one of {', '.join(SPLITS)}.")
    (known, uncertain), label_source = labels.get(study, (({}, frozenset()), ""))
    born = None if person is None else person.born
    return Row(
        image=Path("files", f"p{subject[:2]}", f"p{subject}", f"s{study}", f"{film}.jpg"),
        patient=f"p{subject}",
        source="MIMIC-CXR",
        view=described.view,
        age=None if born is None or described.year is None else described.year - born,
        sex="" if person is None else person.sex,
        label_source=label_source,
        original_width=described.width,
        labels=known,
        uncertain=uncertain,
        study=f"s{study}",
        split=SPLITS[cells["split"]],
        image_licence=LICENCE,
        label_licence=LICENCE,
    )
