"""Every film of a table through the same engine as serving: answers, and heat maps where they are asked for, beside labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hilum import ensemble
from hilum.datasets.table import Row, Table
from hilum.evaluation.bootstrap import Draws, Floats
from hilum.evaluation.judge import Answers
from hilum.findings import OUTPUTS
from hilum.images import read_image
from hilum.pipeline import Engine, analyze
from hilum.records import Analysis, Array, Finding, Heatmap, MemberFinding, OperatingPoint, Uncertainty

ENSEMBLE = "Ensemble"


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The heat maps of one film."""

    width: int
    height: int
    heatmaps: tuple[Heatmap, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What the ensemble and each member said of N films, and what is known of them. NaN: not assessed, unknown."""

    names: tuple[str, ...]
    """The K findings, ``Normal`` among them, that somebody assesses."""
    confidences: Mapping[str, Array]
    """Member, or ``Ensemble`` → N×K, 0–100."""
    labels: Array
    patients: tuple[str, ...]
    refused: int
    """Films that the gate refused; they have no row."""
    evidence: Mapping[str, Array] = field(default_factory=dict)
    """Member, or ``Ensemble`` → N×K; NaN also where a member is not calibrated."""
    points: Mapping[str, Mapping[str, Mapping[str, OperatingPoint]]] = field(default_factory=dict)
    """Member, or ``Ensemble`` → finding → policy → its cut."""
    rows: tuple[Row, ...] = ()
    heatmaps: Mapping[Path, Drawn] = field(default_factory=dict)
    """Image → its heat maps, where they were asked for."""
    subject: str = ENSEMBLE
    """Whose figures lead: the ensemble's, or those of a member that was judged alone."""
    together: tuple[str, ...] = ()
    """The members of the ensemble."""
    verifier: str | None = None
    """The one of them that checks the others; None: there is none."""
    uncertainty: Uncertainty | None = None
    """What the ensemble promises; None where it makes no promise."""

    def assessed(self, who: str) -> tuple[int, ...]:
        """Return the columns that a member, or the ensemble, assesses."""
        return tuple(np.flatnonzero(~np.isnan(self.confidences[who]).all(axis=0)).tolist())

    def known(self, column: int) -> tuple[Floats, Floats]:
        """Return the ensemble's confidences and the labels of the films whose label is known."""
        known = ~np.isnan(self.labels[:, column])
        return self.confidences[ENSEMBLE][known, column].astype(np.float64), self.labels[known, column]

    def judged(self) -> Iterator[tuple[str, Floats, Floats]]:
        """Yield each finding of the ensemble's that some films show and others don't, with its films as ``known`` gives them."""
        for column in self.assessed(ENSEMBLE):
            confidences, labels = self.known(column)
            if 0 < labels.sum() < len(labels):
                yield self.names[column], confidences, labels

    def answers(self, who: str, draws: Draws) -> dict[str, Answers]:
        """Return a member's, or the ensemble's, answers by finding, each on the films whose label is known."""
        return {self.names[column]: self._answers(who, column, draws) for column in self.assessed(who)}

    def _answers(self, who: str, column: int, draws: Draws) -> Answers:
        known = ~np.isnan(self.labels[:, column])
        evidence = self.evidence[who][known, column] if who in self.evidence else None
        return Answers(
            confidences=self.confidences[who][known, column],
            evidence=None if evidence is None or np.isnan(evidence).any() else evidence,
            labels=self.labels[known, column],
            patients=tuple(np.asarray(self.patients, dtype=object)[known].tolist()),
            known=known,
            all_draws=draws,
            points=self.points.get(who, {}).get(self.names[column], {}),
        )


def score_table(
    engine: Engine, table: Table, rows: Iterable[Row] | None = None, with_heatmaps: Collection[Path] = ()
) -> Scores:
    """Analyze every film of a table. ``rows``: the table's, perhaps wrapped in a progress bar.

    Heat maps are kept for the images in ``with_heatmaps``. Raises ``InputError`` for a film that can't be read.
    """
    kept: list[Row] = []
    answers: list[_Answer] = []
    drawn: dict[Path, Drawn] = {}
    refused = 0
    for row in rows or table.rows:
        image = read_image(table.root / row.image)
        analysis = analyze(image, engine)
        if not analysis.verdict.accepted:
            refused += 1
            continue
        kept.append(row)
        answers.append(_answer(analysis))
        if row.image in with_heatmaps:
            height, width = image.pixels.shape
            drawn[row.image] = Drawn(width, height, analysis.heatmaps)
    who = [ENSEMBLE] if any(member.manifest.in_ensemble for member in engine.members) else []
    who += [member.name for member in engine.members]
    assessed = {name for answer in answers for one in who for name in answer[one]}
    names = tuple(name for name in OUTPUTS if name in assessed)
    both = {one: np.array([[a[one].get(n, _NOTHING) for n in names] for a in answers], dtype=np.float32) for one in who}
    both = {one: values.reshape(len(kept), len(names), 2) for one, values in both.items()}
    return Scores(
        names=names,
        confidences={one: values[..., 0] for one, values in both.items()},
        labels=replace(table, rows=tuple(kept)).labels(names),
        patients=tuple(row.patient for row in kept),
        refused=refused,
        evidence={one: values[..., 1] for one, values in both.items()},
        points=points_of(engine),
        rows=tuple(kept),
        heatmaps=drawn,
        subject=subject_of(engine),
        together=tuple(member.name for member in engine.members if member.manifest.in_ensemble),
        verifier=verifier_of(engine),
        uncertainty=None if engine.record is None else engine.record.uncertainty,
    )


_NOTHING = (np.nan, np.nan)
_Answer = dict[str, dict[str, tuple[float, float]]]
"""Member, or ``Ensemble`` → finding → confidence and evidence."""


def _answer(analysis: Analysis) -> _Answer:
    given: dict[str, Sequence[Finding | MemberFinding]] = {m.model: m.predictions for m in analysis.members}
    return {
        who: {one.name: (one.confidence, np.nan if one.evidence is None else one.evidence) for one in findings}
        for who, findings in ({ENSEMBLE: analysis.findings} | given).items()
    }


def subject_of(engine: Engine) -> str:
    """Return whose figures lead: the ensemble's where members are put together, else the one member's."""
    together = [member.name for member in engine.members if member.manifest.in_ensemble]
    return ENSEMBLE if len(together) > 1 else (*together, engine.members[0].name)[0]


def verifier_of(engine: Engine) -> str | None:
    """Return the ensemble's member that checks the others; None where there is none."""
    own = (m.name for m in engine.members if m.manifest.in_ensemble and m.manifest.slot == ensemble.VERIFIER)
    return next(own, None)


def points_of(engine: Engine) -> dict[str, dict[str, Mapping[str, OperatingPoint]]]:
    """Return member, or ``Ensemble`` → finding → policy → the cut that its answers use."""
    together = ensemble.operating_points([member.manifest for member in engine.members], engine.record)
    points: dict[str, dict[str, Mapping[str, OperatingPoint]]] = {ENSEMBLE: {**together}}
    for member in engine.members:
        points[member.name] = {output.name: output.operating_points for output in member.manifest.outputs}
    return points
