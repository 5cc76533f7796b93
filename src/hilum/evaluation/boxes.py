"""Boxes that readers drew around findings: pixels on the film → masks on one grid that all films share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets.boxes import Box, Boxes

GRID = 64
"""Cells on each side of a film, whatever its shape."""


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
