"""An ONNX graph as data: the head that heat maps need, and weights stored in half the space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from hilum.errors import Incompatible
from hilum.records import Array

FLOAT16_FROM = 64
"""Initialisers with fewer values stay float32: they cost nothing, and clips and scales keep their exact values."""


ROUNDED = "_quantized"
"""What the inference engine's tool calls weights in 8 bits, behind their name."""
VALUES = ("raw_data", "float_data", "int32_data", "int64_data", "uint64_data", "double_data")
"""Where a tensor may have its values."""
PLAIN_GEMM = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
"""Attributes of a Gemm that computes x @ weight + bias."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The dense layers between the pooled feature map and the logits, with a ReLU between each two."""

    layers: tuple[tuple[Array, Array], ...]
    """Weight (inputs × outputs) and bias (outputs) of each."""


def read_head(model: bytes) -> Head | None:
    """Return the head behind ``features``, or None where it is not global average pooling and dense layers with ReLU."""
    graph = _parse(model).graph
    makers = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    layers: list[tuple[Array, Array]] = []
    name = "logits"
    while (node := makers.get(name)) is not None and node.op_type == "Gemm" and len(node.input) == 3:
        if any(helper.get_attribute_value(given) != PLAIN_GEMM.get(given.name) for given in node.attribute):
            return None
        weight, bias = (_values(weights, makers, part) for part in node.input[1:])
        if weight is None or bias is None:
            return None
        layers.insert(0, (weight, bias))
        below = makers.get(node.input[0])
        if below is None or below.op_type not in ("Relu", "Flatten"):
            return None
        name = below.input[0]
        if below.op_type == "Flatten":
            pooling = makers.get(name)
            pooled = pooling is not None and pooling.op_type == "GlobalAveragePool" and pooling.input[0] == "features"
            return Head(tuple(layers)) if pooled else None
    return None


def layer_weights(model: bytes, operators: tuple[str, ...]) -> list[tuple[str, list[Array]]]:
    """Return operator and float32 weights of each node of these operators, in the graph's order."""
    graph = _parse(model).graph
    makers = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type in operators:
            values = [_values(weights, makers, name) for name in node.input[1:]]
            found.append((node.op_type, [value for value in values if value is not None]))
    return found


def with_float16_weights(model: bytes) -> bytes:
    """Return the graph with its float32 weights stored as float16 and cast back when it is opened.

    The engine folds the casts once, so that it computes in float32 as before; only the file is half as large.
    """
    proto = _parse(model)
    casts = []
    for tensor in proto.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < FLOAT16_FROM:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if not np.abs(values).max() <= np.finfo(np.float16).max:
            raise Incompatible(
                f"The weights {name} reach {np.abs(values).max():g}. Expected less than 65504, to be stored as float16."
            )
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return bytes(proto.SerializeToString())


def with_float32_weights(model: bytes) -> bytes:
    """Return the graph with weights stored as float16 restored to float32, and their casts gone."""
    proto = _parse(model)
    weights = {tensor.name: tensor for tensor in proto.graph.initializer}
    restored = {
        node.output[0]: _values(weights, {node.output[0]: node}, node.output[0])
        for node in proto.graph.node
        if node.op_type == "Cast"
    }
    nodes = [node for node in proto.graph.node if restored.get(node.output[0]) is None]
    halves = {node.input[0] for node in proto.graph.node if restored.get(node.output[0]) is not None}
    kept = [tensor for tensor in proto.graph.initializer if tensor.name not in halves]
    made = [numpy_helper.from_array(values, name) for name, values in restored.items() if values is not None]
    del proto.graph.node[:], proto.graph.initializer[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend([*kept, *made])
    return bytes(proto.SerializeToString())


def without_weights(coarse: bytes, model: bytes) -> bytes:
    """Return a network in 8 bits without the weights that follow from ``model``, the same network exact: a tenth of the bytes."""
    proto, exact = _parse(coarse), _exact_weights(model)
    scales = {tensor.name: tensor for tensor in proto.graph.initializer}
    for tensor in proto.graph.initializer:
        given = _following(tensor, scales, exact)
        if given is not None and given.size >= FLOAT16_FROM and np.array_equal(given, numpy_helper.to_array(tensor)):
            tensor.CopyFrom(TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims))
    return bytes(proto.SerializeToString())


def with_weights(coarse: bytes, model: bytes) -> bytes:
    """Return a network in 8 bits, whole: what ``without_weights`` left out follows from ``model``, to the last bit.

    Raises ``Incompatible`` where ``model`` is of another network.
    """
    proto, exact = _parse(coarse), _exact_weights(model)
    scales = {tensor.name: tensor for tensor in proto.graph.initializer}
    for tensor in proto.graph.initializer:
        if any(len(getattr(tensor, place)) for place in VALUES) or 0 in tensor.dims:
            continue
        given = _following(tensor, scales, exact)
        if given is None or given.shape != tuple(tensor.dims):
            raise Incompatible(
                f"The network in 8 bits lacks the weights {tensor.name}. Do again: hilum models quantise."
            )
        tensor.CopyFrom(numpy_helper.from_array(given, tensor.name))
    return bytes(proto.SerializeToString())


def _exact_weights(model: bytes) -> dict[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in read_graph(model).initializer}


def _following(tensor: TensorProto, scales: dict[str, TensorProto], exact: dict[str, Array]) -> Array | None:
    """Return what a tensor of an 8-bit network must hold by the exact weights, or None where they do not say.

    A tensor of an exact one's name holds the same; one that ends on ``_quantized``, the exact one over its scale by output channel,
    rounded to int8, as the inference engine's tool does it.
    """
    name = tensor.name.removesuffix(ROUNDED)
    values, scale = exact.get(name), scales.get(f"{name}_scale")
    if values is None or name == tensor.name:
        return values
    if scale is None or tensor.data_type != TensorProto.INT8:
        return None
    by_output = numpy_helper.to_array(scale).reshape(-1, *(1 for _ in values.shape[1:]))
    return np.asarray(np.clip(np.rint(values / by_output), -128, 127), dtype=np.int8)


def read_graph(model: bytes) -> onnx.GraphProto:
    """Return the graph, with weights stored as float16 restored. Raises ``Incompatible`` for what is no graph."""
    return _parse(with_float32_weights(model)).graph


def weight_of(graph: onnx.GraphProto, name: str) -> Array | None:
    """Return a constant of a graph of ``read_graph``, float32, or None for what is computed."""
    found = next((tensor for tensor in graph.initializer if tensor.name == name), None)
    return None if found is None else np.asarray(numpy_helper.to_array(found), dtype=np.float32)


def _parse(model: bytes) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(model)
    except DecodeError:
        raise Incompatible("The network is not an ONNX graph.") from None


def _values(weights: dict[str, TensorProto], makers: dict[str, onnx.NodeProto], name: str) -> Array | None:
    """Return a weight by name, through the cast that restores it from float16; None for what is computed."""
    maker = makers.get(name)
    tensor = weights.get(maker.input[0] if maker is not None and maker.op_type == "Cast" else name)
    return None if tensor is None else np.asarray(numpy_helper.to_array(tensor), dtype=np.float32)
