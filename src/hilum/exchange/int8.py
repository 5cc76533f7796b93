"""A float32 graph → the same network in 8 bits, by the inference engine's own tool, ranges measured on films."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from hilum.graph import with_float32_weights
from hilum.records import Array

OPERATORS = ("Conv", "Relu", "Clip", "Add", "Concat", "MaxPool", "AveragePool")
"""What computes in 8 bits. Pooling and the dense layers behind ``features`` stay in float32: heat maps are made of them, and they
take no time."""


def to_int8(model: bytes, films: Iterable[Array], exact_convolutions: int = 0) -> bytes:
    """Return a graph of float32 in 8 bits; ``films``: inputs, 1×C×H×W each, that the ranges of its activations are measured on.

    The first ``exact_convolutions`` of the network stay in float32: a range for channels too different fits none.

    Weights are symmetric int8 by output channel, activations uint8 (QDQ; Jacob et al. 2018). Batch norms between convolutions
    stay in float32. The tool needs sympy, which comes with torch.
    """
    import onnxruntime
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self._films: Iterator[dict[str, Array]] = ({name: film} for film in films)

        def get_next(self) -> dict[str, Array] | None:
            return next(self._films, None)

    with tempfile.TemporaryDirectory() as folder:
        folded, quantised = Path(folder) / "folded.onnx", Path(folder) / "int8.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(with_float32_weights(model), options, providers=["CPUExecutionProvider"])
        proto = onnx.load_model(folded)
        for number, node in enumerate(proto.graph.node):
            node.name = node.name or f"node {number}"
        convolutions = [node.name for node in proto.graph.node if node.op_type == "Conv"]
        # Or the tool warns that nobody has folded what can be folded.
        onnx.helper.set_model_props(proto, {"onnx.quant.pre_process": "onnxruntime.quant"})
        quantize_static(
            proto,
            quantised,
            Reader(session.get_inputs()[0].name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            nodes_to_exclude=convolutions[:exact_convolutions],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        made = onnx.load_model(quantised)
    del made.metadata_props[:]
    return bytes(made.SerializeToString())
