"""Conformal p-values on line: where each film stands among all before it, the reference's films first.

While films are exchangeable with the reference's and with each other, the numbers of one statistic are independent and even between
0 and 1, exactly and whatever the statistic's distribution (Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World,
Theorem 8.2). That is why each film joins those that the next is ranked among: against the reference alone, which is a sample of a
few hundred films, they would be even only about.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_BLOCK = 64


class Ranked:
    """The films so far, by one statistic."""

    def __init__(self, values: Floats) -> None:
        self._sorted = np.sort(values[~np.isnan(values)])

    def rank(self, values: Floats, draws: Floats) -> Floats:
        """Return each value's place among all before it and itself, 0–1, low for a low value; NaN for NaN.

        ``draws``: one random number 0–1 a value, which settles where among equal values it stands.
        """
        places = np.full(len(values), np.nan)
        there = np.flatnonzero(~np.isnan(values))
        for start in range(0, len(there), _BLOCK):
            block = there[start : start + _BLOCK]
            places[block] = self._block(values[block], draws[block])
        return places

    def _block(self, values: Floats, draws: Floats) -> Floats:
        before = np.tri(len(values), k=-1, dtype=bool)
        below = self._sorted.searchsorted(values, "left")
        equal = self._sorted.searchsorted(values, "right") - below
        below = below + (before & (values[np.newaxis] < values[:, np.newaxis])).sum(axis=1)
        equal = equal + (before & (values[np.newaxis] == values[:, np.newaxis])).sum(axis=1)
        count = len(self._sorted) + np.arange(1, len(values) + 1)
        new = np.sort(values)
        self._sorted = np.insert(self._sorted, self._sorted.searchsorted(new), new)
        return np.asarray((below + draws * (equal + 1)) / count, dtype=np.float64)
