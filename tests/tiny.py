"""Bundles of a few kilobytes that go through the same code as real ones: one convolution, pooling, two dense layers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hilum.findings import CUSTOM_CNN_OUTPUTS, DENSENET121_OUTPUTS, MOBILENETV2_OUTPUTS
from hilum.normalise import scale_pixels
from hilum.records import Calibration, InputSpec, Interval, Manifest, OperatingPoint, Output, TrainedOn
from hilum.registry import MANIFEST_SCHEMA, Bundle, save_bundle
from hilum.runtime import open_session

SIDE = 32
CHANNELS = 6
UNASSESSED = ("Fracture", "Tuberculosis")
CLASSIC = (
    ("DenseNet121", "densenet", DENSENET121_OUTPUTS),
    ("MobileNetV2", "mobilenet", MOBILENETV2_OUTPUTS),
    ("HilumCNN", "custom", CUSTOM_CNN_OUTPUTS),
)


def tiny_graph(outputs: int, seed: int = 0, hidden: int = 8, pooled: bool = True) -> bytes:
    """Return an ONNX graph 3×32×32 → 4×4 feature map → logits; without ``pooled`` it has no head that maps are made from."""
    rng = np.random.default_rng(seed)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name)

    flat = CHANNELS if pooled else CHANNELS * 16
    nodes = [
        helper.make_node("Conv", ["input", "kernel", "shift"], ["map"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Relu", ["map"], ["features"]),
        *([helper.make_node("GlobalAveragePool", ["features"], ["pooled"])] if pooled else []),
        helper.make_node("Flatten", ["pooled" if pooled else "features"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["logits"]),
    ]
    weights = [
        weight("kernel", CHANNELS, 3, 8, 8),
        weight("shift", CHANNELS),
        weight("w1", flat, hidden),
        weight("b1", hidden),
        weight("w2", hidden, outputs),
        weight("b2", outputs),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", outputs]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", CHANNELS, 4, 4]),
        ],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def output(name: str) -> Output:
    """Return an assessed output with made-up figures, or one that is not assessed."""
    if name in UNASSESSED:
        return Output(name, assessed=False, reason="trained on 3 positive patients; 100 are needed", positives=3)
    points = {
        "youden": OperatingPoint(55.0, 0.7, 0.8),
        "rule_in": OperatingPoint(80.0, 0.3, 0.95),
        "rule_out": OperatingPoint(20.0, 0.95, 0.3),
    }
    return Output(name, True, None, 200, Calibration(1.1, 0.2), 0.05, points, Interval(0.7, 0.65, 0.75))


def tiny_manifest(architecture: str, slot: str | None, names: tuple[str, ...], **changes: object) -> Manifest:
    """Return a manifest for ``tiny_graph`` with these outputs."""
    fields: dict[str, object] = {
        "schema": MANIFEST_SCHEMA,
        "id": f"{architecture.lower()}-tiny",
        "version": "0.0.1",
        "architecture": architecture,
        "slot": slot,
        "trained_on": TrainedOn("random numbers, for tests", images=3, patients=2),
        "input": InputSpec(SIDE, SIDE, 3, 1.0, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        "outputs": tuple(output(name) for name in names),
        "files": {},
    }
    return Manifest(**(fields | changes))  # type: ignore[arg-type]


def tiny_golden(model: bytes, spec: InputSpec) -> bytes:
    """Return the golden vectors of a graph."""
    pixels = np.random.default_rng(7).integers(0, 256, (2, spec.height, spec.width), dtype=np.uint8)
    inputs = np.ascontiguousarray(scale_pixels(pixels.astype(np.float32) / 255, spec))
    (logits,) = open_session(model).evaluate(inputs, "logits")
    buffer = io.BytesIO()
    np.savez(buffer, pixels=pixels, logits=logits)
    return buffer.getvalue()


def write_tiny(folder: Path, manifest: Manifest, seed: int = 0, pooled: bool = True) -> Bundle:
    """Write a tiny bundle below ``folder``."""
    model = tiny_graph(len(manifest.outputs), seed, pooled=pooled)
    files = {"model.onnx": model, "golden.npz": tiny_golden(model, manifest.input), "card.md": b"# tiny\n"}
    return save_bundle(folder / manifest.id, manifest, files)


def write_classic(folder: Path) -> Path:
    """Write three tiny bundles with the classic members' outputs, and return ``folder``."""
    for seed, (architecture, slot, names) in enumerate(CLASSIC):
        write_tiny(folder, tiny_manifest(architecture, slot, names), seed)
    return folder
