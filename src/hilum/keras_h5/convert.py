"""A described network with its weights → ONNX, for one input size.

Held channels first from one transposition at the input on; outputs ``logits`` (before the last sigmoid or softmax),
``output`` (what Keras's ``predict`` returns) and, where global average pooling leads to the logits, ``features``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import onnx
from onnx import TensorProto, helper, numpy_helper

from hilum.errors import Incompatible
from hilum.keras_h5.description import Layer, Model, Ref
from hilum.keras_h5.fold import fold
from hilum.keras_h5.layers import apply_layer
from hilum.keras_h5.ops import Op, Value, Writer
from hilum.keras_h5.weights import Path
from hilum.records import Array

OPSET = 17
IR_VERSION = 8
INPUT = "input"

Ends = Literal["sigmoid", "softmax"]
Weights = Mapping[Path, Mapping[str, Array]]

_HEAD = frozenset({"Gemm", "Relu", "Clip", "LeakyRelu", "Elu", "Selu", "Tanh", "Flatten", "BatchNormalization"})


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """An ONNX graph and what is known from its making."""

    model: bytes
    outputs: tuple[int, ...]
    """Shape of the answer for one film; (n,) for a classifier."""
    ends: Ends | None
    """What turns ``logits`` into ``output``; None: they are the same."""
    scales_itself: bool
    """The network begins with Rescaling or Normalization."""


def convert(model: Model, weights: Weights, shape: tuple[int, int, int], keras: int) -> Converted:
    """Convert for inputs of ``shape`` (rows, columns, channels). Raises ``Incompatible`` or ``UnsafeFile``."""
    walk = _Walk(Writer(), weights, keras)
    held = walk.w.op("Transpose", shape, INPUT, perm=[0, 3, 1, 2])
    walk.start = held.name
    results = walk.run(model, [held], ())
    if len(results) != 1:
        raise Incompatible(f"The network has {len(results)} outputs. Expected one.")
    result = _in_keras_order(walk.w, results[0])
    fold(walk.w, result.name)
    ends = _name_outputs(walk.w, result.name)
    return Converted(_to_onnx(walk.w, shape, result), result.shape, ends, walk.scales_itself)


class _Walk:
    """Follows the calls through models and nested models."""

    def __init__(self, w: Writer, weights: Weights, keras: int) -> None:
        self.w = w
        self.weights = weights
        self.keras = keras
        self.start = ""
        self.scales_itself = False

    def run(self, model: Model, given: Sequence[Value], around: Path) -> list[Value]:
        """Add a model's operators for the inputs ``given``; return its outputs."""
        layers = {layer.name: layer for layer in model.layers}
        if len(given) != len(model.inputs):
            raise Incompatible(f"The model {model.name!r} takes {len(model.inputs)} inputs and gets {len(given)}.")
        made: dict[tuple[str, int], list[Value]] = {
            (ref.layer, 0): [value] for ref, value in zip(model.inputs, given, strict=True)
        }
        shift = _first_calls(model)
        pending = [(layer, call) for layer in model.layers for call in range(len(layer.calls))]
        while pending:
            waiting = []
            for layer, call in pending:
                inputs = [_find(made, ref, shift) for ref in layer.calls[call]]
                found = [value for value in inputs if value is not None]
                if len(found) < len(inputs):
                    waiting.append((layer, call))
                else:
                    made[layer.name, call] = self._call(layer, found, around)
            if len(waiting) == len(pending):
                raise Incompatible(f"The layer {waiting[0][0].name!r} takes what no layer makes, or its own output.")
            pending = waiting
        outputs = [_find(made, ref, shift) for ref in model.outputs]
        if None in outputs or any(ref.layer not in layers for ref in model.outputs):
            raise Incompatible(f"The model {model.name!r} has an output that no layer makes.")
        return [value for value in outputs if value is not None]

    def _call(self, layer: Layer, inputs: Sequence[Value], around: Path) -> list[Value]:
        path = (*around, layer.name)
        if layer.model is not None:
            return self.run(layer.model, inputs, path)
        if layer.kind in ("Rescaling", "Normalization") and inputs and inputs[0].name == self.start:
            self.scales_itself = True
        return [apply_layer(self.w, layer, self.weights.get(path, {}), inputs, self.keras)]


def _first_calls(model: Model) -> dict[str, int]:
    """Return the number of each nested model's first call: Keras counts from 1 where it counts the model's own making."""
    used: dict[str, int] = {}
    for ref in [*model.outputs, *(ref for layer in model.layers for call in layer.calls for ref in call)]:
        used[ref.layer] = max(used.get(ref.layer, 0), ref.call)
    return {
        layer.name: 1
        for layer in model.layers
        if layer.model is not None and used.get(layer.name, 0) >= len(layer.calls)
    }


def _find(made: Mapping[tuple[str, int], list[Value]], ref: Ref, shift: Mapping[str, int]) -> Value | None:
    """Return the tensor that ``ref`` names, or None while it is not made."""
    values = made.get((ref.layer, ref.call - shift.get(ref.layer, 0)))
    if values is None:
        return None
    if ref.tensor >= len(values):
        raise Incompatible(f"The layer {ref.layer!r} has {len(values)} outputs, and number {ref.tensor} is used.")
    return values[ref.tensor]


def _in_keras_order(w: Writer, x: Value) -> Value:
    return w.op("Transpose", x.shape, x, perm=[0, 2, 3, 1]) if x.is_map else x


# --- outputs -------------------------------------------------------------------------------------------------------


def _name_outputs(w: Writer, result: str) -> Ends | None:
    """Give the three outputs their names; return what stands between ``logits`` and ``output``."""
    last = next((op for op in w.ops if op.output == result), None)
    ends: Ends | None = None
    if last is not None and last.operator in ("Sigmoid", "Softmax"):
        ends = "sigmoid" if last.operator == "Sigmoid" else "softmax"
        _rename(w, last.inputs[0], "logits")
        _rename(w, result, "output")
    else:
        _rename(w, result, "logits")
        w.ops.append(Op("Identity", ["logits"], "output"))
    features = _features(w)
    if features is not None:
        _rename(w, features, "features")
    return ends


def _features(w: Writer) -> str | None:
    """Return the last feature map: what is pooled on the one way to the logits."""
    makers = {op.output: op for op in w.ops}
    op = makers.get("logits")
    while op is not None and op.operator in _HEAD:
        op = makers.get(op.inputs[0])
    return None if op is None or op.operator != "GlobalAveragePool" else op.inputs[0]


def _rename(w: Writer, old: str, new: str) -> None:
    for op in w.ops:
        op.output = new if op.output == old else op.output
        op.inputs = [new if name == old else name for name in op.inputs]


def _to_onnx(w: Writer, shape: tuple[int, int, int], result: Value) -> bytes:
    nodes = [_node(op) for op in w.ops]
    used = {name for op in w.ops for name in op.inputs}
    stored = [numpy_helper.from_array(v, n) for part in (w.weights, w.shapes) for n, v in part.items() if n in used]
    answer: list[str | int | None] = ["N", *result.shape]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, answer) for name in ("logits", "output")]
    if any(op.output == "features" for op in w.ops):
        outputs.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", None, None, None]))
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", *shape])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, stored)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="hilum"
    )
    onnx.checker.check_model(made)
    return made.SerializeToString()


def _node(op: Op) -> onnx.NodeProto:
    node = helper.make_node(op.operator, op.inputs, [op.output])
    node.attribute.extend(helper.make_attribute(name, value) for name, value in op.attributes.items())
    return node
