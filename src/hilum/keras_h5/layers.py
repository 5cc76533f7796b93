"""Each of Keras's layers as operators. A layer that is not here is refused by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hilum.errors import Incompatible
from hilum.keras_h5.description import Layer
from hilum.keras_h5.fields import flag, mapping, number, numbers, sequence, whole
from hilum.keras_h5.ops import Value, Writer
from hilum.keras_h5.sliding import SLIDING, pointwise
from hilum.keras_h5.step import CARRIED, Step, sizes
from hilum.records import Array


def _affine(w: Writer, x: Value, scale: Array, shift: Array) -> Value:
    """Add ``x * scale + shift``, one of each a channel."""
    if len(x.shape) in (1, 3):
        neutral = [w.weight(np.zeros_like(scale)), w.weight(np.ones_like(scale))]
        return w.same("BatchNormalization", x, w.weight(scale), w.weight(shift), *neutral, epsilon=0.0)
    return w.same("Add", w.same("Mul", x, w.weight(scale)), w.weight(shift))


def _dense(step: Step) -> Value:
    x, units = step.x, whole(step.layer.fields.get("units"), "units", 1)
    kernel, bias = step.weight("kernel", (x.shape[-1], units)), step.bias(units)
    if x.is_map:
        return step.activated(pointwise(step.w, x, kernel, bias))
    shape, parts = (*x.shape[:-1], units), (step.w.weight(kernel), step.w.weight(bias))
    if len(x.shape) == 1:
        return step.activated(step.w.op("Gemm", shape, x, *parts))
    return step.activated(step.w.same("Add", step.w.op("MatMul", shape, x, parts[0]), parts[1]))


def _on_last_axis(step: Step) -> int:
    """Return the number of channels of a layer that works on the last axis. Raises ``Incompatible`` for another one."""
    axis = step.layer.fields.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if axis not in (-1, len(step.x.shape)):
        raise step.misfit("works on another axis than the channels, the last")
    return step.x.shape[-1]


def _batch_norm(step: Step) -> Value:
    channels = _on_last_axis(step)
    values = {kind: step.weight(kind, (channels,)).astype(np.float64) for kind in step.weights}
    variance = values["moving_variance"] + number(step.layer.fields, "epsilon", 1e-3)
    if not (variance > 0).all():
        raise step.misfit("has a variance below zero")
    scale = values.get("gamma", np.ones(channels)) / np.sqrt(variance)
    shift = values.get("beta", np.zeros(channels)) - values["moving_mean"] * scale
    return _affine(step.w, step.x, scale.astype(np.float32), shift.astype(np.float32))


def _constants(step: Step, key: str, default: float | None = None) -> Array:
    """Return one number a channel from a configuration that gives one or all of them."""
    value = step.layer.fields.get(key, default)
    if isinstance(value, Mapping):  # how Keras 3 writes an array
        value = mapping(value.get("config"), key).get("value")
    return _per_channel(step, np.asarray(numbers(value, key)), key)


def _per_channel(step: Step, values: Array, key: str) -> Array:
    channels = step.x.shape[-1]
    if values.size not in (1, channels):
        raise step.misfit(f"has {values.size} values of {key} for {channels} channels")
    return np.broadcast_to(values.reshape(-1), (channels,)).astype(np.float64)


def _rescaling(step: Step) -> Value:
    scale, offset = _constants(step, "scale", 1), _constants(step, "offset", 0)
    return _affine(step.w, step.x, scale.astype(np.float32), offset.astype(np.float32))


def _normalization(step: Step) -> Value:
    if step.layer.fields.get("axis", -1) is not None:
        _on_last_axis(step)
    if step.weights:
        mean, variance = (_per_channel(step, step.weights[kind], kind) for kind in ("mean", "variance"))
    else:
        mean, variance = _constants(step, "mean"), _constants(step, "variance")
    deviation = np.maximum(np.sqrt(np.maximum(variance, 0)), 1e-7)
    scale, shift = (deviation, mean) if flag(step.layer.fields, "invert", False) else (1 / deviation, -mean / deviation)
    return _affine(step.w, step.x, scale.astype(np.float32), shift.astype(np.float32))


def _prelu(step: Step) -> Value:
    x = step.x
    shared = {
        whole(axis, "shared_axes", 1) for axis in sequence(step.layer.fields.get("shared_axes") or [], "shared_axes")
    }
    slope = step.weight("alpha", tuple(1 if axis + 1 in shared else side for axis, side in enumerate(x.shape)))
    return step.w.same("PRelu", x, step.w.weight(slope.transpose(2, 0, 1) if x.is_map else slope))


def _merge(operator: str) -> Callable[[Step], Value]:
    def merge(step: Step) -> Value:
        if len({len(value.shape) for value in step.inputs}) != 1:
            raise step.misfit("takes tensors of different rank")
        result = step.inputs[0]
        for value in step.inputs[1:]:
            try:
                shape = np.broadcast_shapes(result.shape, value.shape)
            except ValueError:
                raise step.misfit(f"takes {result.shape} and {value.shape}, which do not fit together") from None
            result = step.w.op(operator, shape, result, value)
        return result

    return merge


def _concatenate(step: Step) -> Value:
    first, axis = step.inputs[0], step.layer.fields.get("axis", -1)
    rank = len(first.shape)
    if not isinstance(axis, int) or not -rank <= axis <= rank or axis == 0:
        raise step.misfit("works on an axis that its inputs do not have")
    at = axis % (rank + 1) - 1
    rest = {(*value.shape[:at], *value.shape[at + 1 :]) for value in step.inputs if len(value.shape) == rank}
    if len(rest) != 1 or any(len(value.shape) != rank for value in step.inputs):
        raise step.misfit("takes tensors that do not fit together")
    shape = (*first.shape[:at], sum(value.shape[at] for value in step.inputs), *first.shape[at + 1 :])
    return step.w.op("Concat", shape, *step.inputs, axis=first.axis(axis))


def _keras_order(w: Writer, x: Value) -> Value:
    """Return a map with its values in Keras's order, rows × columns × channels, under no shape that tells."""
    single = x.shape[2] == 1 or x.shape[:2] == (1, 1)
    return x if single else w.op("Transpose", x.shape, x, perm=[0, 2, 3, 1])


def _flatten(step: Step) -> Value:
    step.channels_last()
    x = step.x
    ordered = _keras_order(step.w, x) if x.is_map else x
    return ordered if len(x.shape) == 1 else step.w.op("Flatten", (math.prod(x.shape),), ordered)


def _reshape(step: Step) -> Value:
    x, total = step.x, math.prod(step.x.shape)
    given = sequence(step.layer.fields.get("target_shape"), "target_shape")
    known = math.prod(whole(side, "target_shape", 1) for side in given if side != -1)
    target = tuple(total // known if side == -1 else whole(side, "target_shape", 1) for side in given)
    if math.prod(target) != total or len(target) > 4 or not target or list(given).count(-1) > 1:
        raise step.misfit(f"makes {sizes(target)} of {sizes(x.shape)}")
    ordered = _keras_order(step.w, x) if x.is_map else x
    if len(target) == 1:
        return x if len(x.shape) == 1 else step.w.op("Flatten", target, ordered)
    if len(target) != 3:
        return step.w.op("Reshape", target, ordered, step.w.whole_numbers(-1, *target))
    rows, columns, channels = target
    if channels == 1 or rows == columns == 1:
        return step.w.op("Reshape", target, ordered, step.w.whole_numbers(-1, channels, rows, columns))
    held = step.w.op("Reshape", target, ordered, step.w.whole_numbers(-1, *target))
    return step.w.op("Transpose", target, held, perm=[0, 3, 1, 2])


LAYERS: Mapping[str, Callable[[Step], Value]] = {
    **SLIDING,
    **CARRIED,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "Activation": lambda step: step.activated(step.x),
    "PReLU": _prelu,
    "Add": _merge("Add"),
    "Multiply": _merge("Mul"),
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Reshape": _reshape,
}

IDENTITIES = frozenset(
    {"Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization"}
    | {"RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"}
)
"""Layers that only training feels; Keras's ``predict`` passes their input on."""


def check_known(layer: Layer) -> None:
    """Raise ``Incompatible`` that names a layer of a type that is not read here."""
    if layer.kind not in LAYERS.keys() | IDENTITIES:
        known = ", ".join(sorted(LAYERS.keys() | IDENTITIES))
        raise Incompatible(
            f"The layer {layer.name!r} is of the type {layer.kind!r}, which is not known here. Known are {known}."
        )


def apply_layer(w: Writer, layer: Layer, weights: Mapping[str, Array], inputs: Sequence[Value], keras: int) -> Value:
    """Add one call of a layer. Raises ``Incompatible`` or ``UnsafeFile`` that names it."""
    step = Step(w, layer, weights, tuple(inputs), keras)
    if layer.kind in IDENTITIES:
        return step.x
    check_known(layer)
    if not step.inputs:
        raise Incompatible(f"The layer {layer.name!r} takes no input.")
    return LAYERS[layer.kind](step)
