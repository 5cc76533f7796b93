"""What a table holds, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hilum.datasets.table import Row, Table
from hilum.findings import OUTPUTS


@dataclass(frozen=True, slots=True)
class FindingCount:
    """Films by their label for one finding; the four add up to all films."""

    present: int
    absent: int
    uncertain: int
    unknown: int
    patients: int
    """Those with a film that shows it."""


@dataclass(frozen=True, slots=True)
class Description:
    """Counts of a table's films. An empty name stands for what is not known."""

    layout: str
    films: int
    patients: int
    studies: int
    not_there: int
    """Films that are listed and not in the folder."""
    dropped: tuple[str, ...]
    """Columns that have no counterpart here: the publisher's labels, a plain table's columns."""
    views: Mapping[str, int]
    sexes: Mapping[str, int]
    age: tuple[float, float, float] | None
    """Youngest, median and oldest film's, in years; None where none is known."""
    sources: Mapping[str, int]
    splits: Mapping[str, int]
    label_sources: Mapping[str, int]
    image_licences: Mapping[str, int]
    label_licences: Mapping[str, int]
    findings: Mapping[str, FindingCount]
    """Findings that a film has a label for, in alphabetical order, then Normal."""


def describe(table: Table) -> Description:
    """Count a table that no label policy has been applied to, and look which of its films are there."""
    rows = table.rows
    ages = sorted(row.age for row in rows if row.age is not None)
    counted = {name: _count_finding(name, rows) for name in OUTPUTS}
    return Description(
        layout=table.layout,
        films=len(rows),
        patients=len(table.patients),
        studies=len({row.study for row in rows if row.study}),
        not_there=table.absent + sum(not (table.root / row.image).is_file() for row in rows),
        dropped=table.dropped,
        views=_count(row.view for row in rows),
        sexes=_count(row.sex for row in rows),
        age=(ages[0], ages[len(ages) // 2], ages[-1]) if ages else None,
        sources=_count(row.source for row in rows),
        splits=_count(row.split for row in rows),
        label_sources=_count(row.label_source for row in rows),
        image_licences=_count(row.image_licence for row in rows),
        label_licences=_count(row.label_licence for row in rows),
        findings={name: count for name, count in counted.items() if count.unknown < len(rows)},
    )


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _count_finding(name: str, rows: tuple[Row, ...]) -> FindingCount:
    labels = Counter("uncertain" if name in row.uncertain else row.label(name) for row in rows)
    patients = {row.patient for row in rows if row.label(name) == 1}
    return FindingCount(labels[1], labels[0], labels["uncertain"], labels[None], len(patients))
