"""A bundle folder on disk ↔ a bundle in memory: hashes before parsing and manifests checked field by field."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from pydantic import TypeAdapter, ValidationError

from hilum.errors import BundleNotFound, HashMismatch, Incompatible
from hilum.graph import with_weights
from hilum.records import Array, EnsembleRecord, Manifest, Precision, Reference, ReferenceRecord

MANIFEST_SCHEMA = 1
MANIFEST = "manifest.json"
MODEL = "model.onnx"
GOLDEN = "golden.npz"
MODEL_INT8 = "model.int8.onnx"
GOLDEN_INT8 = "golden.int8.npz"
CARD = "card.md"
APPEARANCE = "gate.npz"
ENSEMBLE = "ensemble.json"
REFERENCE = "reference.json"
REFERENCE_VALUES = "reference.npz"
MAX_FILE_BYTES = 2**31 - 1
MAX_RECORD_BYTES = 2**20

_MANIFEST = TypeAdapter(Manifest)
_ENSEMBLE = TypeAdapter(EnsembleRecord)
_REFERENCE = TypeAdapter(ReferenceRecord)
_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A model with everything that is known of it."""

    manifest: Manifest
    sha256: str
    """Of the manifest's bytes, which name every other file's; of the file itself for a ``.h5``."""
    model: bytes
    """The ONNX graph."""
    precision: str
    """What it computes in: ``fp32`` or ``int8``."""
    folder: Path | None = None
    golden: bytes | None = None
    """An .npz of ``pixels`` (uint8, N×H×W, bright = dense) and the ``logits`` (N×K) that they must give."""
    appearance: bytes | None = None
    """An .npz of what the gate needs to judge a picture by this member's features."""
    model_int8: bytes | None = None
    """The same network in 8 bits, without the weights that follow from ``model``; None where there is none."""
    golden_int8: bytes | None = None
    """Its own golden answers."""

    @property
    def model_sha256(self) -> str:
        """Of the graph's bytes: what stays the same when only the card or the calibration changes."""
        return _digest(self.model)


def shipped_folder() -> Path:
    """Return the folder of the bundles that are part of the package."""
    return Path(__file__).parent / "bundles"


def find_bundles(folder: Path) -> tuple[Path, ...]:
    """Return the bundle folders directly below ``folder``, sorted by name."""
    return tuple(sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")))


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle. Every file's hash is checked before a byte of it is parsed.

    Raises ``BundleNotFound``, ``HashMismatch`` or ``Incompatible``.
    """
    if not (folder / MANIFEST).is_file():
        raise BundleNotFound(f"There is no bundle in {folder}. Expected a folder with a {MANIFEST}.")
    raw = _read(folder / MANIFEST, MAX_RECORD_BYTES)
    manifest = manifest_from_json(raw)
    files = {name: _read_checked(folder / name, digest) for name, digest in manifest.files.items()}
    if MODEL not in files:
        raise Incompatible(f"The manifest of {manifest.id} names no {MODEL}.")
    if (MODEL_INT8 in files) != (manifest.int8 is not None):
        raise Incompatible(
            f"{manifest.id} has only one of {MODEL_INT8} and what was measured of it. Do: hilum models quantise."
        )
    return Bundle(
        manifest=manifest,
        sha256=_digest(raw),
        model=files[MODEL],
        precision="fp32",
        folder=folder,
        golden=files.get(GOLDEN),
        appearance=files.get(APPEARANCE),
        model_int8=files.get(MODEL_INT8),
        golden_int8=files.get(GOLDEN_INT8),
    )


def in_precision(bundle: Bundle, precision: Precision) -> Bundle:
    """Return a bundle as it computes in ``precision``: in 8 bits where it has a network for that, else as it is.

    So is a member whose features the gate reads: its limits are those of the exact ones. Raises ``Incompatible`` where the two
    networks of the bundle do not belong together.
    """
    if precision == "int8" and bundle.model_int8 is not None and bundle.appearance is None:
        whole = with_weights(bundle.model_int8, bundle.model)
        return replace(bundle, model=whole, golden=bundle.golden_int8, precision="int8")
    return bundle


def save_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle's files and the manifest with their hashes, and return it as loaded again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    hashed = replace(manifest, files={name: _digest(content) for name, content in sorted(files.items())})
    (folder / MANIFEST).write_bytes(manifest_to_json(hashed))
    return load_bundle(folder)


def bundle_files(bundle: Bundle) -> dict[str, bytes]:
    """Return a bundle's files but the manifest, by name, with their hashes checked; of a ``.h5`` the graph made of it."""
    if bundle.folder is None:
        return {MODEL: bundle.model}
    return {name: _read_checked(bundle.folder / name, digest) for name, digest in bundle.manifest.files.items()}


def write_card(folder: Path, card: bytes) -> Bundle:
    """Give a bundle another model card, and return it as loaded again.

    The card is hashed, so the manifest's hash changes.
    """
    before = load_bundle(folder)
    return replace_bundle(before, folder, before.manifest, bundle_files(before) | {CARD: card})


def replace_bundle(before: Bundle, folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Write what a bundle became without a change of its weights and calibration, and return it as loaded again.

    An ensemble record and a reference beside it that name it are told the new hash: what was measured still holds.
    """
    after = save_bundle(folder, manifest, files)
    record = load_ensemble(folder.parent)
    if record is not None and record.members.get(before.manifest.id) == before.sha256:
        save_ensemble(folder.parent, replace(record, members={**record.members, before.manifest.id: after.sha256}))
    reference = load_reference(folder.parent)
    if reference is not None and reference.record.members.get(before.manifest.id) == before.sha256:
        members = {**reference.record.members, before.manifest.id: after.sha256}
        save_reference(folder.parent, replace(reference.record, members=members), reference.values)
    return after


def manifest_to_json(manifest: Manifest) -> bytes:
    """Return a manifest as its file's bytes."""
    return _MANIFEST.dump_json(manifest, indent=2) + b"\n"


def manifest_from_json(raw: bytes) -> Manifest:
    """Read a manifest, strictly. Raises ``Incompatible`` that names what is wrong."""
    manifest = _from_json(_MANIFEST, raw, "manifest")
    faults = [
        (manifest.schema != MANIFEST_SCHEMA, f"schema {manifest.schema} where this version reads {MANIFEST_SCHEMA}"),
        (not _ID.fullmatch(manifest.id), "an id of other than lower case letters, digits and single hyphens"),
        (len({output.name for output in manifest.outputs}) < len(manifest.outputs), "an output twice"),
        (not manifest.outputs, "no outputs"),
        (any(not _FILE_NAME.fullmatch(name) for name in manifest.files), "a file name that is not a plain name"),
        (
            not len(manifest.input.mean) == len(manifest.input.std) == manifest.input.channels,
            "an input whose mean, std and channels differ in length",
        ),
        (0 in manifest.input.std, "an input with a standard deviation of 0"),
        (
            any(not 0 < o.prevalence < 1 for o in manifest.outputs if o.prevalence is not None),
            "a prevalence outside 0–1",
        ),
    ]
    if wrong := [text for found, text in faults if found]:
        raise Incompatible(f"The manifest has {'; '.join(wrong)}. Use a bundle made for this version of hilum.")
    return manifest


def load_ensemble(folder: Path) -> EnsembleRecord | None:
    """Return what was measured of the bundles in ``folder`` together, or None where nothing was."""
    found = read_ensemble(folder)
    return None if found is None else found[0]


def read_ensemble(folder: Path) -> tuple[EnsembleRecord, str] | None:
    """Return what was measured of the bundles in ``folder`` together with the SHA-256 of its file, or None."""
    path = folder / ENSEMBLE
    if not path.is_file():
        return None
    raw = _read(path, MAX_RECORD_BYTES)
    return _from_json(_ENSEMBLE, raw, "ensemble record"), _digest(raw)


def save_ensemble(folder: Path, record: EnsembleRecord) -> None:
    """Write the ensemble record beside the bundles that it was measured on."""
    (folder / ENSEMBLE).write_bytes(_ENSEMBLE.dump_json(record, indent=2) + b"\n")


def load_reference(folder: Path) -> Reference | None:
    """Return what films were like when the bundles in ``folder`` were validated, or None where nobody measured it.

    Raises ``HashMismatch`` where the values are not those that the record names, ``Incompatible`` where they do not fit it.
    """
    path = folder / REFERENCE
    if not path.is_file():
        return None
    record = _from_json(_REFERENCE, _read(path, MAX_RECORD_BYTES), "reference")
    content = _read_checked(folder / REFERENCE_VALUES, record.sha256)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            values = stored["values"].astype(np.float32)
    except (KeyError, ValueError, OSError, BadZipFile) as error:
        raise Incompatible(f"The reference's values can't be read ({type(error).__name__}).") from None
    if values.shape != (record.films, len(record.statistics)):
        raise Incompatible("The reference's values are not one row a film and one column a statistic.")
    return Reference(record, values)


def save_reference(folder: Path, record: ReferenceRecord, values: Array) -> Reference:
    """Write a reference beside the bundles that it was measured with, and return it as loaded again."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=values.astype(np.float32))
    content = buffer.getvalue()
    (folder / REFERENCE_VALUES).write_bytes(content)
    hashed = replace(record, sha256=_digest(content))
    (folder / REFERENCE).write_bytes(_REFERENCE.dump_json(hashed, indent=2) + b"\n")
    return Reference(hashed, np.asarray(values, dtype=np.float32))


def _from_json(adapter: TypeAdapter[Record], raw: bytes, what: str) -> Record:
    try:
        given = json.loads(raw)
        record = adapter.validate_json(raw)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise Incompatible(f"The {what} is wrong at {wrong}.") from None
    except ValueError:
        raise Incompatible(f"The {what} is not valid JSON.") from None
    if unknown := _unknown(given, adapter.dump_python(record, mode="json")):
        raise Incompatible(f"The {what} has the unknown field {unknown}. It may be made for a newer version of hilum.")
    return record


def _unknown(given: Any, read: Any) -> str | None:
    """Return the place of the first field in ``given`` that reading it dropped."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            if key not in read:
                return str(key)
            if (below := _unknown(value, read[key])) is not None:
                return f"{key}.{below}"
    if isinstance(given, list) and isinstance(read, list):
        for number, (one, other) in enumerate(zip(given, read, strict=False)):
            if (below := _unknown(one, other)) is not None:
                return f"{number}.{below}"
    return None


def _read(path: Path, limit: int) -> bytes:
    if not path.is_file():
        raise HashMismatch(f"The file {path.name} that the manifest names is missing. Copy the whole bundle again.")
    if (size := path.stat().st_size) > limit:
        raise Incompatible(f"{path.name} has {size:,} bytes. Expected at most {limit:,}.")
    return path.read_bytes()


def _read_checked(path: Path, digest: str) -> bytes:
    content = _read(path, MAX_FILE_BYTES)
    if (found := _digest(content)) != digest:
        raise HashMismatch(
            f"{path.name} has the sha256 {found[:12]}…, but the manifest names {digest[:12]}…. It was changed or damaged: "
            "copy the whole bundle again."
        )
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
