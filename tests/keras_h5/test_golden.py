"""Keras's own files and Keras's own answers (made by ``tests/golden/keras/make.py``)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest

from hilum.errors import Incompatible
from hilum.graph import read_head
from hilum.keras_h5 import load
from hilum.keras_h5.network import read_stored

GOLDEN = Path(__file__).parents[1] / "golden" / "keras"
FILES = sorted(GOLDEN.glob("*.h5"))


def difference(path: Path, golden: Path) -> float:
    """Return how far the file's answers are from Keras's."""
    with np.load(golden.with_suffix(".npz")) as stored:
        answer = load(path).predict(stored["films"])
        assert answer.shape == stored["answer"].shape
        assert answer.dtype == np.float32
        return float(np.abs(answer - stored["answer"]).max())


def operators(path: Path) -> list[str]:
    """Return the operators of a file's graph, in order."""
    return [node.op_type for node in onnx.load_model_from_string(read_stored(path).convert().model).graph.node]


def test_both_versions_of_keras_are_here() -> None:
    """There are the same golden networks of Keras 2 and of Keras 3, within a megabyte."""
    names = {major: {path.stem[7:] for path in FILES if path.stem.startswith(f"keras{major}-")} for major in (2, 3)}
    assert names[2] == names[3]
    assert len(names[2]) == 9
    assert sum(path.stat().st_size for path in GOLDEN.iterdir() if path.is_file()) < 1_000_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_answers_agree_with_keras(path: Path) -> None:
    """``predict`` returns what Keras's ``predict`` returned, within 1e-4."""
    assert difference(path, path) < 1e-4


@pytest.mark.parametrize("name", ["keras2-nested", "keras3-nested", "keras2-frozen", "keras3-frozen"])
def test_a_pooled_head_is_readable(name: str) -> None:
    """Pooling and dense layers come out in the form that heat maps are made from, through nested models and a batch norm."""
    path = GOLDEN / f"{name}.h5"
    converted = read_stored(path).convert()
    head = read_head(converted.model)
    assert head is not None
    assert head.layers[-1][0].shape[1:] == converted.outputs


def test_a_head_of_another_form_gives_no_features() -> None:
    """Where pooling is not the one way to the answer, there is no feature map to make heat maps from."""
    graph = onnx.load_model_from_string(read_stored(GOLDEN / "keras3-functional.h5").convert().model).graph
    assert [output.name for output in graph.output] == ["logits", "output"]


@pytest.mark.parametrize("major", [2, 3])
def test_the_graph_is_clean(major: int) -> None:
    """One transposition at the input; batch norms behind convolutions and paddings before them are folded away."""
    found = operators(GOLDEN / f"keras{major}-nested.h5")
    assert found == [
        *("Transpose", "Conv", "Relu", "MaxPool", "Conv", "Relu"),
        *("GlobalAveragePool", "Flatten", "Gemm", "Relu", "Gemm", "Sigmoid"),
    ]


def test_weights_of_renamed_layers_are_found_by_their_order(tmp_path: Path) -> None:
    """Where no name fits, Keras's own order of a partly frozen nested model is followed."""
    golden = GOLDEN / "keras3-frozen.h5"
    path = Path(shutil.copy(golden, tmp_path))
    with h5py.File(path, "r+") as file:
        config = file.attrs["model_config"]
        for name in ("conv1_stem_conv", "conv1_stem_bn", "conv2_block_conv", "conv2_block_bn"):
            assert config.count(name) > 2
            config = config.replace(name, f"renamed_{name[::-1]}")
        file.attrs["model_config"] = config
    assert difference(path, golden) < 1e-4


def test_weights_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    """Arrays whose names fit no layer and whose order is not Keras's are not guessed at."""
    path = Path(shutil.copy(GOLDEN / "keras3-frozen.h5", tmp_path))
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace("conv1_stem_bn", "other_name")
        names = file["model_weights/middle"].attrs["weight_names"]
        file["model_weights/middle"].attrs["weight_names"] = names[::-1]
    with pytest.raises(Incompatible, match="can't be told apart"):
        load(path)


def test_long_lists_of_names_are_read_in_parts(tmp_path: Path) -> None:
    """Keras cuts ``layer_names`` of a large model into ``layer_names0``, ``layer_names1`` …"""
    golden = GOLDEN / "keras2-functional.h5"
    path = Path(shutil.copy(golden, tmp_path))
    with h5py.File(path, "r+") as file:
        attributes = file["model_weights"].attrs
        names = attributes["layer_names"]
        attributes["layer_names0"], attributes["layer_names1"] = names[:5], names[5:]
        del attributes["layer_names"]
    assert difference(path, golden) < 1e-4


def test_networks_of_any_size_take_any_size() -> None:
    """A network that leaves rows and columns open answers for each size as it would if that size were fixed."""
    network = load(GOLDEN / "keras2-open_sized.h5")
    assert network.input_shape == (None, None, 1)
    films = np.random.default_rng(0).normal(size=(3, 21, 34, 1))
    assert network.predict(films).shape == (3, 3)
    np.testing.assert_allclose(network.predict(films)[1:2], network.predict(films[1:2]), atol=1e-6)
    with np.load(GOLDEN / "keras2-open_sized.npz") as stored:
        np.testing.assert_allclose(network.predict(stored["films"]), stored["answer"], atol=1e-4)


def test_many_films_are_answered_in_batches() -> None:
    """More films than one batch, and none at all, come back one answer each."""
    network = load(GOLDEN / "keras3-nested.h5")
    films = np.random.default_rng(0).normal(size=(70, 16, 16, 3)).astype(np.float32)
    answers = network.predict(films)
    assert answers.shape == (70, 14)
    np.testing.assert_allclose(answers[65], network.predict(films[65:66])[0], atol=1e-5)
    assert network.predict(films[:0]).shape == (0, 14)


def test_an_input_of_another_shape_is_refused() -> None:
    """Channels first, or another size, is an error that says what is expected."""
    with pytest.raises(Incompatible, match="Expected N×16×16×3"):
        load(GOLDEN / "keras3-nested.h5").predict(np.zeros((1, 3, 16, 16)))


def test_hard_sigmoid_follows_the_version(tmp_path: Path) -> None:
    """Keras 3 changed its slope: the same description answers differently under the other version."""
    golden = GOLDEN / "keras2-activations.h5"
    path = Path(shutil.copy(golden, tmp_path))
    with h5py.File(path, "r+") as file:
        for holder in (file, file["model_weights"]):
            holder.attrs["keras_version"] = "3.15.1"
    assert difference(path, golden) > 1e-3


def test_random_dropout_at_prediction_is_refused(tmp_path: Path) -> None:
    """Keras 2 obeys ``training=True`` in a call, so its answer would be drawn by chance."""
    path = Path(shutil.copy(GOLDEN / "keras2-nested.h5", tmp_path))
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        (dropout,) = (item for item in config["config"]["layers"] if item["class_name"] == "Dropout")
        dropout["inbound_nodes"][0][0][3] = {"training": True}
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(Incompatible, match="'dropout' is called with training"):
        load(path)
