"""Does anything stand on both sides of a split: a patient, a film, or nearly the same film?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.datasets.films import Bytes
from hilum.datasets.table import Table
from hilum.errors import DatasetError
from hilum.records import Array

HASH_SIDE = 16
NEAR_DUPLICATE_BITS = 12
"""Of 256. Different films of one patient lie above 40, recompressed copies of one film below 10."""
NEAR_DUPLICATE_CORRELATION = 0.97
"""Of the grey values. Films that are mostly black agree in their hashes: different ones correlate below 0.93, copies above 0.99."""
THUMBNAIL = 32


@dataclass(frozen=True, slots=True)
class Leaks:
    """Pairs (row of the first table, row of the second) that should not be."""

    patients: tuple[str, ...]
    same_pixels: tuple[tuple[int, int], ...]
    near_duplicates: tuple[tuple[int, int], ...]

    def __bool__(self) -> bool:
        return bool(self.patients or self.same_pixels or self.near_duplicates)


def perceptual_hash(films: Bytes) -> npt.NDArray[np.uint8]:
    """Return N × 32 bytes: the signs of horizontal differences of each film shrunk to 16 × 17 (a difference hash)."""
    means = _block_means(films, HASH_SIDE, HASH_SIDE + 1)
    return np.packbits((np.diff(means, axis=2) > 0).reshape(len(films), -1), axis=1)


def _block_means(films: Bytes, rows: int, columns: int) -> Array:
    """Return N × rows × columns: the mean of each block of the films, N × H × W."""
    _, height, width = films.shape
    tops = np.linspace(0, height, rows + 1).astype(int)
    lefts = np.linspace(0, width, columns + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(films.astype(np.float32), tops[:-1], axis=1), lefts[:-1], axis=2)
    return np.asarray(sums / (np.diff(tops)[:, None] * np.diff(lefts)), dtype=np.float32)


def _correlation(first: Bytes, second: Bytes) -> float:
    """Return Pearson's correlation of two films' thumbnails, 1 where both are flat."""
    side = min(THUMBNAIL, *first.shape)
    one, other = _block_means(np.stack([first, second]), side, side).reshape(2, -1).astype(np.float64)
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / scale if scale else 1.0


def find_leaks(first: Table, first_films: Bytes, second: Table, second_films: Bytes) -> Leaks:
    """Compare two sides of a split. ``*_films``: N × H × W uint8 of one size, in the tables' order."""
    patients = tuple(sorted(set(first.patients) & set(second.patients)))
    by_pixels = {film.tobytes(): index for index, film in enumerate(first_films)}
    same = tuple(
        (by_pixels[key], index) for index, film in enumerate(second_films) if (key := film.tobytes()) in by_pixels
    )
    near = _near(perceptual_hash(first_films), perceptual_hash(second_films))
    alike = (
        pair for pair in near if _correlation(first_films[pair[0]], second_films[pair[1]]) >= NEAR_DUPLICATE_CORRELATION
    )
    return Leaks(patients, same, tuple(pair for pair in alike if pair not in set(same)))


def _near(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for index, code in enumerate(second):
        distance = np.bitwise_count(first ^ code).sum(axis=1)
        pairs += [(int(match), index) for match in np.flatnonzero(distance <= NEAR_DUPLICATE_BITS)]
    return pairs


def refuse_leaks(leaks: Leaks) -> None:
    """Raise ``DatasetError`` with the counts if there are any."""
    if leaks:
        raise DatasetError(
            f"The two sides of the split share {len(leaks.patients)} patients, {len(leaks.same_pixels)} identical films and "
            f"{len(leaks.near_duplicates)} near-duplicates. Expected none: move each such patient to one side."
        )
