"""Rows of statistics on disk: one line a film in a CSV file of the month, one file a process, days in place of times."""

from __future__ import annotations

import csv
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from hilum.errors import ConfigError
from hilum.records import Array

DAY, WEIGHTS = "day", "weights"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Films by one set of members, in order of the days."""

    weights: str
    """Which members gave the numbers (``weights_of``)."""
    names: tuple[str, ...]
    days: tuple[str, ...]
    """ISO dates, (N,)."""
    values: Array
    """N×K; NaN where a film has no such number."""
    other: int = 0
    """Lines by other members, and lines that can't be read."""

    def where(self, keep: Sequence[bool]) -> Rows:
        """Return only the films that ``keep`` says."""
        days = tuple(day for day, kept in zip(self.days, keep, strict=True) if kept)
        return Rows(self.weights, self.names, days, self.values[np.asarray(keep, dtype=bool)], self.other)


class Journal:
    """Writes rows; not safe to use from several threads at once."""

    def __init__(
        self, folder: Path, weights: str, names: Sequence[str], today: Callable[[], date] = date.today
    ) -> None:
        self._folder, self._weights, self._names, self._today = folder, weights, tuple(names), today
        self._mark = secrets.token_hex(4)

    def append(self, values: Mapping[str, float]) -> None:
        """Write one film's line. Raises OSError."""
        day = self._today()
        path = self._folder / f"{day:%Y-%m}-{self._mark}.csv"
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if fresh:
                writer.writerow([DAY, WEIGHTS, *self._names])
            shown = (values.get(name) for name in self._names)
            writer.writerow([day.isoformat(), self._weights, *("" if one is None else f"{one:g}" for one in shown)])


def read_rows(folder: Path, weights: str | None = None) -> Rows | None:
    """Return the films in a folder of journals by these members; None: by those of the last film. None where there is none.

    Raises ConfigError where there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder. Expected the one that the setting monitor names.")
    lines = sorted(_lines(folder), key=lambda line: line[0])
    last = weights or (lines[-1][1] if lines else "")
    kept = [(day, numbers) for day, by, numbers in lines if by == last and numbers is not None]
    if not kept:
        return None
    names = tuple(dict.fromkeys(name for _, numbers in kept for name in numbers))
    values = np.array([[numbers.get(name, np.nan) for name in names] for _, numbers in kept], dtype=np.float32)
    return Rows(last, names, tuple(day for day, _ in kept), values, len(lines) - len(kept))


def _lines(folder: Path) -> Iterator[tuple[str, str, dict[str, float] | None]]:
    """Yield day, weights and numbers of each line; None for numbers that can't be read, as of a line cut off by a crash."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            head = next(csv.reader(file), [])
            if head[:2] != [DAY, WEIGHTS]:
                continue
            for cells in csv.reader(file):
                day, by, *numbers = [*cells, "", ""][: max(2, len(cells))]
                yield day, by, _numbers(head[2:], numbers)


def _numbers(names: Sequence[str], cells: Sequence[str]) -> dict[str, float] | None:
    try:
        return {name: float(cell or "nan") for name, cell in zip(names, cells, strict=True)}
    except ValueError:
        return None
