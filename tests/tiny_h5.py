"""Keras files made without Keras: the JSON description and the arrays that Keras 2 would store, for a test to bend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Weights = Mapping[str, Mapping[str, np.ndarray]]


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    """Describe one layer as Keras does."""
    return {"class_name": kind, "config": {"name": name, **config}}


def chain(*layers: dict[str, Any], name: str = "tiny") -> dict[str, Any]:
    """Describe a Sequential model."""
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def film(side: int | None = 32, channels: int = 3) -> dict[str, Any]:
    """Describe an input of side × side × channels."""
    return layer("InputLayer", "film", batch_input_shape=[None, side, side, channels])


def write_h5(path: Path, config: Any, weights: Weights | None = None, version: str = "2.15.0") -> Path:
    """Write a model file; ``config`` may be text, to be stored as it is."""
    weights = weights or {}
    names = (
        [item["config"]["name"] for item in config["config"]["layers"]] if isinstance(config, dict) else list(weights)
    )
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["keras_version"] = version
        group.attrs["layer_names"] = [name.encode() for name in dict.fromkeys([*names, *weights])]
        for name in dict.fromkeys([*names, *weights]):
            held = group.require_group(name)
            stored = {f"{name}/{kind}:0": values for kind, values in weights.get(name, {}).items()}
            held.attrs["weight_names"] = np.array([kind.encode() for kind in stored], dtype="S100")
            for kind, values in stored.items():
                held.create_dataset(kind, data=values)
    return path


def classifier(
    path: Path,
    outputs: int,
    *,
    side: int | None = 32,
    channels: int = 3,
    ends: str = "sigmoid",
    first: Sequence[Any] = (),
) -> Path:
    """Write convolution → pooling → Dense(ReLU) → Dense, with the layers ``first`` behind the input."""
    rng = np.random.default_rng(outputs)
    config = chain(
        film(side, channels),
        *first,
        layer("Conv2D", "conv", filters=6, kernel_size=[3, 3], strides=[2, 2], activation="relu"),
        layer("GlobalAveragePooling2D", "pool"),
        layer("Dense", "hidden", units=8, activation="relu"),
        layer("Dropout", "dropout", rate=0.5),
        layer("Dense", "answer", units=outputs, activation=ends),
    )

    def dense(*shape: int) -> dict[str, np.ndarray]:
        return {"kernel": rng.normal(0, 0.5, shape).astype("f4"), "bias": rng.normal(0, 0.5, shape[-1]).astype("f4")}

    return write_h5(
        path, config, {"conv": dense(3, 3, channels, 6), "hidden": dense(6, 8), "answer": dense(8, outputs)}
    )
