"""A Shiryaev–Roberts detector on conformal p-values, one for each statistic (an e-detector: Shin, Ramdas and Rinaldo 2023).

A bet is a density on 0–1. While nothing has moved, the places that films take are even, so a bet multiplies a stake by 1 on the
average, and R ← (R + 1) × bet grows by 1 a film. R begins at 0 again after each alarm, so R + limit × (alarms so far) grows by 1 a
film at most, and n films give n / limit alarms at most, on the average. With a limit of K × FILMS_PER_FALSE_ALARM for each of K
statistics it is one false alarm in FILMS_PER_FALSE_ALARM films over all, whatever the statistics have to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hilum.monitor.ranks import Floats, Ranked
from hilum.records import Array

FILMS_PER_FALSE_ALARM = 100_000
SEED = 20263
"""Of what settles ties, so that the same films always give the same answer."""
TILTS = (0.5, 1.0, 2.0, 4.0)
"""Bets that films stand higher, or lower: densities ∝ exp(± tilt × place). A shift by s deviations is near a tilt of 2 s."""
TAIL, TAIL_BET = 0.02, 0.1
"""Bets that a tenth of the films lies in the outermost 2 % on one side, as the films of another kind of patient would."""
SPREADS = (0.8, -0.4)
"""Bets that films stand at both ends more often than in the middle, or less; − 0.5 to 1, so that none is below 0."""
BETS = 2 * len(TILTS) + 2 + len(SPREADS)
_BLOCK = 32
"""Films that are followed in one go: few enough for the product of their bets to stay a number."""


def bets(places: Floats) -> Floats:
    """Return what each bet multiplies its stake by: … → … × BETS. A film without a place leaves stakes as they are."""
    up = np.array(TILTS)
    tilts = np.concatenate([up, -up])
    place = places[..., np.newaxis]
    tilted = tilts * np.exp(tilts * place) / np.expm1(tilts)
    ends = np.concatenate([place > 1 - TAIL, place < TAIL], axis=-1)
    tails = (1 - TAIL_BET) + TAIL_BET / TAIL * ends
    spread = 1 + np.array(SPREADS) * (12 * (place - 0.5) ** 2 - 1)
    return np.where(np.isnan(place), 1.0, np.concatenate([tilted, tails, spread], axis=-1))


@dataclass(frozen=True, slots=True)
class Alarm:
    """A statistic has moved."""

    statistic: str
    film: int
    """Number of the film at which it was seen; the first is 0."""
    since: int
    """Number of the film from which on it seems to have moved."""


class Detector:
    """Follows films, one after the other; safe to feed in parts of any size, with the same result."""

    def __init__(self, names: Sequence[str], reference: Array, per_alarm: int = FILMS_PER_FALSE_ALARM) -> None:
        """``reference``: N×K, a row a film, a column a statistic, as ``names`` has them. ``per_alarm``: films, on the average."""
        self.names = tuple(names)
        self.films = 0
        self.limit = float(per_alarm * max(1, len(self.names)))
        """What R must reach for an alarm."""
        self._ranked = [Ranked(column) for column in reference.astype(np.float64).T]
        self._rng = np.random.default_rng(SEED)
        shape = (len(self.names), BETS)
        self._sums: Floats = np.zeros(shape)
        self._runs: Floats = np.zeros(shape)
        self._since: npt.NDArray[np.int64] = np.zeros(shape, dtype=np.int64)

    @property
    def levels(self) -> Floats:
        """How near each statistic is to an alarm, (K,), 0–1, on a log scale."""
        return self._levels(self._sums.mean(axis=1))

    def follow(self, values: Array) -> tuple[Floats, list[Alarm]]:
        """Take films N×K, NaN where a film has no such number; return the levels after each film, N×K, and the alarms."""
        given = values.astype(np.float64)
        draws = self._rng.random(given.shape)
        places = np.empty(given.shape)
        for column, ranked in enumerate(self._ranked):
            places[:, column] = ranked.rank(given[:, column], draws[:, column])
        levels, alarms = np.zeros(values.shape), []
        for start in range(0, len(values), _BLOCK):
            block = slice(start, start + _BLOCK)
            levels[block], found = self._block(places[block])
            alarms += found
        return levels, alarms

    def _block(self, places: Floats) -> tuple[Floats, list[Alarm]]:
        """Follow a few films: in one go where none of them gives an alarm."""
        bet, taken = bets(places), ~np.isnan(places)[..., np.newaxis]
        sums = self._gains(bet, taken)
        means = sums.mean(axis=2)
        if (means < self.limit).all():
            self._sums = sums[-1]
            self._date(bet)
            return self._levels(means), []
        steps = [self._step(bet[row : row + 1], taken[row : row + 1]) for row in range(len(places))]
        return np.stack([level for level, _ in steps]), [alarm for _, found in steps for alarm in found]

    def _gains(self, bet: Floats, taken: npt.NDArray[np.bool_]) -> Floats:
        """Return R after each film of a block without an alarm: R ← (R + 1) × bet, in one go."""
        products = bet.cumprod(axis=0)
        begun = np.concatenate([np.ones_like(bet[:1]), products[:-1]])
        return np.asarray(products * (self._sums + (taken / begun).cumsum(axis=0)))

    def _date(self, bet: Floats) -> None:
        """Follow, for each bet, from which film on it would have won most: a CUSUM, in logarithms."""
        path = self._runs + np.concatenate([np.zeros_like(bet[:1]), np.log(bet).cumsum(axis=0)])
        lowest = np.minimum.accumulate(np.concatenate([np.zeros_like(bet[:1]), path[:-1]]))
        fresh = path[:-1] <= lowest[:-1]
        number = np.where(fresh, np.arange(len(bet))[:, np.newaxis, np.newaxis], -1).max(axis=0)
        self._since = np.where(number >= 0, self.films + number, self._since)
        self._runs = path[-1] - lowest[-1]
        self.films += len(bet)

    def _step(self, bet: Floats, taken: npt.NDArray[np.bool_]) -> tuple[Floats, list[Alarm]]:
        """Follow one film, 1×K×BETS, that may give an alarm."""
        (self._sums,) = self._gains(bet, taken)
        self._date(bet)
        sums = self._sums.mean(axis=1)
        alarms = []
        for index in np.flatnonzero(sums >= self.limit):
            since = self._since[index, int(self._sums[index].argmax())]
            alarms.append(Alarm(self.names[index], self.films - 1, int(since)))
            self._sums[index] = self._runs[index] = 0.0
        return self._levels(sums), alarms

    def _levels(self, sums: Floats) -> Floats:
        return np.asarray(np.minimum(1.0, np.log1p(sums) / np.log1p(self.limit)))
