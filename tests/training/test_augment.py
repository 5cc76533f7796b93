"""Augmentation: bounded, reproducible, and able to hide what a film's resolution gives away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hilum.datasets.films import Bytes
from hilum.training.augment import augment
from hilum.training.config import Augmentation

STILL = Augmentation(rotation=0, shift=0, scale=0, gamma=0, contrast=0, blur=0, noise=0, jpeg=0)


def films(count: int = 4, side: int = 48) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (count, side, side)).astype(np.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_limits_nothing_changes() -> None:
    """All limits at zero give the films back, 0–1."""
    changed = augment(films(), STILL, 48, generator())
    # Gamma needs pixels above zero, so that black becomes 1e-4.
    np.testing.assert_allclose(changed.numpy(), films() / 255, atol=1.1e-4)


def test_changes_stay_in_range_and_repeat_with_their_seed() -> None:
    """Any change keeps 0–1 and the wanted size; one seed gives one result, and films are not touched in place."""
    given = films()
    first, second = (augment(given, Augmentation(), 32, generator(7)) for _ in range(2))
    assert first.shape == (4, 32, 32)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first, second)
    assert not torch.equal(first, augment(given, Augmentation(), 32, generator(8)))
    np.testing.assert_array_equal(given, films())


@pytest.mark.parametrize("limit", ["rotation", "shift", "scale", "gamma", "contrast", "blur", "noise", "jpeg"])
def test_each_limit_has_its_effect(limit: str) -> None:
    """Switched on alone, each kind of change alters the films."""
    value = {"rotation": 20.0, "noise": 0.1, "blur": 1.0, "jpeg": 1.0}.get(limit, 0.3)
    limits = Augmentation(**{**dict.fromkeys(Augmentation.__slots__, 0.0), limit: value})
    changed = augment(films(), limits, 48, generator())
    assert float((changed - torch.from_numpy(films() / 255.0)).abs().max()) > 0.01


def test_blur_removes_fine_detail() -> None:
    """A blurred film has less difference between neighbours: what a small original looks like."""
    limits = Augmentation(**{**dict.fromkeys(Augmentation.__slots__, 0.0), "blur": 1.0})
    changes = [np.abs(np.diff(augment(films(), limits, 48, generator(seed)).numpy())).mean() for seed in range(8)]
    assert np.mean(changes) < 0.8 * np.abs(np.diff(films() / 255)).mean()
