"""Boxes that readers drew round findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.datasets.cells import Cells, open_csv, read_number
from hilum.datasets.table import Table
from hilum.errors import DatasetError
from hilum.findings import canonical

NIH = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")
"""Columns of NIH's BBox_List_2017.csv, whose "Bbox [x,y,w,h]" is four: film (its name alone), finding and the box."""
PLAIN = ("file", "finding", "x", "y", "w", "h")
"""Columns of a plain CSV: film (as in the table), finding and the box."""


@dataclass(frozen=True, slots=True)
class Box:
    """One rectangle, in pixels of the film that the table names: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


Boxes = Mapping[Path, Mapping[str, Sequence[Box]]]
"""Image → finding → the boxes of all its annotators."""


def read_boxes(path: Path, table: Table) -> Boxes:
    """Read the boxes of a table's films from a CSV with the columns ``PLAIN`` or ``NIH``.

    Boxes of other films, and of findings that we have no name for, are left out. Raises ``DatasetError`` for a missing file or
    column, a number that is none, or a box without an area.
    """
    boxes: dict[Path, dict[str, list[Box]]] = {}
    with open_csv(path, (), "table of boxes") as (given, lines):
        columns = NIH if NIH[0] in given else PLAIN
        if missing := [name for name in columns if name not in given]:
            raise DatasetError(f"The table of boxes lacks {', '.join(missing)}. Expected {', '.join(columns)}.")
        films = {row.image.name if columns is NIH else row.image.as_posix(): row.image for row in table.rows}
        for line, cells in enumerate(lines, start=2):
            image, finding = films.get(cells[columns[0]]), canonical(cells[columns[1]])
            if image is not None and finding is not None:
                boxes.setdefault(image, {}).setdefault(finding, []).append(_box(line, cells, columns[2:]))
    return boxes


def _box(line: int, cells: Cells, columns: Sequence[str]) -> Box:
    x, y, width, height = (read_number(cells[column]) for column in columns)
    if x is None or y is None or width is None or height is None:
        raise DatasetError(f"Line {line} of the table of boxes has an edge that is not a number.")
    if not (width > 0 and height > 0):
        raise DatasetError(f"Line {line} of the table of boxes has a box without an area.")
    return Box(x, y, width, height)
