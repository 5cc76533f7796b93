"""Boxes that readers drew around findings: a CSV of pixels on the film → masks on one grid that all films share."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.errors import DatasetError
from hilum.findings import canonical

GRID = 64
"""Cells on each side of a film, whatever its shape."""
_COLUMNS = ("file", "finding", "x", "y", "w", "h")


@dataclass(frozen=True, slots=True)
class Box:
    """One rectangle, in pixels of the film that the table names: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


Boxes = Mapping[Path, Mapping[str, Sequence[Box]]]
"""Image → finding → the boxes of all its annotators."""


def read_boxes(path: Path) -> Boxes:
    """Read a CSV with the columns ``file``, ``finding``, ``x``, ``y``, ``w``, ``h``, in pixels of the film.

    Findings that we have no name for are left out. Raises ``DatasetError`` for a missing file or column, a number that
    is none, or a box without an area.
    """
    if not path.is_file():
        raise DatasetError("The table of boxes does not exist. Expected a CSV file with a row for each box.")
    boxes: dict[Path, dict[str, list[Box]]] = {}
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or [])]:
            raise DatasetError(f"The table of boxes lacks {', '.join(missing)}. Expected {', '.join(_COLUMNS)}.")
        for number, cells in enumerate(reader, start=2):
            if (name := canonical(cells["finding"])) is not None:
                boxes.setdefault(Path(cells["file"]), {}).setdefault(name, []).append(_box(number, cells))
    return boxes


def _box(number: int, cells: Mapping[str, str]) -> Box:
    try:
        box = Box(*(float(cells[name]) for name in _COLUMNS[2:]))
    except (TypeError, ValueError):
        raise DatasetError(f"Line {number} of the table of boxes has an edge that is not a number.") from None
    if not (box.width > 0 and box.height > 0):
        raise DatasetError(f"Line {number} of the table of boxes has a box without an area.")
    return box


def mask(boxes: Sequence[Box], width: int, height: int) -> npt.NDArray[np.bool_]:
    """Return GRID × GRID: which cells of a ``width`` × ``height`` film have their centre in any of the boxes."""
    inside = np.zeros((GRID, GRID), dtype=bool)
    x, y = (np.arange(GRID) + 0.5) / GRID * width, (np.arange(GRID) + 0.5) / GRID * height
    for box in boxes:
        columns = (x >= box.x) & (x < box.x + box.width)
        rows = (y >= box.y) & (y < box.y + box.height)
        inside |= rows[:, np.newaxis] & columns
    return inside


def masks_of(boxes: Boxes, size_of: Callable[[Path], tuple[int, int]]) -> dict[Path, dict[str, npt.NDArray[np.bool_]]]:
    """Return image → finding → mask. ``size_of`` gives the width and height that a film's boxes are measured in."""
    sizes = {image: size_of(image) for image in boxes}
    return {
        image: {name: mask(drawn, *sizes[image]) for name, drawn in by_finding.items()}
        for image, by_finding in boxes.items()
    }
