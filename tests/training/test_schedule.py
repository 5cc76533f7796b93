"""Schedules: the learning rate's one cycle, and batches that are the same in every process."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.training.schedule import averaging, batch_seed, batches, one_cycle


def test_the_schedule_rises_and_falls() -> None:
    """One cycle: up to the peak in the first part, down to a hundredth at the end."""
    rates = [one_cycle(step, 100, 1.0) for step in range(100)]
    assert max(rates) == pytest.approx(1.0)
    assert int(np.argmax(rates)) == 14
    assert rates[-1] == pytest.approx(0.01, abs=0.002)


def test_averages_follow_quickly_at_first() -> None:
    """The first step replaces nearly all of the starting weights, a late one as little as configured."""
    assert averaging(0, 0.995) == pytest.approx(0.1)
    assert averaging(10_000, 0.995) == 0.995


def test_an_epoch_has_every_film_once() -> None:
    """One order for a seed, each film once, and a last batch of fewer than the least is dropped."""
    found = list(batches(13, 4, seed=5))
    assert sorted(np.concatenate(found)) != list(range(13))
    assert len(np.unique(np.concatenate(found))) == 12
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(list(batches(13, 4, seed=5))))
    assert sorted(np.concatenate(list(batches(14, 4, seed=5)))) == list(range(14))
    assert [len(batch) for batch in batches(14, 4, seed=5, least=4)] == [4, 4, 4]


def test_each_batch_has_random_numbers_of_its_own() -> None:
    """The seed of a batch follows from its place alone, fits a signed 64-bit number, and no other place has it."""
    seeds = {
        batch_seed(1, phase, epoch, batch, rank)
        for phase in (0, 1)
        for epoch in (0, 1)
        for batch in (0, 1)
        for rank in (0, 1)
    }
    assert len(seeds) == 16
    assert batch_seed(1, 0, 0, 0, 0) in seeds
    assert all(0 <= seed < 2**63 for seed in seeds)
