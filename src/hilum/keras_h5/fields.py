"""Reading a layer's configuration: every value is checked for type and range before it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hilum.errors import Incompatible, UnsafeFile

Fields = Mapping[str, object]
MAX_SIZE = 2**20
"""No kernel, stride, padding or number of channels is larger."""
MAX_NUMBER = 1e30


def mapping(value: object, what: str) -> Fields:
    """Return a JSON object. Raises ``Incompatible``."""
    if not isinstance(value, Mapping):
        raise Incompatible(f"{what} is not a JSON object. Expected a model saved by Keras 2 or 3.")
    return value


def sequence(value: object, what: str) -> Sequence[object]:
    """Return a JSON list. Raises ``Incompatible``."""
    if not isinstance(value, list):
        raise Incompatible(f"{what} is not a JSON list. Expected a model saved by Keras 2 or 3.")
    return value


def text(fields: Fields, key: str, default: str | None = None) -> str:
    """Return a text of at most 1,000 characters."""
    value = fields.get(key, default)
    if not isinstance(value, str) or len(value) > 1000:
        raise Incompatible(f"{key} is not a text. Expected a model saved by Keras 2 or 3.")
    return value


def flag(fields: Fields, key: str, default: bool) -> bool:
    """Return true or false."""
    value = fields.get(key)
    return default if value is None else bool(value)


def number(fields: Fields, key: str, default: float) -> float:
    """Return a finite number."""
    value = fields.get(key)
    if value is None:
        return float(default)  # 1 and 1.0 are different attributes in ONNX
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_NUMBER:
        raise Incompatible(f"{key} is not a finite number.")
    return float(value)


def whole(value: object, what: str, low: int = 0) -> int:
    """Return a whole number between ``low`` and ``MAX_SIZE``. Raises ``UnsafeFile`` for an absurd one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise Incompatible(f"{what} is {json.dumps(value)[:40]}. Expected a whole number of at least {low}.")
    if value > MAX_SIZE:
        raise UnsafeFile(f"{what} is absurdly large. Expected at most {MAX_SIZE:,}.")
    return value


def pair(value: object, what: str, low: int = 1) -> tuple[int, int]:
    """Return (rows, columns) from a number or a pair of numbers."""
    values = value if isinstance(value, list) else [value, value]
    if len(values) != 2:
        raise Incompatible(f"{what} has {len(values)} values. Expected two.")
    return whole(values[0], what, low), whole(values[1], what, low)


def numbers(value: object, what: str) -> list[float]:
    """Return finite numbers from a number or (nested) lists of them, flattened."""
    if isinstance(value, list):
        return [item for part in value for item in numbers(part, what)]
    if value is None:
        raise Incompatible(f"{what} is missing. Expected a number, or one for each channel.")
    return [number({what: value}, what, 0)]
