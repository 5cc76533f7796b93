"""A reference from labelled films: each through the same engine as in serving."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hilum.datasets.table import Row, Table
from hilum.evaluation.record import fingerprint
from hilum.images import read_image
from hilum.monitor.live import statistics_of
from hilum.monitor.statistics import measure, members_of
from hilum.pipeline import Engine, analyze
from hilum.records import Reference, ReferenceRecord


def measure_films(
    engine: Engine, table: Table, rows: Iterable[Row] | None = None, command: str | None = None
) -> Reference:
    """Return the statistics of a table's films. ``rows``: the table's, perhaps wrapped in a progress bar.

    Raises ``InputError`` for a film that can't be read.
    """
    names, quick = statistics_of(engine), without_heat_maps(engine)
    values = []
    for row in rows or table.rows:
        image = read_image(table.root / row.image)
        found = measure(image, analyze(image, quick))
        values.append([found.get(name, np.nan) for name in names])
    record = ReferenceRecord(
        members=members_of(engine.provenance),
        films=len(values),
        patients=len({row.patient for row in table.rows}),
        films_sha256=fingerprint(table.rows),
        statistics=names,
        sha256="",
        command=command,
    )
    return Reference(record, np.array(values, dtype=np.float32).reshape(len(values), len(names)))


def without_heat_maps(engine: Engine) -> Engine:
    """Return an engine that gives the same answers, and no heat maps, which statistics do not need."""
    return replace(engine, members=tuple(replace(member, head=None) for member in engine.members))
