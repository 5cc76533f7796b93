"""The one table that every data set becomes: a row a film, a label for each finding."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hilum.records import Array

FRONTAL = ("PA", "AP", "")
"""Views of films that are read here; an empty one is not known."""


@dataclass(frozen=True, slots=True)
class Row:
    """One film and what is known of it."""

    image: Path
    """Relative to the table's root."""
    patient: str
    source: str = ""
    view: str = ""
    """``PA``, ``AP``, another of the publisher's views such as ``LATERAL``, or empty where it is not known."""
    age: float | None = None
    """In years."""
    sex: str = ""
    """``F``, ``M`` or empty."""
    label_source: str = ""
    """Who or what made the labels; several are joined by ``+``."""
    original_width: int | None = None
    """Width in pixels of the film that the stored image was made from."""
    labels: Mapping[str, float | None] | None = None
    """Finding (or ``Normal``) → 1 present, 0 absent, None unknown; between 0 and 1 only where a soft policy put it there."""
    uncertain: frozenset[str] = frozenset()
    """Findings that the publisher marks as uncertain, whatever became of their labels."""
    study: str = ""
    split: str = ""
    """The publisher's own: ``train``, ``validation``, ``test`` or empty."""
    image_licence: str = ""
    label_licence: str = ""

    def label(self, name: str) -> float | None:
        """Return 1, 0, a probability between them, or None (unknown) for an output."""
        return (self.labels or {}).get(name)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and the folder that their image paths start from."""

    root: Path
    rows: tuple[Row, ...]
    layout: str = "csv"
    """Which of the layouts the table was read from."""
    dropped: tuple[str, ...] = ()
    """Columns that have no counterpart here: the publisher's labels that are none of our findings, a plain table's columns."""
    absent: int = 0
    """Films that the publisher lists and the folder lacks; they have no row."""

    def where(self, keep: Callable[[Row], bool]) -> Table:
        """Return the table with only the rows that ``keep`` accepts."""
        return replace(self, rows=tuple(row for row in self.rows if keep(row)))

    def of_patients(self, patients: Collection[str]) -> Table:
        """Return the rows of these patients."""
        return self.where(lambda row: row.patient in patients)

    def without_patients(self, patients: Collection[str]) -> Table:
        """Return the rows of everybody else."""
        return self.where(lambda row: row.patient not in patients)

    @property
    def patients(self) -> tuple[str, ...]:
        """Each patient once, sorted."""
        return tuple(sorted({row.patient for row in self.rows}))

    def labels(self, outputs: tuple[str, ...]) -> Array:
        """Return float32 N×K: 1 present, 0 absent, NaN unknown; between 0 and 1 where a soft policy put it there."""
        values = [[np.nan if (label := row.label(name)) is None else label for name in outputs] for row in self.rows]
        return np.asarray(values, dtype=np.float32).reshape(len(self.rows), len(outputs))
