"""A table's films in memory, small: what training and leak checks read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets.table import Table
from hilum.images import read_image
from hilum.normalise import resample
from hilum.records import Array, InputSpec

Bytes = npt.NDArray[np.uint8]


def small_film(path: Path, size: int) -> Bytes:
    """Read one film as uint8 size × size, 0–255, bright = dense."""
    spec = InputSpec(size, size, 1, 1.0, (0.0,), (1.0,))
    return quantise(resample(read_image(path).pixels, spec))


def quantise(pixels: Array) -> Bytes:
    """Return pixels 0–1 as uint8 0–255."""
    return np.asarray(np.rint(np.clip(pixels, 0, 1) * 255), dtype=np.uint8)


def load_films(table: Table, size: int) -> Bytes:
    """Return all films of a table, N × size × size uint8, in its order."""
    films = np.empty((len(table.rows), size, size), dtype=np.uint8)
    for index, row in enumerate(table.rows):
        films[index] = small_film(table.root / row.image, size)
    return films
