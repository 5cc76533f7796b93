"""A trained network as a clean ONNX graph: batch norms folded, paddings inside the convolutions, nothing else.

Exporters that trace torch leave shape arithmetic and identities behind, which some engines run 1.5–3 times slower. Only the trunks
of timm, which are of any kind, go through torch's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from hilum.errors import Incompatible
from hilum.records import Array
from hilum.training.networks import DenseLayer, Head, InvertedResidual, LinearHead, Network, SamePad
from hilum.training.timm_trunk import TimmTrunk

OPSET = 17
IR_VERSION = 8


class GraphWriter:
    """Nodes and initialisers in the making; every method returns the name of the tensor it made."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output."""
        name = output or f"{self.prefix}{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def weight(self, values: Array) -> str:
        """Add an initialiser."""
        name = f"{self.prefix}weight_{len(self.initialisers)}"
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name))
        return name


def network_to_onnx(network: Network, outputs: int, size: int) -> bytes:
    """Return the graph: input N×C×size×size; outputs ``logits`` N×outputs (the first of the network's) and ``features``."""
    if isinstance(network.trunk, TimmTrunk):
        return _exported(network.trunk, network.head, outputs, size)
    if not isinstance(network.trunk, nn.Sequential):
        raise TypeError(f"no ONNX is written for {type(network.trunk).__name__}")
    writer = GraphWriter()
    features = _sequence(writer, network.trunk, "input")
    writer.node("Identity", features, output="features")
    logits, channels = _head(writer, network.head, "features", outputs)
    first = next(module for module in network.trunk.modules() if isinstance(module, nn.Conv2d))
    graph = helper.make_graph(
        writer.nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", first.in_channels, size, size])],
        [
            helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["N", outputs]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", channels, None, None]),
        ],
        writer.initialisers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="hilum"
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _exported(trunk: TimmTrunk, head: Head | LinearHead, outputs: int, size: int) -> bytes:
    """Return the graph of a trunk that torch's own exporter writes, with the head behind it as ``network_to_onnx`` writes it."""
    example = torch.zeros(2, 3, size, size)
    try:
        program = torch.onnx.export(
            trunk.eval(),
            (example,),
            input_names=["input"],
            output_names=["features"],
            dynamic_shapes=({0: "N"},),
            dynamo=True,
            verbose=False,
        )
    except (ImportError, torch.onnx.errors.OnnxExporterError) as error:
        raise Incompatible(
            f"timm's {trunk.name} can't be written as an ONNX graph ({type(error).__name__}). Expected a network that torch's "
            "exporter takes, and onnxscript: pip install 'hilum[train,timm]'."
        ) from None
    if program is None:
        raise Incompatible(f"torch's exporter gave no graph for timm's {trunk.name}. Expected another network.")
    model = program.model_proto
    writer = GraphWriter("head_")
    logits, _ = _head(writer, head, "features", outputs)
    model.graph.node.extend(writer.nodes)
    model.graph.initializer.extend(writer.initialisers)
    model.graph.output.insert(0, helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["N", outputs]))
    for node in model.graph.node:
        del node.metadata_props[:]  # the exporter's notes: paths and line numbers of this machine
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _head(writer: GraphWriter, head: Head | LinearHead, x: str, outputs: int) -> tuple[str, int]:
    """Write pooling and dense layers; return the logits' name and the number of the feature map's channels."""
    x = writer.node("Flatten", writer.node("GlobalAveragePool", x))
    dense = [head.logits] if isinstance(head, LinearHead) else [head.hidden, head.logits]
    for layer in dense[:-1]:
        weight, bias = _array(layer.weight).T, _array(layer.bias)
        x = writer.node("Relu", writer.node("Gemm", x, writer.weight(weight), writer.weight(bias)))
    weight, bias = _array(head.logits.weight)[:outputs].T, _array(head.logits.bias)[:outputs]
    return writer.node("Gemm", x, writer.weight(weight), writer.weight(bias), output="logits"), dense[0].in_features


def _sequence(writer: GraphWriter, modules: Iterable[nn.Module], x: str) -> str:
    """Write modules one behind the other; a padding goes into the convolution behind it, a batch norm into the one before."""
    todo = list(modules)
    pads = None
    while todo:
        module = todo.pop(0)
        if isinstance(module, SamePad):
            pads = [module.pad[2], module.pad[0], module.pad[3], module.pad[1]]
        elif isinstance(module, nn.Conv2d):
            norm = todo.pop(0) if todo and isinstance(todo[0], nn.BatchNorm2d) else None
            x = _convolution(writer, module, norm, x, pads)
            pads = None
        else:
            x = _module(writer, module, x)
    return x


def _module(writer: GraphWriter, module: nn.Module, x: str) -> str:
    if isinstance(module, nn.Sequential):
        return _sequence(writer, module, x)
    if isinstance(module, InvertedResidual):
        y = _sequence(writer, module.body, x)
        return writer.node("Add", x, y) if module.residual else y
    if isinstance(module, DenseLayer):
        relu = nn.ReLU()
        y = _sequence(writer, (module.norm1, relu, module.conv1, module.norm2, relu, module.conv2), x)
        return writer.node("Concat", x, y, axis=1)
    if isinstance(module, nn.ReLU6):
        low, high = writer.weight(np.asarray(0, dtype=np.float32)), writer.weight(np.asarray(6, dtype=np.float32))
        return writer.node("Clip", x, low, high)
    if isinstance(module, nn.ReLU):
        return writer.node("Relu", x)
    if isinstance(module, nn.BatchNorm2d):
        scale, shift = _norm(module)
        ones = np.ones_like(scale)
        parts = [writer.weight(values) for values in (scale, shift, np.zeros_like(scale), ones)]
        return writer.node("BatchNormalization", x, *parts, epsilon=0.0)
    if isinstance(module, nn.MaxPool2d):
        return writer.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    if isinstance(module, nn.AvgPool2d):
        return writer.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    raise TypeError(f"no ONNX is written for {type(module).__name__}")


def _convolution(writer: GraphWriter, conv: nn.Conv2d, norm: nn.Module | None, x: str, pads: list[int] | None) -> str:
    weight = _array(conv.weight)
    inputs = [x]
    if isinstance(norm, nn.BatchNorm2d):
        scale, shift = _norm(norm)
        inputs += [writer.weight(weight * scale[:, None, None, None]), writer.weight(shift)]
    else:
        inputs.append(writer.weight(weight))
    rows, columns = int(conv.padding[0]), int(conv.padding[1])
    return writer.node(
        "Conv",
        *inputs,
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        group=conv.groups,
        pads=pads or [rows, columns, rows, columns],
    )


def _norm(norm: nn.BatchNorm2d) -> tuple[Array, Array]:
    """Return a batch norm as scale and shift per channel."""
    variance, mean = _array(norm.running_var), _array(norm.running_mean)
    scale = _array(norm.weight) / np.sqrt(variance + norm.eps)
    return scale, _array(norm.bias) - mean * scale


def _array(tensor: Tensor | None) -> Array:
    if tensor is None:
        raise TypeError("the network lacks a weight that its ONNX graph needs")
    values: Array = tensor.detach().float().numpy()
    return values
