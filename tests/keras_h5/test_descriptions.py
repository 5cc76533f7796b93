"""The many ways in which Keras has written down the same network, and layers checked against plain arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilum.errors import Incompatible
from hilum.keras_h5 import load
from tiny_h5 import chain, film, layer, write_h5

CONV = {"conv": {"kernel": np.full((1, 1, 3, 2), 0.5, "f4"), "bias": np.array([0, 1], "f4")}}


def conv(**more: Any) -> dict[str, Any]:
    """Describe a 1 × 1 convolution for the weights above."""
    return layer("Conv2D", "conv", filters=2, kernel_size=[1, 1], **more)


def answer(path: Path, config: Any, x: np.ndarray, weights: Any = None) -> np.ndarray:
    """Write a network and return its answer."""
    return load(write_h5(path, config, weights)).predict(x)


@pytest.mark.parametrize(
    "config",
    [
        chain(film(4), conv()),
        chain(conv(batch_input_shape=[None, 4, 4, 3])),
        {"class_name": "Sequential", "config": {"name": "m", "layers": [conv()], "build_input_shape": [None, 4, 4, 3]}},
    ],
    ids=["input layer", "first layer", "build shape"],
)
def test_a_sequential_model_says_its_input_in_three_ways(tmp_path: Path, config: dict[str, Any]) -> None:
    """An input layer, the first layer's own shape, or the shape it was built with: the network is the same."""
    found = answer(tmp_path / "network.h5", config, np.ones((1, 4, 4, 3)), CONV)
    np.testing.assert_allclose(found[0, 0, 0], [1.5, 2.5])


def test_a_sequential_model_may_begin_with_a_model(tmp_path: Path) -> None:
    """Without an input layer of its own, it takes what its first model takes."""
    config = chain(chain(film(4), layer("ReLU", "relu"), name="inner"), name="outer")
    assert answer(tmp_path / "network.h5", config, np.full((1, 4, 4, 3), -1)).max() == 0


def test_no_input_shape_is_refused(tmp_path: Path) -> None:
    """A network that nowhere says what it takes can't be read."""
    with pytest.raises(Incompatible, match="rows × columns × channels"):
        load(write_h5(tmp_path / "network.h5", chain(conv()), CONV))


def functional(*layers: dict[str, Any], inputs: Any = (("film", 0, 0),), output: str) -> dict[str, Any]:
    """Describe a Functional model as Keras 2 does; each layer says what it takes."""
    listed = [{**film(4), "name": "film", "inbound_nodes": []}, *layers]
    ends = {"input_layers": [list(ref) for ref in inputs], "output_layers": [[output, 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "m", "layers": listed, **ends}}


def taking(described: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a layer that takes the layers named, in one call."""
    calls = [[[name, 0, 0, {}] for name in names]] if names else []
    return {**described, "name": described["config"]["name"], "inbound_nodes": calls}


def test_merging_spreads_a_vector_over_a_map(tmp_path: Path) -> None:
    """One value a channel, pooled with its rows and columns kept, multiplies every place of the map."""
    pool = taking(layer("GlobalMaxPooling2D", "pool", keepdims=True), "film")
    config = functional(pool, taking(layer("Multiply", "mul"), "film", "pool"), output="mul")
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(answer(tmp_path / "network.h5", config, x), x * x.max((1, 2), keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        (
            [taking(layer("GlobalMaxPooling2D", "p"), "film"), taking(layer("Add", "end"), "film", "p")],
            "different rank",
        ),
        ([taking(layer("MaxPooling2D", "p"), "film"), taking(layer("Add", "end"), "film", "p")], "do not fit together"),
        (
            [taking(layer("MaxPooling2D", "p"), "film"), taking(layer("Concatenate", "end"), "film", "p")],
            "do not fit together",
        ),
        ([taking(layer("ReLU", "end"), "film", "film")], "takes 2 inputs, expected one"),
        (
            [taking(layer("Flatten", "f"), "film"), taking(layer("MaxPooling2D", "end"), "f")],
            "expected rows × columns × channels",
        ),
        ([taking(layer("ReLU", "end"), "nowhere")], "takes what no layer makes"),
        ([taking(layer("ReLU", "end"))], "output that no layer makes"),
        ([taking(layer("ReLU", "end"), "film"), taking(layer("ReLU", "end"), "film")], "two layers of one name"),
    ],
)
def test_layers_that_do_not_fit_are_refused(tmp_path: Path, layers: list[dict[str, Any]], named: str) -> None:
    """Inputs of the wrong number, shape or name are refused by the layer that takes them."""
    with pytest.raises(Incompatible, match=named):
        load(write_h5(tmp_path / "network.h5", functional(*layers, output="end")))


def test_several_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    """A film is one input, and a list of scores one output."""
    config = functional(taking(layer("ReLU", "end"), "film"), output="end")
    config["config"]["output_layers"].append(["film", 0, 0])
    with pytest.raises(Incompatible, match="has 2 outputs"):
        load(write_h5(tmp_path / "network.h5", config))
    config = functional(taking(layer("ReLU", "end"), "film"), inputs=[("film", 0, 0)] * 2, output="end")
    with pytest.raises(Incompatible, match="has 2 inputs"):
        load(write_h5(tmp_path / "network.h5", config))


def test_zeros_around_a_maximum_are_zeros(tmp_path: Path) -> None:
    """Padding with zeros before a maximum counts: where all is below zero, the border is zero."""
    config = chain(
        film(4), layer("ZeroPadding2D", "pad", padding=1), layer("MaxPooling2D", "max", pool_size=3, strides=1)
    )
    found = answer(tmp_path / "network.h5", config, np.full((1, 4, 4, 3), -1))[0, :, :, 0]
    assert found[0].tolist() == [0, 0, 0, 0]
    assert found[1:3, 1:3].tolist() == [[-1, -1], [-1, -1]]


def test_an_average_over_the_whole_map_is_global(tmp_path: Path) -> None:
    """Average pooling with the map's own size is a pooled head under another name."""
    config = chain(film(4), layer("AveragePooling2D", "pool", pool_size=[4, 4]), layer("Flatten", "flat"))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(answer(tmp_path / "network.h5", config, x), x.mean((1, 2)), atol=1e-6)


def test_flattening_keeps_keras_order(tmp_path: Path) -> None:
    """Rows, then columns, then channels, as the film came in; and back again."""
    x = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3)
    flat = chain(film(4), layer("Flatten", "flat"))
    assert answer(tmp_path / "flat.h5", flat, x)[0].tolist() == list(range(48))
    back = chain(film(4), layer("Reshape", "a", target_shape=[8, 6]), layer("Reshape", "b", target_shape=[2, -1, 4]))
    np.testing.assert_array_equal(answer(tmp_path / "back.h5", back, x), x.reshape(1, 2, 6, 4))


def test_normalization_can_be_inverted(tmp_path: Path) -> None:
    """``invert`` gives back what normalising took: x × deviation + mean."""
    config = chain(film(4), layer("Normalization", "n", mean=[1, 2, 3], variance=[4, 4, 4], invert=True))
    assert answer(tmp_path / "network.h5", config, np.ones((1, 4, 4, 3)))[0, 0, 0].tolist() == [3, 4, 5]


def test_a_negative_variance_is_refused(tmp_path: Path) -> None:
    """Statistics that no training gives are refused, not turned into NaN."""
    stored = {"bn": {"moving_mean": np.zeros(3, "f4"), "moving_variance": np.array([1, -1, 1], "f4")}}
    config = chain(film(4), layer("BatchNormalization", "bn", scale=False, center=False, axis=[3]))
    with pytest.raises(Incompatible, match="variance below zero"):
        load(write_h5(tmp_path / "network.h5", config, stored))
