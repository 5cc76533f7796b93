"""Each of Keras's layers as operators. A layer that is not here is refused by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hilum.errors import Incompatible
from hilum.keras_h5.activations import activation, softmax
from hilum.keras_h5.description import Layer
from hilum.keras_h5.fields import flag, mapping, number, numbers, pair, sequence, text, whole
from hilum.keras_h5.ops import Shape, Value, Writer
from hilum.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One call of a layer: where its operators go, its configuration, weights and inputs."""

    w: Writer
    layer: Layer
    weights: Mapping[str, Array]
    inputs: tuple[Value, ...]
    keras: int
    """Keras's major version."""

    @property
    def x(self) -> Value:
        """The one input of a layer that takes one. Raises ``Incompatible`` where there are more."""
        if len(self.inputs) != 1:
            raise self.misfit(f"takes {len(self.inputs)} inputs, expected one")
        return self.inputs[0]

    @property
    def x_map(self) -> Value:
        """The one input, rows × columns × channels."""
        if not self.x.is_map:
            raise self.misfit(f"takes {_by(self.x.shape)}, expected rows × columns × channels")
        return self.x

    def weight(self, kind: str, shape: Shape) -> Array:
        """Return a weight, which must have the shape that the description gives it."""
        values = self.weights[kind]
        if values.shape != shape:
            raise self.misfit(f"has a {kind} of {_by(values.shape)} in the file, {_by(shape)} by its description")
        return values

    def bias(self, size: int) -> Array:
        """Return the bias, zeros where there is none."""
        return self.weight("bias", (size,)) if "bias" in self.weights else np.zeros(size, dtype=np.float32)

    def activated(self, x: Value) -> Value:
        """Add the activation that the layer carries."""
        given = self.layer.fields.get("activation")
        if isinstance(given, Mapping) and (kind := text(given, "class_name", "")) in _ACTIVATION_LAYERS:
            inner = Layer(kind, self.layer.name, mapping(given.get("config"), "an activation"), ())
            return LAYERS[inner.kind](Step(self.w, inner, {}, (x,), self.keras))
        return activation(self.w, x, given, self.keras, self.layer.name)

    def misfit(self, what: str) -> Incompatible:
        """Return an error that names the layer."""
        return Incompatible(f"The {self.layer.kind} layer {self.layer.name!r} {what}.")

    def channels_last(self) -> None:
        """Refuse what Keras itself runs on GPUs only."""
        if self.layer.fields.get("data_format") not in (None, "channels_last"):
            raise self.misfit("has its channels first. Expected channels_last: save the model so")


def _by(shape: Shape) -> str:
    return "×".join(map(str, shape))


def affine(w: Writer, x: Value, scale: Array, shift: Array) -> Value:
    """Add ``x * scale + shift``, one of each a channel."""
    if len(x.shape) in (1, 3):
        neutral = [w.weight(np.zeros_like(scale)), w.weight(np.ones_like(scale))]
        return w.same("BatchNormalization", x, w.weight(scale), w.weight(shift), *neutral, epsilon=0.0)
    return w.same("Add", w.same("Mul", x, w.weight(scale)), w.weight(shift))


# --- convolutions and dense layers ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Window:
    """How a kernel or pool slides: sizes are rows, columns; pads are top, left, bottom, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    output: tuple[int, int]


def _window(
    step: Step, kernel: tuple[int, int], strides: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> _Window:
    """Place a window as TensorFlow does: SAME pads less before than after, and by the input's size."""
    padding = text(step.layer.fields, "padding", "valid").lower()
    if padding not in ("valid", "same"):
        raise step.misfit(f"has the padding {padding[:20]!r}, expected 'valid' or 'same'")
    before, after, output = [], [], []
    for size, k, stride, spread in zip(step.x_map.shape[:2], kernel, strides, dilation, strict=True):
        reach = (k - 1) * spread + 1
        count = -(-size // stride) if padding == "same" else (size - reach) // stride + 1
        total = max((count - 1) * stride + reach - size, 0) if padding == "same" else 0
        if count < 1:
            raise step.misfit(f"has a window of {reach} on a map of {size}")
        before.append(total // 2)
        after.append(total - total // 2)
        output.append(count)
    return _Window(kernel, strides, (before[0], before[1], after[0], after[1]), (output[0], output[1]))


def _convolve(step: Step, x: Value, kernel: Array, bias: Array, groups: int) -> Value:
    """Add a convolution; ``kernel``: outputs × inputs of a group × rows × columns."""
    fields = step.layer.fields
    dilation = pair(fields.get("dilation_rate", 1), "dilation_rate")
    rows, columns = kernel.shape[2:]
    window = _window(step, (rows, columns), pair(fields.get("strides", 1), "strides"), dilation)
    return step.w.op(
        "Conv",
        (*window.output, len(kernel)),
        x,
        step.w.weight(kernel),
        step.w.weight(bias),
        kernel_shape=list(window.kernel),
        strides=list(window.strides),
        dilations=list(dilation),
        pads=list(window.pads),
        group=groups,
    )


def _conv(step: Step) -> Value:
    step.channels_last()
    fields, channels = step.layer.fields, step.x_map.shape[2]
    filters, groups = whole(fields.get("filters"), "filters", 1), whole(fields.get("groups", 1), "groups", 1)
    if channels % groups or filters % groups:
        raise step.misfit(f"has {groups} groups of {channels} channels and {filters} filters")
    kernel = step.weight("kernel", (*pair(fields.get("kernel_size"), "kernel_size"), channels // groups, filters))
    return step.activated(_convolve(step, step.x, kernel.transpose(3, 2, 0, 1), step.bias(filters), groups))


def _depthwise_kernel(step: Step) -> Array:
    """Return a depthwise kernel, outputs × 1 × rows × columns."""
    fields, channels = step.layer.fields, step.x_map.shape[2]
    size = pair(fields.get("kernel_size"), "kernel_size")
    multiplier = whole(fields.get("depth_multiplier", 1), "depth_multiplier", 1)
    kernel = step.weight("depthwise_kernel", (*size, channels, multiplier))
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, *size)


def _depthwise(step: Step) -> Value:
    step.channels_last()
    kernel = _depthwise_kernel(step)
    return step.activated(_convolve(step, step.x, kernel, step.bias(len(kernel)), step.x.shape[2]))


def _separable(step: Step) -> Value:
    step.channels_last()
    kernel, filters = _depthwise_kernel(step), whole(step.layer.fields.get("filters"), "filters", 1)
    between = _convolve(step, step.x, kernel, np.zeros(len(kernel), dtype=np.float32), step.x.shape[2])
    point = step.weight("pointwise_kernel", (1, 1, len(kernel), filters))
    return step.activated(_pointwise(step.w, between, point[0, 0], step.bias(filters)))


def _pointwise(w: Writer, x: Value, weight: Array, bias: Array) -> Value:
    """Add a dense layer over a map's channels; ``weight``: inputs × outputs."""
    kernel, outputs = weight.T[:, :, np.newaxis, np.newaxis], weight.shape[1]
    return w.op("Conv", (*x.shape[:2], outputs), x, w.weight(kernel), w.weight(bias), kernel_shape=[1, 1])


def _dense(step: Step) -> Value:
    x, units = step.x, whole(step.layer.fields.get("units"), "units", 1)
    kernel, bias = step.weight("kernel", (x.shape[-1], units)), step.bias(units)
    if x.is_map:
        return step.activated(_pointwise(step.w, x, kernel, bias))
    shape, parts = (*x.shape[:-1], units), (step.w.weight(kernel), step.w.weight(bias))
    if len(x.shape) == 1:
        return step.activated(step.w.op("Gemm", shape, x, *parts))
    return step.activated(step.w.same("Add", step.w.op("MatMul", shape, x, parts[0]), parts[1]))


# --- normalising ---------------------------------------------------------------------------------------------------


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
    return affine(step.w, step.x, scale.astype(np.float32), shift.astype(np.float32))


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
    return affine(step.w, step.x, scale.astype(np.float32), offset.astype(np.float32))


def _normalization(step: Step) -> Value:
    if step.layer.fields.get("axis", -1) is not None:
        _on_last_axis(step)
    if step.weights:
        mean, variance = (_per_channel(step, step.weights[kind], kind) for kind in ("mean", "variance"))
    else:
        mean, variance = _constants(step, "mean"), _constants(step, "variance")
    deviation = np.maximum(np.sqrt(np.maximum(variance, 0)), 1e-7)
    scale, shift = (deviation, mean) if flag(step.layer.fields, "invert", False) else (1 / deviation, -mean / deviation)
    return affine(step.w, step.x, scale.astype(np.float32), shift.astype(np.float32))


# --- activation layers ---------------------------------------------------------------------------------------------


def _relu(step: Step) -> Value:
    fields, w = step.layer.fields, step.w
    slope, limit = number(fields, "negative_slope", 0), fields.get("max_value")
    if number(fields, "threshold", 0):
        raise step.misfit("has a threshold other than 0")
    if limit is not None and not slope:
        return w.same("Clip", step.x, w.constant(0), w.constant(number(fields, "max_value", 0)))
    x = w.same("LeakyRelu", step.x, alpha=slope) if slope else w.same("Relu", step.x)
    return x if limit is None else w.same("Min", x, w.constant(number(fields, "max_value", 0)))


def _leaky_relu(step: Step) -> Value:
    fields = step.layer.fields
    return step.w.same("LeakyRelu", step.x, alpha=number(fields, "negative_slope", number(fields, "alpha", 0.3)))


def _elu(step: Step) -> Value:
    return step.w.same("Elu", step.x, alpha=number(step.layer.fields, "alpha", 1))


def _prelu(step: Step) -> Value:
    x = step.x
    shared = {
        whole(axis, "shared_axes", 1) for axis in sequence(step.layer.fields.get("shared_axes") or [], "shared_axes")
    }
    slope = step.weight("alpha", tuple(1 if axis + 1 in shared else side for axis, side in enumerate(x.shape)))
    return step.w.same("PRelu", x, step.w.weight(slope.transpose(2, 0, 1) if x.is_map else slope))


def _softmax(step: Step) -> Value:
    axis = step.layer.fields.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if not isinstance(axis, int) or not -len(step.x.shape) <= axis <= len(step.x.shape) or axis == 0:
        raise step.misfit("works on an axis that its input does not have, or on several")
    return softmax(step.w, step.x, axis)


# --- pooling and padding -------------------------------------------------------------------------------------------


def _pooling(operator: str) -> Callable[[Step], Value]:
    def pool(step: Step) -> Value:
        step.channels_last()
        fields, x = step.layer.fields, step.x_map
        size = pair(fields.get("pool_size", 2), "pool_size")
        strides = fields.get("strides")
        window = _window(step, size, size if strides is None else pair(strides, "strides"))
        shape = (*window.output, x.shape[2])
        if operator == "AveragePool" and size == x.shape[:2] and window.output == (1, 1) and not any(window.pads):
            return step.w.op("GlobalAveragePool", shape, x)
        return step.w.op(
            operator, shape, x, kernel_shape=list(size), strides=list(window.strides), pads=list(window.pads)
        )

    return pool


def _global(operator: str) -> Callable[[Step], Value]:
    def pool(step: Step) -> Value:
        step.channels_last()
        x = step.x_map
        pooled = step.w.op(operator, (1, 1, x.shape[2]), x)
        return pooled if flag(step.layer.fields, "keepdims", False) else step.w.op("Flatten", (x.shape[2],), pooled)

    return pool


def _zero_padding(step: Step) -> Value:
    step.channels_last()
    padding = step.layer.fields.get("padding", 1)
    sides = [padding, padding] if isinstance(padding, int) else list(sequence(padding, "padding"))
    if len(sides) != 2:
        raise step.misfit("has a padding that is not one of rows and columns")
    (top, bottom), (left, right) = (pair(side, "padding", 0) for side in sides)
    rows, columns, channels = step.x_map.shape
    shape = (rows + top + bottom, columns + left + right, channels)
    return step.w.op("Pad", shape, step.x, step.w.whole_numbers(0, 0, top, left, 0, 0, bottom, right))


# --- several inputs ------------------------------------------------------------------------------------------------


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


# --- shapes --------------------------------------------------------------------------------------------------------


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
        raise step.misfit(f"makes {_by(target)} of {_by(x.shape)}")
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
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "Activation": lambda step: step.activated(step.x),
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "PReLU": _prelu,
    "Softmax": _softmax,
    "MaxPooling2D": _pooling("MaxPool"),
    "AveragePooling2D": _pooling("AveragePool"),
    "GlobalAveragePooling2D": _global("GlobalAveragePool"),
    "GlobalMaxPooling2D": _global("GlobalMaxPool"),
    "ZeroPadding2D": _zero_padding,
    "Add": _merge("Add"),
    "Multiply": _merge("Mul"),
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Reshape": _reshape,
}
_ACTIVATION_LAYERS = frozenset({"ReLU", "LeakyReLU", "ELU", "Softmax"})

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
