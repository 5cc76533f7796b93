"""Public weights from the web into the models folder: fetched, held against the hash that is known, converted, put in place."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from hilum.errors import ConfigError
from hilum.exchange.catalogue import PublicWeights
from hilum.exchange.fetch import Progress, fetch
from hilum.exchange.library import Entry
from hilum.exchange.public import bundle_parts
from hilum.exchange.torch_file import read_torch_file
from hilum.registry import Bundle, load_bundle, save_bundle

PINS = "public-weights.json"
"""Address → sha256 of what was fetched from there first. Later downloads must give the same."""
STAGING = ".pull"
"""Below the models folder: downloads, and bundles in the making."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, eq=False)
class Pulled:
    """What a pull made."""

    bundle: Bundle
    sha256: str
    """Of the file that was fetched."""
    expected: bool
    """The hash was known before; False: this is the first download, and its hash was recorded."""


def check_free(weights: PublicWeights, models: Path) -> None:
    """Raise ``ConfigError`` where the bundle's folder is there already."""
    if (models / weights.id).exists():
        raise ConfigError(
            f"{models / weights.id} is there already. Move or delete it to fetch it again; a calibration in it would be lost."
        )


def pull(weights: PublicWeights, entry: Entry, models: Path, sha256: str | None, progress: Progress) -> Pulled:
    """Fetch and convert one network's weights into a bundle below ``models``.

    ``sha256``: what the file must have, as the user knows it; without it, what was recorded when it was fetched first.
    Nothing is read before a hash that is known is right; nothing is left in the bundle's place before it is whole.

    Raises ``ConfigError``, ``DownloadFailed``, ``NoSpace``, ``HashMismatch``, ``UnsafeFile`` or ``Incompatible``.
    """
    check_free(weights, models)
    pins = _read_pins(models / PINS)
    expected = pins.get(entry.address) if sha256 is None else sha256.lower()
    if expected is not None and not _SHA256.fullmatch(expected):
        raise ConfigError("The sha256 is not of 64 hexadecimal digits. Expected what sha256sum prints.")
    staging = models / STAGING
    file = staging / f"{weights.id}.pt"
    digest = fetch(entry.address, file, expected, progress)
    try:
        manifest, files = bundle_parts(weights, entry, read_torch_file(file.read_bytes()), digest)
        shutil.rmtree(staging / weights.id, ignore_errors=True)
        save_bundle(staging / weights.id, manifest, files)
        (staging / weights.id).rename(models / weights.id)
    finally:
        file.unlink()
        if not any(staging.iterdir()):
            staging.rmdir()
    if pins.get(entry.address) != digest:
        _write_pins(models / PINS, pins | {entry.address: digest})
    return Pulled(load_bundle(models / weights.id), digest, expected is not None)


def _read_pins(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        pins = json.loads(path.read_text("utf-8"))
    except ValueError:
        pins = None
    if not isinstance(pins, dict) or not all(isinstance(digest, str) for digest in pins.values()):
        raise ConfigError(
            f"{path.name} is not JSON of address and sha256. Put it right, or delete it to forget the hashes."
        )
    return pins


def _write_pins(path: Path, pins: dict[str, str]) -> None:
    made = path.with_name(f"{path.name}.new")
    made.write_text(json.dumps(pins, indent=2) + "\n", "utf-8")
    made.replace(path)
