"""How many films it takes to see a shift, by simulation."""

from __future__ import annotations

import numpy as np

from hilum.monitor.detector import BETS, FILMS_PER_FALSE_ALARM, bets
from hilum.monitor.ranks import Floats, Ranked

SHIFTS = (0.25, 0.5, 1.0, 2.0)
"""Of one statistic, in its own standard deviations."""
MOST_FILMS = 5_000
_PART = 250


def films_to_alarm(reference_films: int, statistics: int, shift: float, runs: int = 50, seed: int = 1) -> Floats:
    """Return after how many shifted films one of so many statistics gives an alarm, in each of ``runs`` streams; infinite: none.

    The numbers are normal; since only their ranks count, any that can be stretched into normal ones give the same. What did not
    move plays no part but in the limit.
    """
    rng = np.random.default_rng(seed)
    ranked = [Ranked(rng.normal(size=reference_films)) for _ in range(runs)]
    limit = FILMS_PER_FALSE_ALARM * statistics
    found = np.full(runs, np.inf)
    sums = np.zeros((runs, BETS))
    for start in range(0, MOST_FILMS, _PART):
        places = np.stack([one.rank(rng.normal(shift, 1, _PART), rng.random(_PART)) for one in ranked])
        for step, bet in enumerate(np.moveaxis(bets(places), 1, 0)):
            sums = np.minimum((sums + 1) * bet, 1e300)
            found = np.where((sums.mean(axis=1) >= limit) & np.isinf(found), start + step + 1, found)
        if np.isfinite(found).all():
            break
    return found


def quantiles(reference_films: int, statistics: int, shift: float) -> tuple[float, float]:
    """Return median and 90th percentile of ``films_to_alarm``."""
    median, most = np.quantile(films_to_alarm(reference_films, statistics, shift), [0.5, 0.9], method="inverted_cdf")
    return float(median), float(most)


def spoken(films: float) -> str:
    """Return a number of films as people read it."""
    return f"more than {MOST_FILMS:,}" if np.isinf(films) else f"{films:,.0f}"
