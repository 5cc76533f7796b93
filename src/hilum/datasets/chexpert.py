"""CheXpert v1.0 and v1.0-small: ``train.csv``, ``valid.csv``, a test file where there is one, and their films.

Irvin et al. 2019, "CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert Comparison". A label is 1.0, 0.0,
-1.0 (mentioned with uncertainty) or blank (not mentioned).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hilum.datasets.cells import Cells, open_csv, read_label, read_number, split_uncertain
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError
from hilum.findings import NORMAL, canonical

OBSERVATIONS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The labeler's own 14, in CheXpert's order."""
NOT_PATHOLOGY = ("No Finding", "Support Devices")
EXPECTED = "train.csv and valid.csv beside the folders train and valid"
LICENCE = "Stanford University Dataset Research Use Agreement: research, not commercial"
_DESCRIBED = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
_FILES = {
    # file: split, who made its labels, columns that it must have. Only the test file may be without age, sex and view.
    "train.csv": ("train", "CheXpert labeler", (*_DESCRIBED, *OBSERVATIONS)),
    "valid.csv": ("validation", "CheXpert radiologists", (*_DESCRIBED, *OBSERVATIONS)),
    "test.csv": ("test", "CheXpert radiologists", ("Path",)),
    "test_labels.csv": ("test", "CheXpert radiologists", ("Path",)),
}
# What stands before it is the name of the folder, which people change.
_PATH = re.compile(r"(?:^|.*/)((?:train|valid|val|test)/(patient\d+)/(study\d+)/view\d+_(frontal|lateral)\.\w+)")
Observed = tuple[Mapping[str, float | None], frozenset[str]]


def matches(folder: Path) -> bool:
    """Return whether the folder looks like CheXpert."""
    return any((folder / name).is_file() for name in ("train.csv", "valid.csv", "test_labels.csv"))


def read_chexpert(folder: Path) -> Table:
    """Read what there is of the training, validation and test films.

    Films that a file lists and the folder lacks have no row and are counted. Raises ``DatasetError`` for missing columns, another
    form of path or label, or no film at all.
    """
    rows: list[Row] = []
    dropped: dict[str, None] = {}
    listed = 0
    for name, (split, label_source, required) in _FILES.items():
        if not (folder / name).is_file():
            continue
        with open_csv(folder / name, required, name) as (columns, lines):
            observations = [column for column in columns if column in OBSERVATIONS]
            dropped |= dict.fromkeys(column for column in observations if canonical(column) is None)
            observe = observer(observations)
            for line, cells in enumerate(lines, start=2):
                listed += 1
                row = _row(cells, line, name, observe(cells, line), split, label_source)
                if (folder / row.image).is_file():
                    rows.append(row)
    if not rows:
        raise DatasetError(f"{listed} films are listed, and none of them is in the folder. Expected {EXPECTED}.")
    return Table(folder, tuple(rows), "chexpert", tuple(dropped), listed - len(rows))


def _row(cells: Cells, line: int, name: str, observed: Observed, split: str, label_source: str) -> Row:
    found = _PATH.fullmatch(cells["Path"])
    if found is None:
        raise DatasetError(
            f"Line {line} of {name} has a path of another form. Expected FOLDER/train/patient00001/study1/view1_frontal.jpg."
        )
    path, patient, study, direction = found.groups()
    return Row(
        image=Path(path),
        patient=patient,
        source="CheXpert",
        view="LATERAL" if direction == "lateral" else cells.get("AP/PA") or "",
        # An age of 0 stands for an unknown one: the hospital's patients are adults.
        age=read_number(cells.get("Age")) or None,
        sex={"Female": "F", "Male": "M"}.get(cells.get("Sex") or "", ""),
        label_source=label_source,
        labels=observed[0],
        uncertain=observed[1],
        study=f"{patient}/{study}",
        split=split,
        image_licence=LICENCE,
        label_licence=LICENCE,
    )


def observer(columns: Sequence[str]) -> Callable[[Cells, int], Observed]:
    """Return what reads a row's observations as our labels, and which of them are uncertain. Equal ones are kept once.

    By the labeler's definition, with "No Finding" everything else but a support device is absent, and with a positive observation
    the film is not normal; blanks say so here. Other blanks are unknown.
    """
    kept: dict[tuple[str, ...], Observed] = {}

    def observe(cells: Cells, line: int) -> Observed:
        key = tuple(cells[column] or "" for column in columns)
        if key not in kept:
            kept[key] = _observed(
                {column: read_label(text, line, column) for column, text in zip(columns, key, strict=True)}
            )
        return kept[key]

    return observe


def _observed(given: Mapping[str, int | None]) -> Observed:
    ours = {name: value for column, value in given.items() if (name := canonical(column)) is not None}
    if ours.get(NORMAL) == 1:
        ours = {name: 0 if value is None else value for name, value in ours.items()}
    elif NORMAL in ours and ours[NORMAL] is None:
        ill = any(value == 1 for column, value in given.items() if column not in NOT_PATHOLOGY)
        ours[NORMAL] = 0 if ill else None
    return split_uncertain(ours)
