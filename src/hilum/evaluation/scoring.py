"""Every film of a table through the same engine as serving: confidences beside labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hilum.datasets.table import Row, Table
from hilum.findings import OUTPUTS
from hilum.images import read_image
from hilum.pipeline import Engine, analyze
from hilum.records import Analysis, Array

ENSEMBLE = "Ensemble"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Confidences N×K, 0–100, of the ensemble and each member, and what is known of the films. NaN: not assessed, unknown."""

    names: tuple[str, ...]
    """The K findings, ``Normal`` among them, that somebody assesses."""
    confidences: Mapping[str, Array]
    """Member, or ``Ensemble`` → N×K."""
    labels: Array
    patients: tuple[str, ...]
    refused: int
    """Films that the gate refused; they have no row."""

    def assessed(self, who: str) -> tuple[int, ...]:
        """Return the columns that a member, or the ensemble, assesses."""
        return tuple(np.flatnonzero(~np.isnan(self.confidences[who]).all(axis=0)).tolist())


def score_table(engine: Engine, table: Table, rows: Iterable[Row] | None = None) -> Scores:
    """Analyze every film of a table. ``rows``: the table's, perhaps wrapped in a progress bar.

    Raises ``InputError`` for a film that can't be read.
    """
    analyses = [(row, analyze(read_image(table.root / row.image), engine)) for row in (rows or table.rows)]
    accepted = [(row, analysis) for row, analysis in analyses if analysis.verdict.accepted]
    assessed = {finding.name for _, analysis in accepted for finding in analysis.findings}
    names = tuple(name for name in OUTPUTS if name in assessed)
    answers = [_answers(analysis) for _, analysis in accepted]
    who = (ENSEMBLE, *(member.name for member in engine.members if member.manifest.in_ensemble))
    confidences = {
        one: np.array([[answer[one].get(name, np.nan) for name in names] for answer in answers], dtype=np.float32)
        for one in who
    }
    kept = replace(table, rows=tuple(row for row, _ in accepted))
    patients = tuple(row.patient for row in kept.rows)
    return Scores(names, confidences, kept.labels(names), patients, len(analyses) - len(accepted))


def _answers(analysis: Analysis) -> dict[str, dict[str, float]]:
    """Return member (or ``Ensemble``) → finding → confidence."""
    members = {member.model: {one.name: one.confidence for one in member.predictions} for member in analysis.members}
    return {ENSEMBLE: {finding.name: finding.confidence for finding in analysis.findings}, **members}
