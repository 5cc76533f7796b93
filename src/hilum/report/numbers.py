"""How numbers are written, the same in every report: confidences 0–100 to 0.1, shares 0–1 to 0.0001."""

from __future__ import annotations

from typing import overload


@overload
def percent(value: float) -> float: ...
@overload
def percent(value: float | None) -> float | None: ...
def percent(value: float | None) -> float | None:
    """Return a number of 0–100 to one decimal."""
    return None if value is None else round(value, 1)


@overload
def share(value: float) -> float: ...
@overload
def share(value: float | None) -> float | None: ...
def share(value: float | None) -> float | None:
    """Return a share of 0–1 to four decimals."""
    return None if value is None else round(value, 4)


@overload
def share_percent(value: float) -> float: ...
@overload
def share_percent(value: float | None) -> float | None: ...
def share_percent(value: float | None) -> float | None:
    """Return a share of 0–1 as a number of 0–100 to two decimals: the same four digits as ``share``."""
    return None if value is None else round(round(value, 4) * 100, 2)


def three_digits(value: float | None) -> float | None:
    """Return a number to three significant digits."""
    return None if value is None else float(f"{value:.3g}")
