"""An HDF5 file that Keras wrote → its description and its weights. The only home of h5py; nothing stored is executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from hilum.errors import BundleNotFound, Incompatible, UnsafeFile
from hilum.keras_h5.audit import audit
from hilum.records import Array

MAX_CONFIG_BYTES = 16 * 2**20
"""DenseNet201's description has 0.3 MB."""
MAX_WEIGHT_BYTES = 2 * 10**9
"""Of all weights together, as float32: an ONNX graph may not reach 2 GiB."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredWeight:
    """One array with its name in the file, such as ``conv1/kernel:0``."""

    name: str
    values: Array


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """What a file holds: plain data, checked for safety but not yet for sense."""

    sha256: str
    keras_version: str
    """Such as ``2.15.0``; ``2`` where an old file does not say."""
    config: object
    """The model's description, parsed JSON."""
    weights: Mapping[str, tuple[StoredWeight, ...]]
    """By top-level layer, in the file's order."""


def read_container(path: Path) -> Container:
    """Read a model file. Raises ``BundleNotFound``, ``UnsafeFile`` or ``Incompatible``."""
    try:
        with path.open("rb") as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
            size = raw.tell()
            raw.seek(0)
            return _read(raw, size, digest)
    except FileNotFoundError:
        raise BundleNotFound("There is no such file. Expected a model saved by Keras as HDF5.") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        # What h5py raises for a damaged file depends on where the damage lies.
        raise Incompatible(
            f"This is not a readable HDF5 file ({type(error).__name__}). Save the model again."
        ) from None


def _read(raw: BinaryIO, size: int, digest: str) -> Container:
    with h5py.File(raw, "r") as file:
        audit(file.id, size)
        config = _config(file)
        group = file.get("model_weights")
        if not isinstance(group, h5py.Group):
            raise Incompatible(
                "The file describes a network but holds no weights. Save the trained model with model.save."
            )
        version = _text(group.attrs, "keras_version") or _text(file.attrs, "keras_version") or "2"
        return Container(digest, version, config, _weights(group))


def _config(file: h5py.File) -> object:
    text = _text(file.attrs, "model_config")
    if text is None:
        raise Incompatible(
            "The file has no model_config: it holds weights without their network, or is not Keras's. "
            "Save the whole model with model.save('NAME.h5')."
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnsafeFile(
            "The model_config is not JSON, or is nested too deep. Expected a model saved by Keras."
        ) from None


def _text(attributes: h5py.AttributeManager, name: str) -> str | None:
    """Return a text attribute, or None where there is none."""
    if name not in attributes:
        return None
    value = attributes[name]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str) or len(value) > MAX_CONFIG_BYTES:
        raise UnsafeFile(f"The attribute {name} is no text, or has more than {MAX_CONFIG_BYTES:,} characters.")
    return value


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """Return a list of names; Keras cuts long ones into ``NAME0``, ``NAME1`` …"""
    if attribute in group.attrs:
        parts = [group.attrs[attribute]]
    else:
        parts = []
        while f"{attribute}{len(parts)}" in group.attrs:
            parts.append(group.attrs[f"{attribute}{len(parts)}"])
    flat = [name for part in parts for name in np.atleast_1d(part).tolist()]
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in flat]


def _weights(group: h5py.Group) -> dict[str, tuple[StoredWeight, ...]]:
    layers = _names(group, "layer_names")
    if not layers:
        raise Incompatible(
            "The weights are not listed by layer (layer_names). Save the whole model with model.save('NAME.h5')."
        )
    read: dict[str, tuple[StoredWeight, ...]] = {}
    left = MAX_WEIGHT_BYTES
    for layer in dict.fromkeys(layers):
        stored = []
        for name in _names(group[layer], "weight_names"):
            dataset = group[layer][name]
            if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
                raise Incompatible(f"The weight {name} of the layer {layer} is not an array of numbers.")
            left -= 4 * int(dataset.size)
            if left < 0:
                raise UnsafeFile(f"The weights have more than {MAX_WEIGHT_BYTES:,} bytes.")
            stored.append(StoredWeight(name, np.asarray(dataset[()], dtype=np.float32)))
        read[layer] = tuple(stored)
    return read
