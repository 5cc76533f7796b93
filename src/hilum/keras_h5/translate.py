"""A bundle's ONNX graph → Keras layers of the same numbers: the opposite of ``convert``."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import onnx
from onnx import helper

from hilum.errors import Incompatible
from hilum.graph import read_graph
from hilum.keras_h5.applications import Style
from hilum.keras_h5.operators import OPERATORS, Layers, Step, Tensor, WrittenLayer

Activation = Literal["sigmoid", "softmax"]


def translate(model: bytes, activation: Activation, style: Style | None = None) -> tuple[WrittenLayer, ...]:
    """Return the layers from the input to the scores. ``style``: of an architecture of ours, None for another network.

    Raises ``Incompatible`` for a graph that has no counterpart in Keras's layers.
    """
    graph = read_graph(model)
    layers = Layers(graph, style)
    logits = _follow(layers)
    if style is not None and layers.named != len(style.names):  # another network under the same name
        layers = Layers(graph, replace(style, names=()))
        logits = _follow(layers)
    layers.activate(logits, activation, "scores")
    return tuple(layers.made)


def _follow(layers: Layers) -> Tensor:
    """Translate everything up to ``logits``, in the graph's order."""
    _begin(layers)
    for node in layers.graph.node:
        layers.tensors[node.output[0]] = _translated(layers, node)
        if node.output[0] == "logits":
            return layers.tensors["logits"]
    raise Incompatible("The graph has no output named logits.")


def _begin(layers: Layers) -> None:
    """Add the input layer, channels last, whichever the graph has."""
    (given,) = layers.graph.input
    sides = [side.dim_value for side in given.type.tensor_type.shape.dim][1:]
    if len(sides) != 3 or 0 in sides:
        raise Incompatible("The graph's input has no fixed rows, columns and channels. Expected such a one.")
    first = next((node for node in layers.graph.node if given.name in node.input), None)
    turned = first is not None and first.op_type == "Transpose"
    rows, columns, channels = sides if turned else (*sides[1:], sides[0])
    layers.add("InputLayer", {"batch_input_shape": [None, rows, columns, channels], "dtype": "float32"}, name="film")
    layers.tensors[given.name] = Tensor("film", (rows, columns, channels), keras_order=turned)


def _translated(layers: Layers, node: onnx.NodeProto) -> Tensor:
    if node.op_type not in OPERATORS:
        raise Incompatible(
            f"The graph has the operator {node.op_type[:40]}, for which no Keras layer is written. "
            f"Known are {', '.join(sorted(OPERATORS))}. Export it as ONNX instead."
        )
    x = layers.tensors.get(node.input[0])
    if x is None:
        raise Incompatible(
            f"The graph's {node.op_type} takes a constant first. Expected what the layers before it made."
        )
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return OPERATORS[node.op_type](Step(layers, node, x, given))
