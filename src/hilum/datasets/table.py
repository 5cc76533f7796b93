"""The one table that every data set becomes: a row a film, a label 1, 0 or unknown for each finding."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.errors import DatasetError
from hilum.findings import OUTPUTS, canonical
from hilum.records import Array

_REQUIRED = ("file", "patient_id")
_LABELS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "": None}


@dataclass(frozen=True, slots=True)
class Row:
    """One film and what is known of it."""

    image: Path
    """Relative to the table's root."""
    patient: str
    source: str = ""
    view: str = ""
    """``PA``, ``AP`` or empty."""
    age: float | None = None
    sex: str = ""
    label_source: str = ""
    original_width: int | None = None
    """Width in pixels of the film that the stored image was made from."""
    labels: Mapping[str, int | None] | None = None
    """Finding (or ``Normal``) → 1 present, 0 absent, None unknown."""

    def label(self, name: str) -> int | None:
        """Return 1, 0 or None (unknown) for an output."""
        return (self.labels or {}).get(name)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and the folder that their image paths start from."""

    root: Path
    rows: tuple[Row, ...]

    def where(self, keep: Callable[[Row], bool]) -> Table:
        """Return the table with only the rows that ``keep`` accepts."""
        return Table(self.root, tuple(row for row in self.rows if keep(row)))

    def of_patients(self, patients: Collection[str]) -> Table:
        """Return the rows of these patients."""
        return self.where(lambda row: row.patient in patients)

    def without_patients(self, patients: Collection[str]) -> Table:
        """Return the rows of everybody else."""
        return self.where(lambda row: row.patient not in patients)

    @property
    def patients(self) -> tuple[str, ...]:
        """Each patient once, sorted."""
        return tuple(sorted({row.patient for row in self.rows}))

    def labels(self, outputs: tuple[str, ...]) -> Array:
        """Return float32 N×K: 1 present, 0 absent, NaN unknown."""
        values = [[np.nan if (label := row.label(name)) is None else label for name in outputs] for row in self.rows]
        return np.asarray(values, dtype=np.float32).reshape(len(self.rows), len(outputs))


def read_table(path: str | Path, root: Path | None = None) -> Table:
    """Read a CSV of labelled films.

    Columns: ``file`` (relative to ``root``, by default the CSV's folder) and ``patient_id`` are required; ``source``,
    ``view``, ``age``, ``sex``, ``label_source``, ``orig_width`` are read where they are; every column whose name is a
    finding (or a publisher's name for one) holds 1, 0 or nothing for unknown. Other columns are ignored.

    Raises ``DatasetError`` for a missing column, no finding at all, or a label that is none of these.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError("The table does not exist. Expected a CSV file with a row for each film.")
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        columns = reader.fieldnames or []
        missing = [name for name in _REQUIRED if name not in columns]
        outputs = {column: name for column in columns if (name := canonical(column)) in OUTPUTS and name}
        if missing or not outputs:
            raise DatasetError(
                f"The table lacks {', '.join(missing) or 'a finding'}. Expected the columns file and patient_id and one "
                f"for each finding ({', '.join(OUTPUTS)})."
            )
        rows = tuple(_row(number, cells, outputs) for number, cells in enumerate(reader, start=2))
    return Table(root or path.parent, rows)


def _row(number: int, cells: Mapping[str, str], outputs: Mapping[str, str]) -> Row:
    return Row(
        image=Path(cells["file"]),
        patient=cells["patient_id"],
        source=cells.get("source") or "",
        view=cells.get("view") or "",
        age=_number(cells.get("age")),
        sex=cells.get("sex") or "",
        label_source=cells.get("label_source") or "",
        original_width=None if (width := _number(cells.get("orig_width"))) is None else int(width),
        labels={name: _label(number, column, cells[column]) for column, name in outputs.items()},
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _label(number: int, column: str, text: str | None) -> int | None:
    try:
        return _LABELS[(text or "").strip()]
    except KeyError:
        raise DatasetError(
            f"Line {number} has an unexpected label for {column}. Expected 1 (present), 0 (absent) or nothing (unknown)."
        ) from None
