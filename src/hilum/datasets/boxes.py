"""Boxes that readers drew round findings, for judging heat maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hilum.datasets.cells import Cells, open_csv, read_number
from hilum.datasets.table import Table
from hilum.errors import DatasetError
from hilum.findings import canonical

NIH_BOXES = "BBox_List_2017.csv"
PLAIN_BOXES = "boxes.csv"
# file: its columns for the film, the finding, x, y, width and height. NIH's header "Bbox [x,y,w,h]" is four columns.
_COLUMNS = {
    NIH_BOXES: ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]"),
    PLAIN_BOXES: ("file", "finding", "x", "y", "w", "h"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """One box, in pixels of the stored film that it was drawn on (NIH's: 1024 × 1024)."""

    image: Path
    """As in the table."""
    finding: str
    x: float
    """Of the left edge."""
    y: float
    """Of the upper edge."""
    width: float
    height: float
    annotator: str = ""


def read_boxes(path: Path, table: Table) -> tuple[Box, ...]:
    """Read the boxes of a table's films: NIH's ``BBox_List_2017.csv``, or a CSV of file, finding, x, y, w, h and annotator.

    ``path``: the file, or a data set's folder. Boxes of films that the table lacks and of findings that are not ours are left
    out. Raises ``DatasetError`` for missing columns or a side that is no positive number.
    """
    if path.is_dir():
        path = next((path / name for name in _COLUMNS if (path / name).is_file()), path / PLAIN_BOXES)
    nih = path.name.startswith(Path(NIH_BOXES).stem)
    columns = _COLUMNS[NIH_BOXES if nih else PLAIN_BOXES]
    films = {row.image.name if nih else row.image.as_posix(): row.image for row in table.rows}
    boxes = []
    with open_csv(path, columns, "list of boxes") as (_, lines):
        for line, cells in enumerate(lines, start=2):
            image, finding = films.get(cells[columns[0]]), canonical(cells[columns[1]])
            if image is not None and finding is not None:
                sides = _sides(cells, columns[2:], line)
                boxes.append(Box(image, finding, *sides, "NIH" if nih else cells.get("annotator") or ""))
    return tuple(boxes)


def _sides(cells: Cells, columns: tuple[str, ...], line: int) -> tuple[float, float, float, float]:
    x, y, width, height = (read_number(cells[column]) for column in columns)
    if x is None or y is None or not width or not height or min(width, height) <= 0:
        raise DatasetError(
            f"Line {line} of the boxes has no box. Expected x, y, width and height in pixels, the last two positive."
        )
    return x, y, width, height
