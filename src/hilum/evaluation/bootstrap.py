"""Intervals by bootstrap over patients: a patient is drawn with all films, so that they are not taken for independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.records import Interval

Floats = npt.NDArray[np.floating[Any]]
"""Figures and weights: float64 for the films as they are, float32 for draws, whose noise is far above its rounding."""
Draws = npt.NDArray[np.float32]
"""Replicates × N: how often each film counts."""

REPLICATES = 1000
SEED = 20261
CHUNK = 2**17
"""Numbers of one block of draws: small enough for the processor's cache."""


def patient_draws(patients: Sequence[str], replicates: int = REPLICATES, seed: int = SEED) -> Draws:
    """Return replicates × N: how often each film counts when as many patients as there are are drawn with replacement."""
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    count = int(number.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=replicates)
    return np.asarray(drawn.astype(np.float32)[:, number])


def replicate(figure: Callable[[Floats], Floats], draws: Draws) -> Floats:
    """Return ``figure`` on all films as they are, then on each draw: (1 + replicates) × whatever it gives for a draw.

    ``figure`` takes weights (draws × N), computes in their precision and gives one row for each.
    """
    rows = max(1, CHUNK // max(1, draws.shape[1]))
    draws = draws.astype(np.float32, copy=False)
    blocks = [draws[start : start + rows] for start in range(0, len(draws), rows)]
    everything = np.ones((1, draws.shape[1]))
    return np.concatenate([figure(everything), *map(figure, blocks)])


def summarise(values: Floats, centred: bool = False) -> Interval:
    """Return the first value with the middle 95 % of the others; NaN among them is left out.

    ``centred``: resampling adds noise to a figure made of absolute differences, which moves all replicates up; the
    interval is moved back by the mean of that, and ends at 0.
    """
    known = values[1:][np.isfinite(values[1:])]
    if not known.size:
        return Interval(float(values[0]), float(values[0]), float(values[0]))
    low, high = np.quantile(known, [0.025, 0.975])
    if centred:
        bias = known.mean() - values[0]
        low, high = max(0.0, low - bias), high - bias
    return Interval(float(values[0]), float(low), float(high))
