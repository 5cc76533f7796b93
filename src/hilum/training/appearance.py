"""Fit the gate: what tells radiographs from other pictures, on a member's pooled features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hilum.appearance import FILM, measure
from hilum.errors import DatasetError
from hilum.records import Appearance, Array

DIRECTIONS = 48
KEPT = 0.995
"""Share of the checked radiographs that each limit lets pass."""
HIGHEST_LIMIT = 0.5
"""A picture that is more likely a film than everything else together is one, whatever the checked films would allow."""
MARGIN = 1.5
"""Times the distance that so many checked films keep within: those of other hospitals lie further off."""
PULL = 3e-4
"""Weight of the squared weights in the loss."""


def fit_appearance(features: Array, kinds: Sequence[str], checked: Array) -> Appearance:
    """Fit to pooled features N×C of pictures of these kinds (N); ``checked``, M×C of other patients' films, sets the limits.

    Softmax regression with balanced kinds, by L-BFGS. Raises ``DatasetError`` if there is no film or nothing else.
    """
    names = (FILM, *sorted(set(kinds) - {FILM}))
    number = np.array([names.index(kind) for kind in kinds])
    if len(names) < 2 or not (number == 0).any():
        raise DatasetError("The gate learns from films and from what is none. Expected pictures of both.")
    films = features[number == 0]
    mean, scale = films.mean(axis=0), films.std(axis=0) + np.float32(1e-3)
    standard = (features - mean) / scale
    weight, bias = _regress(standard, number, len(names))
    basis, spread = _directions(standard[number == 0])
    unlimited = Appearance(names, mean, scale, weight, bias, basis, spread, 0.0, 1.0)
    shares, distances = measure(checked, unlimited)
    film_limit = min(float(np.quantile(shares[:, names.index(FILM)], 1 - KEPT)), HIGHEST_LIMIT)
    distance_limit = MARGIN * float(np.quantile(distances, KEPT))
    return Appearance(names, mean, scale, weight, bias, basis, spread, film_limit, distance_limit)


def _regress(x: Array, number: np.ndarray[tuple[int], np.dtype[np.int64]], kinds: int) -> tuple[Array, Array]:
    inputs, target = torch.from_numpy(x), torch.from_numpy(number)
    balance = torch.bincount(target, minlength=kinds).float().rsqrt()
    weight = torch.zeros((x.shape[1], kinds), requires_grad=True)
    bias = torch.zeros(kinds, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = functional.cross_entropy(inputs @ weight + bias, target, weight=balance) + PULL * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().numpy(), bias.detach().numpy()


def _directions(films: Array) -> tuple[Array, Array]:
    """Return the films' principal directions C×D and their spread along each; their mean is zero."""
    _, singular, rows = np.linalg.svd(films, full_matrices=False)
    kept = min(DIRECTIONS, len(singular))
    return rows[:kept].T.copy(), (singular[:kept] / np.sqrt(len(films))).astype(np.float32)
