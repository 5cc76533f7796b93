"""NIH ChestX-ray14: ``Data_Entry_2017``, its official lists, and the labels that Google's readers gave to 4,374 of its films.

Wang et al. 2017, "ChestX-ray8". Its labels are mined from reports: what is not named is taken as absent. Majkowska et al. 2020
(four findings, adjudicated) and Nabulsi et al. 2021 (all findings, the majority of three readers) had films read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from hilum.datasets.cells import Cells, open_csv, read_number
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError
from hilum.findings import NORMAL, canonical

NO_FINDING = "No Finding"
FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
EXPECTED = "Data_Entry_2017_v2020.csv or Data_Entry_2017.csv beside images or images_001 to images_012"
ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017_v2020.csv.gz", "Data_Entry_2017.csv", "Data_Entry_2017.csv.gz")
LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
LICENCE = "NIH Clinical Center: free use with attribution"
OLDEST = 120
"""Years; the first release has ages of up to 414."""

_ENTRY = (
    "Image Index",
    "Finding Labels",
    "Follow-up #",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
)
_WIDTH = "OriginalImage[Width"  # the header's "OriginalImage[Width,Height]" is two columns
_OURS = {name: canonical(name) or "" for name in (*FINDINGS, NO_FINDING)}
_FOUR = ("Fracture", "Pneumothorax", "Airspace opacity", "Nodule or mass")
_ALL = tuple(name.replace("_", " ") for name in FINDINGS)
_YES = {"YES": 1.0, "NO": 0.0, "1": 1.0, "0": 0.0}
Labels = Mapping[str, float | None]
Read = dict[str, dict[str, float]]
"""File name → column → 1 or 0, as Google's readers gave them."""


def matches(folder: Path) -> bool:
    """Return whether the folder looks like NIH ChestX-ray14."""
    return any((folder / name).is_file() for name in ENTRIES)


def read_nih(folder: Path) -> Table:
    """Read the films that the folder holds, with the official split where its lists are there and Google's labels where they are.

    Films that are listed and not there have no row and are counted. Raises ``DatasetError`` for missing columns, a label that is
    none of the 14, or no film at all.
    """
    path = next((folder / name for name in ENTRIES if (folder / name).is_file()), folder / ENTRIES[0])
    films, split = find_films(folder), _official_split(folder)
    four, every = _google(folder)
    kept: dict[str, Labels] = {}
    rows, listed = [], 0
    with open_csv(path, _ENTRY, "Data_Entry_2017") as (_, lines):
        for line, cells in enumerate(lines, start=2):
            listed += 1
            name, text = cells["Image Index"], cells["Finding Labels"]
            if text not in kept:
                kept[text] = _mined(text, line)
            if name in films:
                row = _row(cells, films[name], kept[text], split.get(name, ""))
                rows.append(_read_again(row, four.get(name), every.get(name)))
    if not rows:
        raise DatasetError(f"{listed} films are listed, and none of them is in the folder. Expected {EXPECTED}.")
    return Table(folder, tuple(rows), "nih", ("Other",) if every else (), listed - len(rows))


def find_films(folder: Path) -> dict[str, Path]:
    """Return file name → path in the folder of every PNG in ``images``, ``images_001/images`` and so on."""
    places = [folder / "images", *sorted(folder.glob("images_*")), *sorted(folder.glob("images_*/images"))]
    return {
        film.name: film.relative_to(folder)
        for place in places
        if place.is_dir()
        for film in place.iterdir()
        if film.suffix == ".png"
    }


def _mined(text: str, line: int) -> Labels:
    named = set(text.split("|"))
    if unknown := named - set(_OURS):
        raise DatasetError(
            f"Line {line} of Data_Entry_2017 has {len(unknown)} labels that are not known. Expected some of "
            f"{', '.join(FINDINGS)}, or {NO_FINDING}, with | between them."
        )
    return {ours: float(theirs in named) for theirs, ours in _OURS.items()}


def _row(cells: Cells, image: Path, labels: Labels, split: str) -> Row:
    patient = f"NIH-{int(cells['Patient ID']):05d}" if cells["Patient ID"].isdecimal() else cells["Patient ID"]
    width = read_number(cells.get(_WIDTH))
    return Row(
        image=image,
        patient=patient,
        source="NIH",
        view=cells["View Position"],
        age=_age(cells["Patient Age"]),
        sex=cells["Patient Gender"],
        label_source="NIH-NLP",
        original_width=None if width is None else int(width),
        labels=labels,
        study=f"{patient}/{cells['Follow-up #']}",
        split=split,
        image_licence=LICENCE,
        label_licence=LICENCE,
    )


def _age(text: str) -> float | None:
    """Return years from ``58``, or from the first release's ``058Y``, ``013M`` (months) and ``001D`` (days)."""
    found = re.fullmatch(r"(\d+)([YMD]?)", text.strip())
    if found is None:
        return None
    years = int(found[1]) / {"M": 12, "D": 365}.get(found[2], 1)
    return years if years <= OLDEST else None


def _official_split(folder: Path) -> dict[str, str]:
    return {
        name: split
        for file, split in LISTS.items()
        if (folder / file).is_file()
        for name in (folder / file).read_text(encoding="utf-8").split()
    }


def _google(folder: Path) -> tuple[Read, Read]:
    """Return the four adjudicated findings and all findings, of the files that there are, told by their columns."""
    four: Read = {}
    every: Read = {}
    for path in (*sorted(folder.glob("*.csv*")), *sorted(folder.glob("*expert_labels/*.csv*"))):
        if path.name not in ENTRIES:
            with open_csv(path, (), "CSV file in the folder") as (columns, lines):
                if "Reader ID" in columns:
                    continue
                if set(_FOUR) <= set(columns):
                    four |= _answers(lines, "Image Index", _FOUR)
                elif {"Image ID", "Abnormal"} <= set(columns):
                    every |= _answers(lines, "Image ID", (*(c for c in _ALL if c in columns), "Abnormal"))
    return four, every


def _answers(lines: Iterator[Cells], key: str, columns: tuple[str, ...]) -> Read:
    """Return the answers of each film; one that has none for a column was not read for it."""
    return {
        cells[key]: {column: _YES[answer] for column in columns if (answer := cells[column].strip().upper()) in _YES}
        for cells in lines
    }


def _read_again(row: Row, four: Mapping[str, float] | None, every: Mapping[str, float] | None) -> Row:
    """Return the row with readers' labels in place of mined ones; the adjudicated ones count more than the majority's."""
    labels = dict(row.labels or {})
    sources = [row.label_source]
    if every:
        labels |= {name: value for column, value in every.items() if (name := canonical(column)) is not None}
        if "Abnormal" in every:
            labels[NORMAL] = 1 - every["Abnormal"]
        sources.append("Google2021")
    if four:
        labels |= {name: value for column, value in four.items() if (name := canonical(column)) is not None}
        labels |= _nodule_or_mass(labels, four.get("Nodule or mass"), every is not None)
        if any(four.values()):
            labels[NORMAL] = 0.0
        sources.append("Google2019")
    return replace(row, labels=labels, label_source="+".join(sources)) if len(sources) > 1 else row


def _nodule_or_mass(labels: Labels, either: float | None, read: bool) -> Labels:
    """Return Nodule and Lesion (our name for a mass) where readers said whether there is either.

    Neither: both are absent. Either: what is named stays; where nothing is named, nobody knows which it is.
    """
    if either == 0:
        return {"Nodule": 0.0, "Lesion": 0.0}
    if either == 1 and not read and not (labels.get("Nodule") or labels.get("Lesion")):
        return {"Nodule": None, "Lesion": None}
    return {}
