"""Layers → a Keras ``.h5`` file and its sidecar, written without Keras: the form that Keras 2 writes and Keras 3 reads."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import h5py
import numpy as np

from hilum.keras_h5.applications import STYLES
from hilum.keras_h5.operators import WrittenLayer
from hilum.keras_h5.translate import translate
from hilum.records import Manifest
from hilum.registry import Bundle

KERAS_VERSION = "2.15.0"
"""Whose form the file has."""
MAX_ATTRIBUTE_BYTES = 60_000
"""HDF5 holds no more than 64 kB in an attribute's header; Keras cuts longer lists of names in the same way."""


def bundle_to_h5(bundle: Bundle) -> bytes:
    """Return a member as the bytes of a Keras file whose answers are the scores. Raises ``Incompatible``."""
    manifest = bundle.manifest
    layers = translate(bundle.model, manifest.activation, STYLES.get(manifest.architecture))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = KERAS_VERSION
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(_described(layers, manifest.id.replace("-", "_")))
        _write_weights(file.create_group("model_weights"), layers)
    return buffer.getvalue()


def _described(layers: Sequence[WrittenLayer], name: str) -> dict[str, object]:
    described = [
        {
            "class_name": layer.kind,
            "name": layer.name,
            "config": dict(layer.config, name=layer.name),
            "inbound_nodes": [[[name, 0, 0, {}] for name in layer.inputs]] if layer.inputs else [],
        }
        for layer in layers
    ]
    config = {
        "name": name,
        "layers": described,
        "input_layers": [[layers[0].name, 0, 0]],
        "output_layers": [[layers[-1].name, 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def _write_weights(group: h5py.Group, layers: Sequence[WrittenLayer]) -> None:
    group.attrs["keras_version"] = KERAS_VERSION
    group.attrs["backend"] = "tensorflow"
    _write_names(group, "layer_names", [layer.name for layer in layers])
    for layer in layers:
        held = group.create_group(layer.name)
        _write_names(held, "weight_names", [f"{layer.name}/{kind}:0" for kind, _ in layer.weights])
        for kind, values in layer.weights:
            held.create_dataset(f"{layer.name}/{kind}:0", data=np.ascontiguousarray(values, dtype=np.float32))


def _write_names(group: h5py.Group, attribute: str, names: Sequence[str]) -> None:
    """Write a list of names, cut into ``NAME0``, ``NAME1`` … where it is too long."""
    encoded = [name.encode() for name in names]
    if not encoded:
        group.attrs[attribute] = np.array([], dtype="S1")
        return
    whole = np.array(encoded)
    parts = np.array_split(whole, -(-whole.nbytes // MAX_ATTRIBUTE_BYTES))
    for number, part in enumerate(parts):
        group.attrs[attribute if len(parts) == 1 else f"{attribute}{number}"] = part


def sidecar_text(manifest: Manifest) -> str:
    """Return the sidecar that says of the file what it can't say itself, as TOML."""
    spec = manifest.input
    unused = [output.name for output in manifest.outputs if not output.assessed]
    lines = [
        f"# {manifest.name}, version {manifest.version}. Calibration and operating points stay behind in the bundle.",
        f"labels = {_toml([output.name for output in manifest.outputs])}",
        *([f"not_assessed = {_toml(unused)}"] if unused else []),
        f"dataset = {_toml(manifest.trained_on.dataset)}",
        f"architecture = {_toml(manifest.architecture)}",
        f"crop = {_toml(spec.crop)}",
        "",
        "[preprocessing]",
        f"scale = {float(spec.scale)!r}",
        f"mean = {_toml([float(value) for value in spec.mean])}",
        f"std = {_toml([float(value) for value in spec.std])}",
    ]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """Return strings, numbers and lists as TOML, which writes these as JSON does."""
    return json.dumps(value, ensure_ascii=False)
