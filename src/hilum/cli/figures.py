"""A figure with its interval, as terminals show it."""

from __future__ import annotations

from hilum.records import Interval

BESIDE, BELOW = "0.000 (0.000–0.000)", "0.000–0.000"
"""As wide as a figure with its interval, and as an interval by itself."""


def figure(one: Interval, beside: bool = True) -> str:
    """Return a figure with three decimals and its interval behind it, or on a line below it."""
    interval = f"{one.low:.3f}–{one.high:.3f}"
    return f"{one.value:.3f} ({interval})" if beside else f"{one.value:.3f}\n{interval}"
