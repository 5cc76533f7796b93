"""What is written as Keras's comes back with the same numbers, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from hilum.errors import Incompatible
from hilum.graph import with_float16_weights
from hilum.keras_h5 import bundle_from_h5, bundle_to_h5, load, sidecar_text
from hilum.keras_h5.applications import STYLES
from hilum.keras_h5.network import read_stored
from hilum.keras_h5.operators import WrittenLayer
from hilum.keras_h5.translate import translate
from hilum.records import InputSpec, Manifest, Output
from hilum.registry import Bundle
from hilum.runtime import open_session
from hilum.training.networks import BUILDERS, torchxrayvision_densenet121
from hilum.training.to_onnx import network_to_onnx
from settled import pictures, settle
from tiny import tiny_graph, tiny_manifest

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "keras").glob("*.h5"))
NAMES = ("Edema", "Fracture", "Opacity")
SIDE = 64
NETWORKS = {**BUILDERS, "torchxrayvision": torchxrayvision_densenet121}


def graph_of(name: str) -> bytes:
    """Return a network of ours with weights and batch norm statistics that are random but always the same."""
    torch.manual_seed(0)
    network = settle(NETWORKS[name](len(NAMES)), pictures(8, channels_of(name), SIDE))
    return network_to_onnx(network, len(NAMES), SIDE)


def channels_of(name: str) -> int:
    return 3 if name in BUILDERS else 1


def bundle_of(model: bytes, architecture: str, names: tuple[str, ...] = NAMES, **changes: object) -> Bundle:
    return Bundle(tiny_manifest(architecture, None, names, **changes), "", model, "fp32")


def written(bundle: Bundle, path: Path) -> Path:
    path.write_bytes(bundle_to_h5(bundle))
    path.with_suffix(".toml").write_text(sidecar_text(bundle.manifest), "utf-8")
    return path


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_our_networks_come_back_with_the_same_numbers(name: str, tmp_path: Path) -> None:
    """Scores through the Keras file are those of the bundle, whose weights are stored as float16, to 1e-4."""
    architecture = name if name in BUILDERS else "DenseNet121"
    model = with_float16_weights(graph_of(name))
    path = written(bundle_of(model, architecture), tmp_path / "network.h5")
    x = pictures(3, channels_of(name), SIDE, 1)
    (logits,) = open_session(model).evaluate(x, "logits")
    expected = 1 / (1 + np.exp(-logits))
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(load(path).predict(x.transpose(0, 2, 3, 1)), expected, atol=1e-4)


def weighted(layers: tuple[WrittenLayer, ...]) -> list[str]:
    return [layer.name for layer in layers if layer.weights and layer.kind != "Dense"]


def test_layers_are_named_as_keras_names_them() -> None:
    """Each convolution and batch norm, one of its own behind each convolution that had it folded in, with Keras's constants."""
    layers = translate(graph_of("DenseNet121"), "sigmoid", STYLES["DenseNet121"])
    assert weighted(layers) == list(STYLES["DenseNet121"].names)
    norms = [layer for layer in layers if layer.kind == "BatchNormalization"]
    assert {layer.config["epsilon"] for layer in norms} == {1.001e-5}
    assert not any(layer.config["use_bias"] for layer in layers if layer.kind == "Conv2D")
    kinds = [layer.kind for layer in layers]
    assert kinds[:6] == ["InputLayer", "ZeroPadding2D", "Conv2D", "BatchNormalization", "Activation", "ZeroPadding2D"]
    assert kinds[-4:] == ["GlobalAveragePooling2D", "Dense", "Dropout", "Dense"]
    assert [layer.config["activation"] for layer in layers if layer.kind == "Dense"] == ["relu", "sigmoid"]
    mobile = translate(graph_of("MobileNetV2"), "sigmoid", STYLES["MobileNetV2"])
    assert weighted(mobile) == list(STYLES["MobileNetV2"].names)
    assert {layer.config["max_value"] for layer in mobile if layer.kind == "ReLU"} == {6.0}


def test_another_network_under_a_known_name_gets_numbers() -> None:
    """Keras's names are for Keras's topology; what calls itself so and is another has numbered layers."""
    assert weighted(translate(tiny_graph(3), "sigmoid", STYLES["DenseNet121"])) == ["conv2d_1", "batchnormalization_1"]
    assert weighted(translate(tiny_graph(3), "softmax", None)) == ["conv2d_1"]


def test_the_sidecar_says_what_the_file_cannot(tmp_path: Path) -> None:
    """Labels, what nobody may use, input, crop, data set and architecture come back; calibration does not."""
    spec = InputSpec(32, 32, 3, 255.0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "centre")
    outputs = (
        Output("Lesion", True),
        Output("Mass", False, "none"),
        Output("Enlarged Cardiomediastinum", False, "none"),
    )
    bundle = bundle_of(tiny_graph(3), 'Net "1"', (), outputs=outputs, input=spec)
    read: Manifest = bundle_from_h5(written(bundle, tmp_path / "net.h5")).manifest
    assert [(output.name, output.assessed) for output in read.outputs] == [
        ("Lesion", True),
        ("Mass", False),
        ("Enlarged Cardiomediastinum", False),
    ]
    assert "sidecar" in (read.outputs[1].reason or "")
    assert (read.input.scale, read.input.mean, read.input.std, read.input.crop) == (
        spec.scale,
        spec.mean,
        spec.std,
        "centre",
    )
    assert read.architecture == 'Net "1"'
    assert read.trained_on.dataset == bundle.manifest.trained_on.dataset
    assert read.name.endswith("declared)")
    assert read.warnings == (read.warnings[0],)


def test_what_is_not_to_be_used_must_be_a_label(tmp_path: Path) -> None:
    """A slip in not_assessed is named rather than passed over, since the finding would be answered."""
    path = written(bundle_of(tiny_graph(3), "Net"), tmp_path / "net.h5")
    text = path.with_suffix(".toml").read_text().replace('not_assessed = ["Fracture"]', 'not_assessed = ["Fractures"]')
    path.with_suffix(".toml").write_text(text)
    with pytest.raises(Incompatible, match="not_assessed names Fractures"):
        bundle_from_h5(path)


def test_softmax_stays_softmax(tmp_path: Path) -> None:
    """A member of classes that exclude each other is written as one."""
    path = written(bundle_of(tiny_graph(3), "Net", activation="softmax"), tmp_path / "net.h5")
    assert bundle_from_h5(path).manifest.activation == "softmax"
    np.testing.assert_allclose(load(path).predict(np.ones((2, 32, 32, 3))).sum(1), 1, atol=1e-5)


def test_a_users_keras_file_survives_the_way_through_a_bundle(tmp_path: Path) -> None:
    """Keras's own golden files, converted to ONNX and written again, answer as Keras did, or are refused."""
    done = []
    for golden in GOLDEN:
        with np.load(golden.with_suffix(".npz")) as stored:
            films, expected = stored["films"], stored["answer"]
        converted = read_stored(golden).convert(*films.shape[1:3])
        if converted.ends is None or len(converted.outputs) != 1:
            continue
        names = tuple(f"class_{number}" for number in range(converted.outputs[0]))
        bundle = bundle_of(converted.model, "Net", names, activation=converted.ends)
        try:
            path = written(bundle, tmp_path / golden.name)
        except Incompatible:
            continue
        np.testing.assert_allclose(load(path).predict(films), expected, atol=1e-4)
        done.append(golden.stem.partition("-")[2])
    assert {"mobile", "frozen", "nested"} <= set(done)


def test_the_file_has_the_form_that_keras_2_writes(tmp_path: Path) -> None:
    """Names of layers and weights are listed, and nothing in the file is more than data."""
    path = written(bundle_of(graph_of("DenseNet121"), "DenseNet121"), tmp_path / "net.h5")
    with h5py.File(path) as file:
        group = file["model_weights"]
        assert group.attrs["keras_version"].startswith("2.")
        names = [name.decode() for name in group.attrs["layer_names"]]
        assert len(names) == len(set(names)) > 300
        stored = [name.decode() for name in group["conv1_bn"].attrs["weight_names"]]
        assert stored == [f"conv1_bn/{kind}:0" for kind in ("gamma", "beta", "moving_mean", "moving_variance")]
        assert not any("/" in name for name in names)


def edited(*nodes: onnx.NodeProto, keep: int = 2, shape: tuple[int, ...] = ()) -> bytes:
    """Return the tiny graph with its first ``keep`` nodes, then these, which must end in logits."""
    model = onnx.load_model_from_string(tiny_graph(3))
    kept = list(model.graph.node)[:keep]
    del model.graph.node[:]
    model.graph.node.extend([*kept, *nodes])
    model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, dtype=np.float32), "one"))
    return bytes(model.SerializeToString())


node = helper.make_node


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((node("LRN", ["features"], ["logits"], size=3),), "operator LRN"),
        ((node("Flatten", ["features"], ["logits"]),), "flattens a map channels first"),
        ((node("Add", ["features", "one"], ["logits"]),), "Add takes a constant"),
        ((node("Add", ["one", "features"], ["logits"]),), "takes a constant first"),
        ((node("Concat", ["features", "features"], ["logits"], axis=2),), "another axis"),
        ((node("Clip", ["features", "one", "one"], ["logits"]),), "clips to another range"),
        ((node("Transpose", ["features"], ["logits"], perm=[0, 1, 3, 2]),), "turns a tensor"),
        ((node("GlobalAveragePool", ["features"], ["logits"]),), "not flattened"),
        ((node("Conv", ["features", "features"], ["logits"]),), "itself computed"),
        ((node("AveragePool", ["features"], ["logits"], kernel_shape=[2, 2], pads=[1, 1, 1, 1]),), "paddings"),
        ((node("MaxPool", ["features"], ["logits"], kernel_shape=[2, 2], ceil_mode=1),), "padding to the engine"),
        ((node("Gemm", ["features", "w1", "b1"], ["logits"]),), "no plain dense layer"),
        ((node("Relu", ["features"], ["other"]),), "no output named logits"),
    ],
)
def test_what_keras_has_no_layer_for_is_named(nodes: tuple[onnx.NodeProto, ...], message: str) -> None:
    """A graph that would come out otherwise is refused, never written in part."""
    with pytest.raises(Incompatible, match=message):
        translate(edited(*nodes), "sigmoid")


def test_an_input_of_open_size_is_refused() -> None:
    """Keras's paddings depend on the size, so it must be known."""
    model = onnx.load_model_from_string(tiny_graph(3))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, "H", "W"]))
    with pytest.raises(Incompatible, match="no fixed rows"):
        translate(model.SerializeToString(), "sigmoid")
