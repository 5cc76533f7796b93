"""What films are recognised by: a digest of the pixels, a perceptual hash and a thumbnail. About a kilobyte a film."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.datasets.films import Bytes, small_film
from hilum.datasets.table import Row, Table
from hilum.errors import InputError
from hilum.records import Array

HASH_SIDE = 16
WORDS = 4
"""A hash is four words of 64 bits; each word holds every fourth bit, so that it sees the whole film."""
THUMBNAIL = 32
FILM_SIZE = 256
"""Pixels; training keeps films at the same size by default."""
BLOCK = 256
"""Films taken at once: their float32 copies must not fill the memory."""

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """Prints of N films, in a table's order."""

    digests: tuple[bytes, ...]
    """blake2b of the pixels, 16 bytes."""
    hashes: Words
    """N × 4."""
    thumbnails: Bytes
    """N × h × w, at most 32 × 32."""


def take_prints(films: Bytes) -> Prints:
    """Return the prints of films, N × H × W uint8."""
    blocks = [_prints(films[start : start + BLOCK]) for start in range(0, max(len(films), 1), BLOCK)]
    return join_prints(blocks)


def join_prints(parts: Sequence[Prints]) -> Prints:
    """Return several prints, of films of one size, as one."""
    digests = tuple(digest for part in parts for digest in part.digests)
    return Prints(digests, np.concatenate([p.hashes for p in parts]), np.concatenate([p.thumbnails for p in parts]))


def _prints(films: Bytes) -> Prints:
    digests = tuple(hashlib.blake2b(film.tobytes(), digest_size=16).digest() for film in films)
    side = min(THUMBNAIL, *films.shape[1:])
    thumbnails = np.asarray(np.rint(_block_means(films, side, side)), dtype=np.uint8)
    return Prints(digests, perceptual_hash(films), thumbnails)


def perceptual_hash(films: Bytes) -> Words:
    """Return N × 4 words of 64 bits: the signs of horizontal differences of each film shrunk to 16 × 17 (a difference hash)."""
    means = _block_means(films, HASH_SIDE, HASH_SIDE + 1)
    bits = (np.diff(means, axis=2) > 0).reshape(len(films), HASH_SIDE**2 // WORDS, WORDS).transpose(0, 2, 1)
    packed = np.packbits(np.ascontiguousarray(bits).reshape(len(films), HASH_SIDE**2), axis=1)
    return packed.view(np.uint64)


def _block_means(films: Bytes, rows: int, columns: int) -> Array:
    """Return N × rows × columns: the mean of each block of the films, N × H × W."""
    _, height, width = films.shape
    tops = np.linspace(0, height, rows + 1).astype(int)
    lefts = np.linspace(0, width, columns + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(films.astype(np.float32), tops[:-1], axis=1), lefts[:-1], axis=2)
    return np.asarray(sums / (np.diff(tops)[:, None] * np.diff(lefts)), dtype=np.float32)


def correlation(first: Bytes, second: Bytes) -> float:
    """Return Pearson's correlation of two films' thumbnails, 1 where both are flat."""
    one, other = (film.astype(np.float64).ravel() - film.mean() for film in (first, second))
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / scale if scale else 1.0


def read_prints(table: Table, rows: Iterable[Row] | None = None, size: int = FILM_SIZE) -> tuple[Table, Prints]:
    """Read a table's films, some at a time, and keep nothing but their prints. Films that can't be read have no row in the answer.

    ``rows``: the table's, perhaps wrapped in a progress bar. ``size``: pixels that each film is shrunk to.
    """
    left = iter(table.rows if rows is None else rows)
    kept: list[Row] = []
    parts = [take_prints(np.empty((0, size, size), dtype=np.uint8))]
    with ThreadPoolExecutor() as pool:
        while batch := tuple(islice(left, BLOCK)):
            films = pool.map(lambda row: _read(table.root / row.image, size), batch)
            found = [(row, film) for row, film in zip(batch, films, strict=True) if film is not None]
            if found:
                kept += [row for row, _ in found]
                parts.append(take_prints(np.stack([film for _, film in found])))
    return replace(table, rows=tuple(kept)), join_prints(parts)


def _read(path: Path, size: int) -> Bytes | None:
    try:
        return small_film(path, size)
    except InputError:
        return None


def choose_prints(prints: Prints, indices: Sequence[int]) -> Prints:
    """Return the prints of some films, by their places."""
    places = np.asarray(indices, dtype=np.int64)
    return Prints(tuple(prints.digests[index] for index in indices), prints.hashes[places], prints.thumbnails[places])
