"""Layers that slide a window over a map: convolutions and poolings, placed as TensorFlow places them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hilum.keras_h5.fields import flag, pair, sequence, text, whole
from hilum.keras_h5.ops import Value, Writer
from hilum.keras_h5.step import Step
from hilum.records import Array


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
    return step.activated(pointwise(step.w, between, point[0, 0], step.bias(filters)))


def pointwise(w: Writer, x: Value, weight: Array, bias: Array) -> Value:
    """Add a dense layer over a map's channels; ``weight``: inputs × outputs."""
    kernel, outputs = weight.T[:, :, np.newaxis, np.newaxis], weight.shape[1]
    return w.op("Conv", (*x.shape[:2], outputs), x, w.weight(kernel), w.weight(bias), kernel_shape=[1, 1])


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


SLIDING: Mapping[str, Callable[[Step], Value]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "MaxPooling2D": _pooling("MaxPool"),
    "AveragePooling2D": _pooling("AveragePool"),
    "GlobalAveragePooling2D": _global("GlobalAveragePool"),
    "GlobalMaxPooling2D": _global("GlobalMaxPool"),
    "ZeroPadding2D": _zero_padding,
}
