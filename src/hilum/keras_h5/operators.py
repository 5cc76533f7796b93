"""Each operator of a graph as Keras's layers: channels last, paddings as layers, batch norms restored.

What Keras can write in several ways is written as Keras's own networks have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from hilum.errors import Incompatible
from hilum.graph import PLAIN_GEMM, weight_of
from hilum.keras_h5.applications import PLAIN, Style
from hilum.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class WrittenLayer:
    """A layer to be written: Keras's class, its configuration, the layers that it takes, and its weights in Keras's order."""

    kind: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    weights: tuple[tuple[str, Array], ...] = ()


@dataclass(frozen=True, slots=True)
class Tensor:
    """What a tensor of the graph is in Keras."""

    layer: str
    shape: tuple[int, ...]
    """Rows, columns, channels of a map; (values,) of a vector."""
    keras_order: bool = False
    """The graph holds it channels last already."""


class Layers:
    """Layers in the making, and what the graph's tensors became."""

    def __init__(self, graph: onnx.GraphProto, style: Style | None) -> None:
        self.graph = graph
        self.style = style
        self.made: list[WrittenLayer] = []
        self.tensors: dict[str, Tensor] = {}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.named = 0
        """How many layers took a name of the style's."""
        self._counts: Counter[str] = Counter()

    def add(
        self,
        kind: str,
        config: Mapping[str, Any],
        *inputs: Tensor,
        weights: tuple[tuple[str, Array], ...] = (),
        name: str | None = None,
    ) -> str:
        """Add a layer and return its name: the style's own for what is trained in a trunk, else a number."""
        names = self.style.names if self.style else ()
        if name is None and names and weights and kind != "Dense":
            name = names[self.named] if self.named < len(names) else None
            self.named += 1
        if name is None:
            self._counts[kind] += 1
            name = f"{kind.lower()}_{self._counts[kind]}"
        self.made.append(WrittenLayer(kind, name, config, tuple(one.layer for one in inputs), weights))
        return name

    def activate(self, x: Tensor, activation: str, name: str | None = None) -> Tensor:
        """Put an activation into the dense layer that made ``x``, or behind another one."""
        last = self.made[-1]
        if last.name == x.layer and last.config.get("activation") == "linear":
            config = {**last.config, "activation": activation}
            self.made[-1] = WrittenLayer(last.kind, name or last.name, config, last.inputs, last.weights)
            return Tensor(name or last.name, x.shape)
        return Tensor(self.add("Activation", {"activation": activation}, x, name=name), x.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One node of the graph: where its layers go, its first input and its attributes."""

    layers: Layers
    node: onnx.NodeProto
    x: Tensor
    given: Mapping[str, Any]

    def weight(self, position: int) -> Array:
        """Return a constant that the node takes. Raises ``Incompatible`` for what is computed."""
        values = weight_of(self.layers.graph, self.node.input[position])
        if values is None:
            raise Incompatible(
                f"The graph's {self.node.op_type} takes a weight that is itself computed. Export it as ONNX instead."
            )
        return values


# --- convolutions, norms, dense layers -----------------------------------------------------------------------------


def _conv(step: Step) -> Tensor:
    kernel = step.weight(1)
    bias = step.weight(2) if len(step.node.input) > 2 else None
    outputs, groups = len(kernel), int(step.given.get("group", 1))
    depthwise = groups > 1 and groups == step.x.shape[2]
    size, strides = kernel.shape[2:], tuple(step.given.get("strides", (1, 1)))
    spread = tuple(step.given.get("dilations", (1, 1)))
    x, padding, sides = _padded(step.layers, step.x, (size, strides, spread), _pads(step), depthwise)
    restored = step.layers.style is not None and bias is not None
    config: dict[str, Any] = {"kernel_size": list(size), "strides": list(strides), "padding": padding}
    config |= {"dilation_rate": list(spread), "use_bias": bias is not None and not restored}
    if depthwise:
        kind, multiplier = "DepthwiseConv2D", outputs // groups
        config["depth_multiplier"] = multiplier
        values = kernel.reshape(groups, multiplier, *size).transpose(2, 3, 0, 1)
        weights = [("depthwise_kernel", values)]
    else:
        kind = "Conv2D"
        config |= {"filters": outputs} | ({"groups": groups} if groups > 1 else {})
        weights = [("kernel", kernel.transpose(2, 3, 1, 0))]
    if bias is not None and not restored:
        weights.append(("bias", bias))
    made = Tensor(step.layers.add(kind, config, x, weights=tuple(weights)), (*sides, outputs))
    return _norm(step.layers, made, np.ones_like(bias), bias) if restored and bias is not None else made


Window = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Size, strides and dilation, each rows and columns."""
Pads = tuple[int, int, int, int]
"""Top, left, bottom, right."""


def _pads(step: Step) -> Pads:
    if step.given.get("auto_pad", b"NOTSET") != b"NOTSET" or step.given.get("ceil_mode", 0):
        raise Incompatible(
            f"The graph's {step.node.op_type} leaves its padding to the engine. Expected pads in numbers."
        )
    top, left, bottom, right = step.given.get("pads", (0, 0, 0, 0))
    return top, left, bottom, right


def _padded(layers: Layers, x: Tensor, window: Window, pads: Pads, zeros: bool) -> tuple[Tensor, str, tuple[int, int]]:
    """Return what the window slides over, Keras's padding, and rows and columns of the result.

    Keras's ``same`` where it comes to the same pads; else a ZeroPadding2D in front, as Keras's own networks have. ``zeros``:
    prefer the latter where the window skips, as those do before depthwise convolutions.
    """
    rows, columns = x.shape[:2]
    before, after, sides = [], [], []
    for side, size, stride, spread, low, high in zip((rows, columns), *window, pads[:2], pads[2:], strict=True):
        reach = (size - 1) * spread + 1
        sides.append((side + low + high - reach) // stride + 1)
        total = max((-(-side // stride) - 1) * stride + reach - side, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    result = (sides[0], sides[1])
    if not any(pads):
        return x, "valid", result
    if pads == (*before, *after) and not (zeros and max(window[1]) > 1):
        return x, "same", result
    return _zero_padding(layers, x, pads), "valid", result


def _zero_padding(layers: Layers, x: Tensor, pads: Pads) -> Tensor:
    top, left, bottom, right = pads
    name = layers.add("ZeroPadding2D", {"padding": [[top, bottom], [left, right]]}, x)
    return Tensor(name, (x.shape[0] + top + bottom, x.shape[1] + left + right, x.shape[2]))


def _norm(layers: Layers, x: Tensor, scale: Array, shift: Array) -> Tensor:
    """Add a batch norm that computes ``scale * x + shift``."""
    epsilon = (layers.style or PLAIN).epsilon
    values = (scale, shift, np.zeros_like(shift), np.full_like(shift, 1 - epsilon))
    weights = tuple(zip(("gamma", "beta", "moving_mean", "moving_variance"), values, strict=True))
    return Tensor(layers.add("BatchNormalization", {"axis": -1, "epsilon": epsilon}, x, weights=weights), x.shape)


def _batch_norm(step: Step) -> Tensor:
    gamma, beta, mean, variance = (step.weight(place).astype(np.float64) for place in (1, 2, 3, 4))
    scale = gamma / np.sqrt(variance + step.given.get("epsilon", 1e-5))
    return _norm(step.layers, step.x, scale.astype(np.float32), (beta - mean * scale).astype(np.float32))


def _gemm(step: Step) -> Tensor:
    if (
        any(step.given[name] != plain for name, plain in PLAIN_GEMM.items() if name in step.given)
        or len(step.x.shape) != 1
    ):
        raise Incompatible("The graph has a Gemm that is no plain dense layer. Export it as ONNX instead.")
    kernel = step.weight(1)
    bias = step.weight(2) if len(step.node.input) > 2 else np.zeros(kernel.shape[1], dtype=np.float32)
    x, style = step.x, step.layers.style
    if style is not None and style.dropout and any(layer.kind == "Dense" for layer in step.layers.made):
        x = Tensor(step.layers.add("Dropout", {"rate": style.dropout}, x), x.shape)
    config = {"units": kernel.shape[1], "activation": "linear", "use_bias": True}
    return Tensor(step.layers.add("Dense", config, x, weights=(("kernel", kernel), ("bias", bias))), (kernel.shape[1],))


# --- activations ---------------------------------------------------------------------------------------------------


def _activation(name: str) -> Callable[[Step], Tensor]:
    def add(step: Step) -> Tensor:
        if step.layers.uses[step.node.input[0]] > 1:
            return Tensor(step.layers.add("Activation", {"activation": name}, step.x), step.x.shape)
        return step.layers.activate(step.x, name)

    return add


def _clip(step: Step) -> Tensor:
    if len(step.node.input) != 3 or step.weight(1).item() != 0:
        raise Incompatible("The graph clips to another range than 0 to a limit. Keras has no layer for it.")
    return Tensor(step.layers.add("ReLU", {"max_value": step.weight(2).item()}, step.x), step.x.shape)


# --- pooling, several inputs, shapes -------------------------------------------------------------------------------


def _pooling(kind: str) -> Callable[[Step], Tensor]:
    def pool(step: Step) -> Tensor:
        size, strides = tuple(step.given["kernel_shape"]), tuple(step.given.get("strides", (1, 1)))
        pads = _pads(step)
        # Zeros in front of a maximum change nothing behind a ReLU, and everything elsewhere.
        maker = step.layers.made[-1]
        positive = maker.name == step.x.layer and (maker.kind == "ReLU" or maker.config.get("activation") == "relu")
        if any(pads) and (kind == "AveragePooling2D" or not positive):
            raise Incompatible(
                f"The graph's {step.node.op_type} has paddings that Keras's layer lacks. Export it as ONNX instead."
            )
        x, padding, sides = _padded(step.layers, step.x, (size, strides, (1, 1)), pads, False)
        config = {"pool_size": list(size), "strides": list(strides), "padding": padding}
        return Tensor(step.layers.add(kind, config, x), (*sides, x.shape[2]))

    return pool


def _global(kind: str) -> Callable[[Step], Tensor]:
    def pool(step: Step) -> Tensor:
        behind = [one.op_type for one in step.layers.graph.node if step.node.output[0] in one.input]
        if set(behind) != {"Flatten"}:
            raise Incompatible(f"The graph's {step.node.op_type} is not flattened. Export it as ONNX instead.")
        return Tensor(step.layers.add(kind, {}, step.x), (step.x.shape[2],))

    return pool


def _merge(kind: str) -> Callable[[Step], Tensor]:
    def merge(step: Step) -> Tensor:
        found = [step.layers.tensors.get(name) for name in step.node.input]
        inputs = [one for one in found if one is not None]
        if len(inputs) < len(found) or len({one.shape[:-1] for one in inputs}) > 1:
            raise Incompatible(
                f"The graph's {step.node.op_type} takes a constant or what does not fit. Export it as ONNX instead."
            )
        if kind != "Concatenate":
            return Tensor(step.layers.add(kind, {}, *inputs), step.x.shape)
        if step.given["axis"] != 1:
            raise Incompatible(
                "The graph joins tensors along another axis than the channels. Export it as ONNX instead."
            )
        channels = sum(one.shape[-1] for one in inputs)
        return Tensor(step.layers.add(kind, {"axis": -1}, *inputs), (*step.x.shape[:-1], channels))

    return merge


def _flatten(step: Step) -> Tensor:
    if len(step.x.shape) == 1:
        return step.x
    if not step.x.keras_order and step.x.shape[:2] != (1, 1):
        raise Incompatible("The graph flattens a map channels first, as Keras does not. Export it as ONNX instead.")
    return Tensor(step.layers.add("Flatten", {}, step.x), (int(np.prod(step.x.shape)),))


def _transpose(step: Step) -> Tensor:
    wanted = [0, 3, 1, 2] if step.x.keras_order else [0, 2, 3, 1]
    if len(step.x.shape) != 3 or list(step.given.get("perm", ())) != wanted:
        raise Incompatible(
            "The graph turns a tensor otherwise than between Keras's order and its own. Export it as ONNX instead."
        )
    return Tensor(step.x.layer, step.x.shape, keras_order=not step.x.keras_order)


def _pad(step: Step) -> Tensor:
    sides = step.weight(1).astype(int).tolist()
    if step.given.get("mode", b"constant") != b"constant" or len(step.node.input) != 2 or any(sides[:2] + sides[4:6]):
        raise Incompatible("The graph pads otherwise than with zeros around a map. Export it as ONNX instead.")
    return _zero_padding(step.layers, step.x, (sides[2], sides[3], sides[6], sides[7]))


OPERATORS: Mapping[str, Callable[[Step], Tensor]] = {
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "Gemm": _gemm,
    "Relu": _activation("relu"),
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Clip": _clip,
    "MaxPool": _pooling("MaxPooling2D"),
    "AveragePool": _pooling("AveragePooling2D"),
    "GlobalAveragePool": _global("GlobalAveragePooling2D"),
    "GlobalMaxPool": _global("GlobalMaxPooling2D"),
    "Add": _merge("Add"),
    "Mul": _merge("Multiply"),
    "Concat": _merge("Concatenate"),
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Pad": _pad,
    "Identity": lambda step: step.x,
}
