"""Leaks: a patient, a film or nearly the same film on both sides of a split is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilum.datasets.films import Bytes
from hilum.datasets.leaks import find_leaks, find_near, refuse_leaks
from hilum.datasets.prints import BLOCK, perceptual_hash, take_prints
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError


def smooth_films(count: int, seed: int) -> Bytes:
    """Random films of low frequency, 64 × 64, as unlike each other as real ones."""
    coarse = np.random.default_rng(seed).normal(size=(count, 8, 8))
    fine = np.kron(coarse, np.ones((8, 8)))
    kernel = np.ones(9) / 9
    for axis in (1, 2):
        fine = np.apply_along_axis(lambda line: np.convolve(line, kernel, "same"), axis, fine)
    return np.clip(fine * 60 + 128, 0, 255).astype(np.uint8)


def table(*patients: str) -> Table:
    return Table(Path(), tuple(Row(Path(f"{index}.png"), patient) for index, patient in enumerate(patients)))


def test_a_clean_split_has_no_leak() -> None:
    """Different patients with different films pass."""
    films = smooth_films(6, 1)
    leaks = find_leaks(table("A", "B", "C"), films[:3], table("D", "E", "F"), films[3:])
    assert not leaks
    refuse_leaks(leaks)


def test_each_kind_of_leak_is_found_and_refused() -> None:
    """The same patient, the same pixels and a slightly changed copy are found, each as what it is."""
    films = smooth_films(4, 2)
    noise = np.random.default_rng(3).integers(-2, 3, films[1].shape)
    copy = np.clip(films[1].astype(int) + noise, 0, 255).astype(np.uint8)
    second = np.stack([films[0], copy, films[3]])
    leaks = find_leaks(table("A", "B", "C"), films[:3], table("D", "E", "C"), second)
    assert leaks.patients == ("C",)
    assert leaks.same_pixels == ((0, 0),)
    assert leaks.near_duplicates == ((1, 1),)
    with pytest.raises(DatasetError, match="1 patients, 1 identical films and 1 near-duplicates"):
        refuse_leaks(leaks)


def test_the_hash_ignores_brightness_but_not_content() -> None:
    """A brighter film keeps its hash; another film lies far from it."""
    films = smooth_films(2, 4)
    brighter = (films[:1] // 2 + 40).astype(np.uint8)
    codes = perceptual_hash(np.concatenate([films, brighter]))
    assert np.bitwise_count(codes[0] ^ codes[2]).sum() <= 20
    assert np.bitwise_count(codes[0] ^ codes[1]).sum() > 60


def test_films_that_are_mostly_black_are_not_taken_for_copies() -> None:
    """Two films whose few bright parts differ agree in nearly every bit of the hash, and still are no near-duplicates."""
    films = np.zeros((2, 64, 64), dtype=np.uint8)
    films[0, 8:20, 8:14] = 200
    films[1, 10:20, 8:14] = films[1, 40:44, 50:54] = 200
    codes = perceptual_hash(films)
    assert np.bitwise_count(codes[0] ^ codes[1]).sum() <= 12
    assert not find_leaks(table("A"), films[:1], table("B"), films[1:])


@pytest.mark.parametrize(("many", "few"), [(400, 90), (90, 400)])
def test_near_hashes_are_those_of_the_full_comparison(many: int, few: int) -> None:
    """Whichever side is the longer, the pairs are those whose hashes differ in at most 12 bits, and no others."""
    generator = np.random.default_rng(5)
    first = generator.integers(0, 2**63, (many, 4), dtype=np.uint64)
    second = first[generator.integers(0, many, few)].copy()
    for code in second:
        for bit in generator.choice(256, generator.integers(8, 17), replace=False):
            code[bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    distances = np.bitwise_count(first[:, None] ^ second[None]).sum(axis=2)
    assert 0 < (distances <= 12).sum() < few
    assert sorted(find_near(first, second)) == [tuple(pair) for pair in np.argwhere(distances <= 12)]


def test_prints_do_not_depend_on_the_block_that_a_film_is_taken_in() -> None:
    """Films are taken some at a time; each keeps its digest, hash and thumbnail."""
    films = np.random.default_rng(6).integers(0, 256, (BLOCK + 3, 32, 32), dtype=np.uint8)
    whole, last = take_prints(films), take_prints(films[-2:])
    assert whole.digests[-2:] == last.digests
    np.testing.assert_array_equal(whole.hashes[-2:], last.hashes)
    np.testing.assert_array_equal(whole.thumbnails[-2:], last.thumbnails)
    assert len(take_prints(films[:0]).digests) == 0
