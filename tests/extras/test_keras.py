"""Keras itself beside our reader: whole networks, written by Keras 3 and by Keras 2 (``tf_keras``), to 1e-4."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hilum.graph import read_head
from hilum.keras_h5 import bundle_from_h5, bundle_to_h5, load
from hilum.keras_h5.network import read_stored
from hilum.registry import Bundle
from hilum.training.networks import (
    Network,
    densenet121,
    efficientnet_lite0,
    efficientnet_lite2,
    hilum_cnn,
    mobilenetv2,
    torchxrayvision_densenet121,
)
from hilum.training.to_onnx import network_to_onnx
from settled import pictures, settle
from tiny import tiny_manifest

# TensorFlow and Keras 2 warn of their own parts as they are imported.
pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore")]

SIDE = 224


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    """Keras 3, then Keras 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    module = importlib.import_module(request.param)
    assert module.__version__.startswith("3." if request.param == "keras" else "2.")
    module.backend.clear_session()
    return module


def unsettle(model: Any) -> None:
    """Give every weight a value as training might, batch norm statistics included."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        name, shape = weight.name if ":" in weight.name else weight.path, tuple(weight.shape)
        if "kernel" in name:
            fan_in = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
            weight.assign(rng.normal(0, 1.4 / np.sqrt(fan_in), shape).astype("float32"))
        elif "gamma" in name or "variance" in name:
            weight.assign(rng.uniform(0.5, 1.5, shape).astype("float32"))
        else:
            weight.assign(rng.normal(0, 0.1, shape).astype("float32"))


def trunk(keras: Any, name: str) -> Any:
    """Return Keras's own DenseNet121 or MobileNetV2 without its top."""
    build = getattr(keras.applications, name)
    return build(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))


def with_head(keras: Any, base: Any, hidden: int, outputs: int) -> Any:
    """Return base → pooling → Dense(ReLU) → Dropout → Dense(sigmoid) as one flat model."""
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(hidden, activation="relu")(x))
    return keras.Model(base.input, keras.layers.Dense(outputs, activation="sigmoid")(x))


def films(seed: int = 1) -> np.ndarray:
    """Return two random films as a network takes them."""
    return np.random.default_rng(seed).normal(size=(2, SIDE, SIDE, 3)).astype(np.float32)


def difference(model: Any, path: Path) -> float:
    """Save a model and return how far our answer is from Keras's."""
    model.save(path)
    given = films()
    theirs, ours = np.asarray(model.predict(given, verbose=0)), load(path).predict(given)
    assert theirs.shape == ours.shape
    assert theirs.std() > 1e-5
    return float(np.abs(theirs - ours).max())


@pytest.mark.parametrize("name", ["DenseNet121", "MobileNetV2"])
def test_keras_applications_agree(keras: Any, name: str, tmp_path: Path) -> None:
    """The whole network with its 1,000 classes answers as in Keras, class by class."""
    model = getattr(keras.applications, name)(weights=None)
    unsettle(model)
    assert difference(model, tmp_path / "network.h5") < 1e-4


@pytest.mark.parametrize(("name", "hidden", "outputs"), [("DenseNet121", 512, 14), ("MobileNetV2", 256, 10)])
def test_a_transfer_learnt_network_agrees(keras: Any, name: str, hidden: int, outputs: int, tmp_path: Path) -> None:
    """Trunk → pooling → Dense → Dropout → Dense agrees, and its head is there for heat maps."""
    model = with_head(keras, trunk(keras, name), hidden, outputs)
    unsettle(model)
    path = tmp_path / ("densenet_chexpert.h5" if name == "DenseNet121" else "mobilenet_mimic.h5")
    assert difference(model, path) < 1e-4
    bundle = bundle_from_h5(path)
    assert len(bundle.manifest.assessed) == outputs
    head = read_head(bundle.model)
    assert head is not None
    assert [weight.shape[1] for weight, _ in head.layers] == [hidden, outputs]


def test_a_frozen_nested_trunk_agrees(keras: Any, tmp_path: Path) -> None:
    """The usual transfer learning: a frozen DenseNet121 as one layer of a Sequential model, its last block thawed."""
    base = trunk(keras, "DenseNet121")
    for layer in base.layers[:-20]:
        layer.trainable = False
    parts = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(14, activation="sigmoid")]
    model = keras.Sequential([base, *parts])
    unsettle(model)
    path = tmp_path / "network.h5"
    assert difference(model, path) < 1e-4
    assert read_head(read_stored(path).convert().model) is not None


def transfer(network: Network, model: Any) -> None:
    """Copy a network's weights into Keras's layers of the same topology, in order."""
    kinds = (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Linear)
    given = [part for part in network.modules() if isinstance(part, kinds)]
    own = [layer for layer in model.layers if layer.weights]
    for part, layer in zip(given, own, strict=True):
        if isinstance(part, torch.nn.Conv2d):
            order = (2, 3, 0, 1) if part.groups > 1 else (2, 3, 1, 0)
            layer.set_weights([part.weight.detach().permute(*order).numpy()])
        elif isinstance(part, torch.nn.Linear):
            layer.set_weights([part.weight.detach().T.numpy(), part.bias.detach().numpy()])
        else:
            values = (part.weight, part.bias, part.running_mean, part.running_var)
            layer.set_weights([value.detach().numpy() for value in values])


@pytest.mark.parametrize(
    ("build", "name", "hidden", "outputs"),
    [(densenet121, "DenseNet121", 512, 14), (mobilenetv2, "MobileNetV2", 256, 10)],
)
def test_our_own_networks_travel_through_keras(
    keras: Any, build: Any, name: str, hidden: int, outputs: int, tmp_path: Path
) -> None:
    """Weights of our network, put into Keras's and saved as .h5, answer as they did in torch."""
    torch.manual_seed(0)
    network = build(outputs)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    model = with_head(keras, trunk(keras, name), hidden, outputs)
    transfer(network.eval(), model)
    path = tmp_path / "network.h5"
    model.save(path)
    given = films()
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(given).permute(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(load(path).predict(given), expected, atol=1e-4)


def exported(build: Any, architecture: str, path: Path) -> tuple[Network, Path]:
    """Write a network of ours with seeded weights as a Keras file."""
    torch.manual_seed(0)
    channels = 1 if build is torchxrayvision_densenet121 else 3
    network = settle(build(5), pictures(8, channels, 96))
    model = network_to_onnx(network, 5, SIDE)
    manifest = tiny_manifest(architecture, None, ("Edema", "Effusion", "Nodule", "Opacity", "Pneumonia"))
    path.write_bytes(bundle_to_h5(Bundle(manifest, "", model, "fp32")))
    return network, path


@pytest.mark.parametrize(
    ("build", "architecture"),
    [
        (densenet121, "DenseNet121"),
        (mobilenetv2, "MobileNetV2"),
        (hilum_cnn, "HilumCNN"),
        (efficientnet_lite0, "EfficientNet-Lite0"),
        (efficientnet_lite2, "EfficientNet-Lite2"),
        (torchxrayvision_densenet121, "DenseNet121"),
    ],
)
def test_an_exported_network_opens_in_keras(keras: Any, build: Any, architecture: str, tmp_path: Path) -> None:
    """Keras 3 and Keras 2 load what we wrote, and answer as the network does in torch and as our own reader does."""
    network, path = exported(build, architecture, tmp_path / "network.h5")
    x = pictures(3, 1 if build is torchxrayvision_densenet121 else 3, SIDE, 1)
    given = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    model = keras.models.load_model(path, compile=False)
    theirs = np.asarray(model.predict(given, verbose=0))
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(x))).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(theirs, expected, atol=1e-4)
    np.testing.assert_allclose(load(path).predict(given), theirs, atol=1e-4)


@pytest.mark.parametrize(("build", "name"), [(densenet121, "DenseNet121"), (mobilenetv2, "MobileNetV2")])
def test_an_exported_trunk_is_keras_applications_own(keras: Any, build: Any, name: str, tmp_path: Path) -> None:
    """Its layers have the names and shapes of Keras's own network, so that its weights load into that by name."""
    _, path = exported(build, name, tmp_path / "network.h5")
    ours, theirs = keras.models.load_model(path, compile=False), trunk(keras, name)

    def shapes(model: Any) -> dict[str, list[tuple[int, ...]]]:
        # Keras 2 writes conv1/conv where Keras 3 has conv1_conv.
        layers = (
            layer for layer in model.layers if layer.weights and "dense_" not in layer.name and layer.name != "scores"
        )
        return {layer.name.replace("/", "_"): [tuple(weight.shape) for weight in layer.weights] for layer in layers}

    assert shapes(ours) == shapes(theirs)
    if keras.__version__.startswith("3"):
        theirs.load_weights(path, by_name=True)
        pooling = next(layer for layer in ours.layers if "GlobalAverage" in type(layer).__name__)
        features = keras.Model(ours.input, pooling.input)
        given = films()
        np.testing.assert_allclose(theirs.predict(given, verbose=0), features.predict(given, verbose=0), atol=1e-4)
