"""Making a graph smaller without changing its numbers: norms into convolutions, paddings into what follows them."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hilum.keras_h5.ops import Op, Writer
from hilum.records import Array


def fold(w: Writer, output: str) -> None:
    """Drop what ``output`` does not need, and fold norms and paddings where nothing else takes what lies between."""
    ops = _needed(w.ops, output)
    uses = Counter(name for op in ops for name in op.inputs)
    makers: dict[str, Op] = {}
    kept: dict[str, Op] = {}
    for op in ops:
        before = makers.get(op.inputs[0])
        if before is not None and uses[before.output] == 1:
            match before.operator, op.operator:
                case (("Conv" | "Gemm"), "BatchNormalization"):
                    _norm_into(w, op, before)
                    del kept[before.output]
                    op = Op(before.operator, before.inputs, op.output, before.attributes)
                case "BatchNormalization", "Gemm":
                    _norm_before(w, before, op)
                    del kept[before.output]
                    op.inputs[0] = before.inputs[0]
                case "Pad", ("Conv" | "MaxPool") if _take_padding(w, before, op, makers.get(before.inputs[0])):
                    del kept[before.output]
                    op.inputs[0] = before.inputs[0]
        kept[op.output] = makers[op.output] = op
    w.ops = list(kept.values())


def _needed(ops: list[Op], output: str) -> list[Op]:
    needed, kept = {output}, []
    for op in reversed(ops):
        if op.output in needed:
            needed.update(op.inputs)
            kept.append(op)
    return kept[::-1]


def _scale_and_shift(w: Writer, norm: Op) -> tuple[Array, Array]:
    return w.weights[norm.inputs[1]], w.weights[norm.inputs[2]]


def _norm_into(w: Writer, norm: Op, before: Op) -> None:
    """Put a norm into the convolution (outputs first) or dense layer (outputs last) before it."""
    scale, shift = _scale_and_shift(w, norm)
    weight, bias = before.inputs[1:3]
    w.weights[weight] = w.weights[weight] * scale.reshape((-1, 1, 1, 1) if before.operator == "Conv" else (1, -1))
    w.weights[bias] = w.weights[bias] * scale + shift


def _norm_before(w: Writer, norm: Op, dense: Op) -> None:
    """Put a norm into the dense layer (inputs × outputs) behind it."""
    scale, shift = _scale_and_shift(w, norm)
    weight, bias = dense.inputs[1:3]
    w.weights[bias] = w.weights[bias] + np.asarray(shift @ w.weights[weight], dtype=np.float32)
    w.weights[weight] = w.weights[weight] * scale[:, np.newaxis]


def _take_padding(w: Writer, pad: Op, op: Op, source: Op | None) -> bool:
    """Widen the pads of ``op``, if that is the same: a maximum pads with −∞, the same as 0 only for values of at least 0."""
    if op.operator == "MaxPool" and (source is None or source.operator != "Relu"):
        return False
    *_, top, left, _, _, bottom, right = w.shapes[pad.inputs[1]].tolist()
    pads = [own + more for own, more in zip(_list(op, "pads") or [0] * 4, (top, left, bottom, right), strict=True)]
    if any(side >= reach for side, reach in zip(pads, _list(op, "kernel_shape") * 2, strict=True)):
        return False
    op.attributes["pads"] = pads
    return True


def _list(op: Op, name: str) -> list[int]:
    value = op.attributes.get(name, [])
    return value if isinstance(value, list) else [int(value)]
