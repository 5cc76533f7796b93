"""A training of a second: a network of two layers, films that are bright or dark, and a process that can be killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hilum.records import InputSpec
from hilum.training.checkpoint import CHECKPOINT, Run
from hilum.training.config import Augmentation, Fit, Phase
from hilum.training.fit import Films, fit_network
from hilum.training.networks import Head, Network
from hilum.training.workers import ALONE, Worker

SPEC = InputSpec(16, 16, 3, 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FIT = Fit(phases=(Phase(16, 2, 1e-2, 4), Phase(24, 1, 1e-3, 4)), checkpoint_seconds=0.0, threads=1)


def small_network() -> Network:
    """Return a network of one convolution and a head, always with the same weights."""
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return Network(trunk, Head(8, 8, 2, 0.5))


def bright_or_dark(count: int = 13) -> Films:
    """Films whose first label is their brightness and whose second is mostly unknown."""
    generator = np.random.default_rng(0)
    bright = generator.integers(0, 2, count)
    pixels = (generator.integers(0, 100, (count, 20, 20)) + 150 * bright[:, None, None]).astype(np.uint8)
    second = np.where(generator.random(count) < 0.7, np.nan, bright)
    return Films(pixels, np.stack([bright, second], axis=1).astype(np.float32))


def run_to(
    folder: Path,
    judge: Callable[[Network, int], dict[str, Any]] = lambda _network, size: {"size_seen": size},
    fit: Fit = FIT,
    worker: Worker = ALONE,
    trainable: str = "all",
    films: Films | None = None,
) -> Run:
    """Train, or go on, in ``folder``."""
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    run = Run(small_network(), small_network(), fit, trainable)
    if (folder / CHECKPOINT).exists():
        run.load(folder / CHECKPOINT)
    fit_network(run, films or bright_or_dark(), SPEC, fit, Augmentation(), folder, judge, worker)
    return run


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Are all weights and statistics equal to the last bit?"""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def slow(network: Network, size: int) -> dict[str, Any]:
    """Judge so slowly that a signal reaches the process in the middle of its training."""
    time.sleep(0.5)
    return {"size_seen": size}
