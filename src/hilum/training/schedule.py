"""How the learning rate and the averaging of weights move with the steps, and which films make a step."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def one_cycle(step: int, steps: int, peak: float, warm_up: float = 0.15) -> float:
    """Return the learning rate at a step: a linear rise to the peak, then a cosine to one hundredth of it."""
    rising = max(1, round(steps * warm_up))
    if step < rising:
        return peak * (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def averaging(step: int, decay: float) -> float:
    """Return the averaged weights' decay in a training's first phase, where they must follow quickly or drag the start along."""
    return min(decay, (1 + step) / (10 + step))


def batches(count: int, size: int, seed: int, least: int = 2) -> Iterator[Indices]:
    """Yield an epoch's batches of indices below ``count``, in the order of ``seed``.

    The last is dropped where it has fewer than ``least``: a single film would upset the batch norms.
    """
    order = np.random.default_rng(seed).permutation(count)
    for start in range(0, count, size):
        batch = order[start : start + size]
        if len(batch) >= least:
            yield batch


def batch_seed(*place: int) -> int:
    """Return the seed of one batch's random numbers, from the training's seed and the place: the same after any interruption."""
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> np.uint64(1))
