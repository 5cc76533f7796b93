"""The plain layout: a CSV with a row for each film."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hilum.datasets.cells import Cells, open_csv, read_label, read_name, read_number, split_uncertain
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError
from hilum.findings import OUTPUTS, canonical

DEFAULT_NAME = "labels.csv"
EXPECTED = "labels.csv beside its images, with the columns file and patient_id and one for each finding"
_REQUIRED = ("file", "patient_id")
_KNOWN = (
    *_REQUIRED,
    "source",
    "view",
    "age",
    "sex",
    "label_source",
    "orig_width",
    "study_id",
    "split",
    "image_licence",
    "licence",
    "label_licence",
)


def matches(folder: Path) -> bool:
    """Return whether the folder holds a plain table."""
    return (folder / DEFAULT_NAME).is_file()


def read_table(path: str | Path, root: Path | None = None) -> Table:
    """Read a CSV of labelled films, or the ``labels.csv`` of a folder.

    Columns: ``file`` (relative to ``root``, by default the CSV's folder) and ``patient_id`` are required; ``source``, ``view``,
    ``age``, ``sex``, ``label_source``, ``orig_width``, ``study_id``, ``split``, ``image_licence`` (or ``licence``) and
    ``label_licence`` are read where they are; every column whose name is a finding (or a publisher's name for one) holds 1, 0,
    -1 for uncertain, or nothing for unknown. Other columns are left out, and named in the table.

    Raises ``DatasetError`` for a missing column, no finding at all, or a label that is none of these.
    """
    path = Path(path)
    if path.is_dir():
        path = path / DEFAULT_NAME
    with open_csv(path, _REQUIRED, "table of labelled films") as (columns, lines):
        outputs = {column: name for column in columns if (name := canonical(column)) is not None}
        if not outputs:
            raise DatasetError(
                f"The table has {len(columns)} columns, but not one for a finding. Expected one for each ({', '.join(OUTPUTS)})."
            )
        rows = tuple(_row(number, cells, outputs) for number, cells in enumerate(lines, start=2))
    dropped = tuple(column for column in columns if column not in _KNOWN and column not in outputs)
    return Table(root or path.parent, rows, dropped=dropped)


def _row(number: int, cells: Cells, outputs: Mapping[str, str]) -> Row:
    labels, uncertain = split_uncertain(
        {name: read_label(cells[column], number, column) for column, name in outputs.items()}
    )
    width = read_number(cells.get("orig_width"))
    return Row(
        image=Path(read_name(cells["file"], number, "file")),
        patient=read_name(cells["patient_id"], number, "patient_id"),
        source=cells.get("source") or "",
        view=cells.get("view") or "",
        age=read_number(cells.get("age")),
        sex=cells.get("sex") or "",
        label_source=cells.get("label_source") or "",
        original_width=None if width is None else int(width),
        labels=labels,
        uncertain=uncertain,
        study=cells.get("study_id") or "",
        split=cells.get("split") or "",
        image_licence=cells.get("image_licence") or cells.get("licence") or "",
        label_licence=cells.get("label_licence") or "",
    )
