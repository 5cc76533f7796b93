"""AUROC of many outputs on the same films, with intervals by bootstrap over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.evaluation.metrics import auroc
from hilum.records import Array, Interval

REPLICATES = 1000
SEED = 20261


@dataclass(frozen=True, slots=True)
class Judgement:
    """Figures on one set of films."""

    auroc: Mapping[str, Interval]
    """Output → AUROC; outputs without both classes are absent."""
    mean_auroc: Interval | None
    films: int
    patients: int


def patient_draws(patients: Sequence[str], replicates: int = REPLICATES, seed: int = SEED) -> npt.NDArray[np.int64]:
    """Return replicates × N: how often each film counts when patients are drawn with replacement."""
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    count = int(number.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=replicates)
    return drawn[:, number]


def judge_predictions(
    scores: Array, labels: Array, patients: Sequence[str], names: Sequence[str], replicates: int = REPLICATES
) -> Judgement:
    """Judge scores (N×K, any monotone scale) against labels (N×K: 1, 0, NaN unknown) for the outputs ``names``.

    Intervals hold the middle 95 % of the replicates; a replicate without both classes is left out.
    """
    draws = patient_draws(patients, replicates)
    columns = [output_replicates(scores[:, k], labels[:, k], draws) for k in range(len(names))]
    known = {name: column for name, column in zip(names, columns, strict=True) if np.isfinite(column[0])}
    mean = summarise(np.mean(list(known.values()), axis=0)) if known else None
    return Judgement({name: summarise(c) for name, c in known.items()}, mean, len(labels), len(set(patients)))


def output_replicates(scores: Array, labels: Array, draws: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return one output's AUROC, then one for each draw (``patient_draws``) of the films."""
    known = ~np.isnan(labels)
    scores, labels, draws = scores[known], labels[known], draws[:, known]
    return np.array([auroc(scores, labels), *(auroc(scores, labels, draw) for draw in draws)])


def summarise(values: npt.NDArray[np.float64]) -> Interval:
    """Return the first value with the middle 95 % of the others."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))
