"""The one door to torchxrayvision: where its weights lie, what their outputs mean, and its own network to compare with."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.errors import ConfigError, Incompatible
from hilum.records import Array

SIDE = 224


@dataclass(frozen=True, slots=True)
class Entry:
    """What the library says of one network."""

    address: str
    labels: tuple[str, ...]
    """One for each output; empty: not trained."""
    thresholds: tuple[float | None, ...]
    """On the score, 0–1; None where there is none."""
    targets: tuple[str, ...]
    """What the outputs are called where they are trained."""
    version: str
    """The library's."""


def read_entry(name: str) -> Entry:
    """Return an entry. Raises ``ConfigError`` without the library, ``Incompatible`` where it says something unforeseen."""
    models = _models()
    try:
        given = models.model_urls[name]
        labels = tuple(map(str, given["labels"]))
        thresholds = tuple(None if math.isnan(cut) else float(cut) for cut in given["op_threshs"])
        entry = Entry(str(given["weights_url"]), labels, thresholds, tuple(models.DenseNet.targets), _version())
        known = (given["input_resolution"], len(labels), len(thresholds)) == (SIDE, len(entry.targets), len(labels))
    except (AttributeError, KeyError, TypeError, ValueError):
        known = False
    if not known or any(cut is not None and not 0 < cut < 1 for cut in entry.thresholds):
        raise Incompatible(
            f"This torchxrayvision ({_version()}) describes {name} otherwise than 1.5 does. Install that one."
        )
    return entry


def own_network(state: Mapping[str, npt.NDArray[Any]], outputs: int) -> Callable[[Array], Array]:
    """Return the library's own network with these weights: films N×1×224×224 as it takes them → logits N×K.

    Raises ``Incompatible`` where the weights are of another network.
    """
    import torch

    network = _models().DenseNet(num_classes=outputs, in_channels=1).eval()
    weights = {name: torch.from_numpy(np.array(values)) for name, values in state.items()}
    try:
        # What counts the training's batches came into torch after some of the weights were saved.
        missing, unexpected = network.load_state_dict(weights, strict=False)
    except RuntimeError:
        missing, unexpected = ["a fitting shape"], []
    if wrong := [name for name in (*missing, *unexpected) if not name.endswith("num_batches_tracked")]:
        raise Incompatible(
            f"The weights do not fit torchxrayvision's DenseNet121: {wrong[0]} is missing or unexpected. Fetch them again."
        )

    @torch.no_grad()
    def logits(films: Array) -> Array:
        answer: Array = network(torch.from_numpy(films)).numpy()
        return answer

    return logits


def _models() -> Any:
    try:
        with warnings.catch_warnings():  # the library silences every warning as it is imported
            return importlib.import_module("torchxrayvision.models")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Public weights need {error.name}, which is not installed. Do: pip install 'hilum[public]'."
        ) from None


def _version() -> str:
    return str(getattr(importlib.import_module("torchxrayvision"), "__version__", "version not stated"))
