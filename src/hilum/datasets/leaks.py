"""Does anything stand on both sides of a split: a patient, a film, or nearly the same film?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hilum.datasets.films import Bytes
from hilum.datasets.prints import WORDS, Prints, Words, correlation, take_prints
from hilum.datasets.table import Table
from hilum.errors import DatasetError

NEAR_DUPLICATE_BITS = 12
"""Of 256. Different films of one patient lie above 40, recompressed copies of one film below 10."""
NEAR_DUPLICATE_CORRELATION = 0.97
"""Of the grey values. Films that are mostly black agree in their hashes: different ones correlate below 0.93, copies above 0.99."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """Pairs (row of the first table, row of the second) that should not be."""

    patients: tuple[str, ...]
    same_pixels: tuple[tuple[int, int], ...]
    near_duplicates: tuple[tuple[int, int], ...]

    def __bool__(self) -> bool:
        return bool(self.patients or self.same_pixels or self.near_duplicates)


def find_leaks(first: Table, first_films: Bytes, second: Table, second_films: Bytes) -> Leaks:
    """Compare two sides of a split. ``*_films``: N × H × W uint8 of one size, in the tables' order."""
    return compare_prints(first, take_prints(first_films), second, take_prints(second_films))


def compare_prints(first: Table, first_prints: Prints, second: Table, second_prints: Prints) -> Leaks:
    """Compare two sides of a split by their films' prints, of one size, in the tables' order."""
    patients = tuple(sorted(set(first.patients) & set(second.patients)))
    by_pixels = {digest: index for index, digest in enumerate(first_prints.digests)}
    same = tuple(
        (by_pixels[digest], index) for index, digest in enumerate(second_prints.digests) if digest in by_pixels
    )
    known = set(same)
    near = tuple(
        pair
        for pair in find_near(first_prints.hashes, second_prints.hashes)
        if pair not in known
        and correlation(first_prints.thumbnails[pair[0]], second_prints.thumbnails[pair[1]])
        >= NEAR_DUPLICATE_CORRELATION
    )
    return Leaks(patients, same, near)


def find_near(first: Words, second: Words) -> Iterator[tuple[int, int]]:
    """Yield each pair of hashes, N × 4 and M × 4, that differ in at most ``NEAR_DUPLICATE_BITS`` bits.

    One numpy pass over the longer side for each hash of the shorter; after its first word few are left to be looked at.
    """
    turned = len(first) < len(second)
    many, few = (second, first) if turned else (first, second)
    columns = np.ascontiguousarray(many.T)
    for index, code in enumerate(few):
        distance = np.bitwise_count(columns[0] ^ code[0])
        left = np.flatnonzero(distance <= NEAR_DUPLICATE_BITS)
        distance = distance[left]
        for word in range(1, WORDS):
            distance = distance + np.bitwise_count(columns[word, left] ^ code[word])
            close = distance <= NEAR_DUPLICATE_BITS
            left, distance = left[close], distance[close]
        yield from ((index, int(match)) if turned else (int(match), index) for match in left)


def refuse_leaks(leaks: Leaks) -> None:
    """Raise ``DatasetError`` with the counts if there are any."""
    if leaks:
        raise DatasetError(
            f"The two sides of the split share {len(leaks.patients)} patients, {len(leaks.same_pixels)} identical films and "
            f"{len(leaks.near_duplicates)} near-duplicates. Expected none: move each such patient to one side."
        )
