"""Which stored array belongs to which layer.

Keras stores a top-level layer's weights as one list; a nested model's are all in the list of its outermost model, in an
order that depends on what was frozen. So weights are found by their names first; where names are not unique (shared or
renamed layers), by Keras's own order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hilum.errors import Incompatible
from hilum.keras_h5.container import StoredWeight
from hilum.keras_h5.description import Layer, Model
from hilum.keras_h5.fields import flag
from hilum.records import Array

Path = tuple[str, ...]
"""A layer's name behind the names of the models around it."""

_IGNORED = frozenset({"count", "seed_generator_state", "rng_state"})
"""Kept by Keras beside what the network computes with."""
_OTHER_NAMES = {"depthwise_kernel": "kernel"}


@dataclass(frozen=True, slots=True)
class _Variable:
    path: Path
    kind: str
    trained: bool


def variables(layer: Layer) -> tuple[str, ...]:
    """Return the names of a layer's weights, in Keras's order."""
    bias = ("bias",) if flag(layer.fields, "use_bias", True) else ()
    match layer.kind:
        case "Conv2D" | "Dense":
            return ("kernel", *bias)
        case "DepthwiseConv2D":
            return ("depthwise_kernel", *bias)
        case "SeparableConv2D":
            return ("depthwise_kernel", "pointwise_kernel", *bias)
        case "BatchNormalization":
            scale = ("gamma",) if flag(layer.fields, "scale", True) else ()
            centre = ("beta",) if flag(layer.fields, "center", True) else ()
            return (*scale, *centre, "moving_mean", "moving_variance")
        case "PReLU":
            return ("alpha",)
        case "Normalization" if layer.fields.get("mean") is None:
            return ("mean", "variance")
    return ()


def assign_weights(model: Model, stored: Mapping[str, tuple[StoredWeight, ...]]) -> dict[Path, dict[str, Array]]:
    """Return each layer's weights by path and name. Raises ``Incompatible`` where the file has more or fewer."""
    found: dict[Path, dict[str, Array]] = {}
    for layer in model.layers:
        wanted = list(_variables(layer, ()))
        given = [weight for weight in stored.get(layer.name, ()) if _kind(weight) not in _IGNORED]
        if len(wanted) != len(given):
            raise Incompatible(
                f"The layer {layer.name!r} has {len(given)} arrays of weights in the file, and {len(wanted)} by its description."
            )
        chosen = _by_name(wanted, given) or _by_order(wanted, given, layer.name)
        for variable, weight in zip(wanted, chosen, strict=True):
            if not np.isfinite(weight.values).all():
                raise Incompatible(f"The weights {weight.name!r} are not all finite numbers: the training diverged.")
            found.setdefault(variable.path, {})[variable.kind] = weight.values
    names = {layer.name for layer in model.layers}
    if strangers := [name for name, weights in stored.items() if weights and name not in names]:
        raise Incompatible(f"The file has weights for {strangers[0]!r}, which the network does not have.")
    return found


def _variables(layer: Layer, around: Path) -> Iterator[_Variable]:
    path = (*around, layer.name)
    if layer.model is not None:
        for inner in layer.model.layers:
            yield from _variables(inner, path)
    for kind in variables(layer):
        moving = kind.startswith("moving_") or layer.kind == "Normalization"
        yield _Variable(path, kind, layer.trainable and not moving)


def _owner(weight: StoredWeight) -> str:
    return weight.name.rpartition("/")[0]


def _kind(weight: StoredWeight) -> str:
    return weight.name.rpartition("/")[2].partition(":")[0]


def _is(weight: StoredWeight, kind: str) -> bool:
    return _kind(weight) in (kind, _OTHER_NAMES.get(kind))


def _by_name(wanted: Sequence[_Variable], given: Sequence[StoredWeight]) -> list[StoredWeight] | None:
    """Match ``…/layer/kernel:0`` by the layer's name. None unless every array finds exactly one place."""
    owned: dict[str, list[StoredWeight]] = {}
    for weight in given:
        owned.setdefault(_owner(weight), []).append(weight)
    chosen = []
    for variable in wanted:
        name = variable.path[-1]
        owners = [name] if name in owned else [owner for owner in owned if owner.endswith(f"/{name}")]
        fitting = [weight for owner in owners for weight in owned[owner] if _is(weight, variable.kind)]
        if len(fitting) != 1:
            return None
        chosen += fitting
    return chosen if len({id(weight) for weight in chosen}) == len(given) else None


def _by_order(wanted: Sequence[_Variable], given: Sequence[StoredWeight], layer: str) -> list[StoredWeight]:
    """Match by Keras's order: what is trained first, then what is not."""
    order = sorted(range(len(wanted)), key=lambda index: not wanted[index].trained)
    chosen = list(given)
    for index, weight in zip(order, given, strict=True):
        if not _is(weight, wanted[index].kind):
            raise Incompatible(
                f"The weights of {layer!r} can't be told apart: {weight.name!r} stands where {wanted[index].kind} of "
                f"{wanted[index].path[-1]!r} belongs. Give the layers names of their own and save the model again."
            )
        chosen[index] = weight
    return chosen
