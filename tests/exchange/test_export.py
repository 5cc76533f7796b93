"""A bundle goes out with its numbers and with what explains them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hilum.errors import ConfigError, Incompatible
from hilum.exchange import export as module
from hilum.exchange.export import export
from hilum.graph import with_float16_weights
from hilum.keras_h5 import bundle_from_h5
from hilum.records import InputSpec
from hilum.registry import Bundle
from hilum.runtime import open_session
from hilum.training import networks
from hilum.training.networks import mobilenetv2
from hilum.training.to_onnx import network_to_onnx
from settled import pictures, settle
from tiny import tiny_graph, tiny_manifest

SIDE = 64
NAMES = ("Edema", "Fracture", "Opacity")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A MobileNetV2 of 64 × 64 with float16 weights, as bundles have them."""
    torch.manual_seed(0)
    model = with_float16_weights(network_to_onnx(settle(mobilenetv2(3), pictures(8, 3, SIDE)), 3, SIDE))
    spec = InputSpec(SIDE, SIDE, 3, 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return Bundle(tiny_manifest("MobileNetV2", "mobilenet", NAMES, input=spec), "", model, "fp32")


def answers(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    x = pictures(2, 3, SIDE, 1)
    return x, open_session(bundle.model).evaluate(x, "logits")[0]


def test_keras_file_and_sidecar_come_back_as_the_same_member(bundle: Bundle, tmp_path: Path) -> None:
    """Read by our own reader, the exported file gives the scores, and what is not assessed stays so."""
    files = export(bundle, "keras-h5", tmp_path / "new" / "net.h5")
    assert [path.name for path in files] == ["net.h5", "net.toml"]
    x, logits = answers(bundle)
    read = bundle_from_h5(files[0])
    (given,) = open_session(read.model).evaluate(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), "logits")
    np.testing.assert_allclose(given, logits, atol=1e-4)
    assert read.manifest.assessed == bundle.manifest.assessed


def test_onnx_is_float32_and_explained(bundle: Bundle, tmp_path: Path) -> None:
    """The graph has no half precision left; beside it stand the manifest and how to use it."""
    graph, known, readme = (tmp_path / f"net{suffix}" for suffix in (".onnx", ".json", ".md"))
    assert set(export(bundle, "onnx", graph)) == {graph, known, readme}
    x, logits = answers(bundle)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["logits"], {"input": x})[0], logits, atol=1e-4)
    assert {tensor.data_type for tensor in onnx.load(graph).graph.initializer} == {onnx.TensorProto.FLOAT}
    assert json.loads(known.read_text())["manifest"]["architecture"] == "MobileNetV2"
    text = readme.read_text()
    for part in (
        "do not use: trained on 3 positive patients",
        "mean [0.5, 0.5, 0.5]",
        "research and education",
        "net.onnx",
    ):
        assert part in text


def test_torch_weights_load_into_the_network_that_the_json_names(bundle: Bundle, tmp_path: Path) -> None:
    """As weights alone, into the function named, with the bundle's logits."""
    export(bundle, "torch", tmp_path / "net.pt")
    known = json.loads((tmp_path / "net.json").read_text())
    build = getattr(networks, known["network"].removeprefix("hilum.training.networks."))
    network = build(len(known["manifest"]["outputs"])).eval()
    network.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    x, logits = answers(bundle)
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.from_numpy(x)).numpy(), logits, atol=1e-4)
    assert "mobilenetv2(3).eval()" in (tmp_path / "net.md").read_text()


def test_another_network_is_no_torch_network_of_ours(tmp_path: Path) -> None:
    """It can't be loaded into one; the message says which format takes it."""
    other = Bundle(tiny_manifest("Net", None, NAMES), "", tiny_graph(3), "fp32")
    with pytest.raises(Incompatible, match="Export it as ONNX instead"):
        export(other, "torch", tmp_path / "net.pt")
    assert len(export(other, "onnx", tmp_path / "net.onnx")) == 3


def test_a_users_keras_file_goes_out_again(tmp_path: Path) -> None:
    """A member read from .h5, whose input is channels last, comes back with its numbers."""
    first = export(Bundle(tiny_manifest("Net", None, NAMES), "", tiny_graph(3), "fp32"), "keras-h5", tmp_path / "a.h5")
    read = bundle_from_h5(first[0])
    assert read.manifest.input.layout == "NHWC"
    assert len(export(read, "keras-h5", tmp_path / "b.h5")) == 2
    assert "films × rows × columns × channels" in export(read, "onnx", tmp_path / "b.onnx")[1].read_text()


def test_names_that_do_not_fit_or_are_taken_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    """Neither another suffix nor an existing file, also of those that come beside it."""
    with pytest.raises(ConfigError, match=r"ends in \.h5"):
        export(bundle, "keras-h5", tmp_path / "net.onnx")
    (tmp_path / "net.toml").write_text("labels = []")
    with pytest.raises(ConfigError, match=r"net\.toml is there already"):
        export(bundle, "keras-h5", tmp_path / "net.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["net.toml"]


def test_other_numbers_are_never_written(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not answer as the bundle does is refused, and nothing is left."""
    other = replace(bundle, model=network_to_onnx(mobilenetv2(3).eval(), 3, SIDE))
    monkeypatch.setattr(module, "with_float32_weights", lambda model: other.model)
    with pytest.raises(Incompatible, match="Nothing is written"):
        export(bundle, "onnx", tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
