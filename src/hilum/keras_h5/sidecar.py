"""``NAME.toml`` beside ``NAME.h5``: what the file can't say of itself. Written by the user, checked key by key."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from hilum.errors import ConfigError
from hilum.records import Crop

MAX_BYTES = 64 * 1024
_STRICT = ConfigDict(extra="forbid")

Preprocessing = Literal["torch", "tf", "caffe", "0-1", "0-255"]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that can't be shown")
    return text


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_printable)
]


@dataclass(frozen=True, slots=True)
class Scaling:
    """``(p * scale - mean) / std`` for pixels ``p`` of 0–1; ``mean`` and ``std`` have one number, or one a channel."""

    __pydantic_config__ = _STRICT
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the user declares. Everything may be left out, and then stays assumed or unknown."""

    __pydantic_config__ = _STRICT
    labels: tuple[Name, ...] | None = None
    """In the order of the outputs; publishers' names are understood."""
    not_assessed: tuple[Name, ...] = ()
    """Those of the labels that the network has an output for, but that nobody may use."""
    dataset: Name | None = None
    architecture: Name | None = None
    preprocessing: Preprocessing | Scaling | None = None
    crop: Crop = "whole"
    activation: Literal["sigmoid", "softmax"] | None = None
    """For a network whose last layer has none: its answer is taken as logits."""
    ensemble: bool | None = None
    size: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Rows and columns of the input, where the network leaves them open."""


_ADAPTER = TypeAdapter(Sidecar)


def read_sidecar(path: Path) -> Sidecar | None:
    """Read a sidecar; None where there is none. Raises ``ConfigError`` that names each wrong key."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path.name} has {len(raw):,} bytes. Expected at most {MAX_BYTES:,}.")
    try:
        return _ADAPTER.validate_python(tomllib.loads(raw.decode("utf-8")))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"{path.name} is wrong at {wrong}.") from None
    except ValueError as error:
        raise ConfigError(f"{path.name} is not valid TOML: {error}.") from None
