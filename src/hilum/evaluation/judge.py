"""The figures of many outputs on the same films, each with an interval by bootstrap over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hilum.evaluation.bootstrap import REPLICATES, Draws, Floats, patient_draws, replicate, summarise
from hilum.evaluation.calibration import calibration_figures, calibration_replicates, floor_interval
from hilum.evaluation.metrics import ranking_areas, rates
from hilum.records import Array, CalibrationFigures, Interval, OperatingPoint


@dataclass(frozen=True, slots=True)
class PointFigures:
    """What a cut, chosen elsewhere, gives on the evaluated films."""

    threshold: float
    """0–100; a film is positive at or above it."""
    sensitivity: Interval
    specificity: Interval


@dataclass(frozen=True, slots=True)
class FindingFigures:
    """All figures of one output on the films whose label is known."""

    films: int
    positives: int
    """Films that show the finding."""
    patients: int
    positive_patients: int
    auroc: Interval
    auprc: Interval
    """Area under the precision-recall curve (average precision); by chance it is the share of positives."""
    points: Mapping[str, PointFigures] = field(default_factory=dict)
    """By policy; empty where there is no operating point."""
    calibration: CalibrationFigures | None = None
    """None for a member that is not calibrated."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Figures on one set of films."""

    auroc: Mapping[str, Interval]
    """Output → AUROC; outputs without both classes are absent."""
    mean_auroc: Interval | None
    films: int
    patients: int
    findings: Mapping[str, FindingFigures] = field(default_factory=dict)
    """Output → all its figures, in the order of ``auroc``."""
    means: Mapping[str, Interval] = field(default_factory=dict)
    """Figure, such as ``auprc``, ``ece`` or ``sensitivity youden`` → its mean over the outputs that have it."""


def judge_predictions(
    scores: Array, labels: Array, patients: Sequence[str], names: Sequence[str], replicates: int = REPLICATES
) -> Judgement:
    """Judge the order of scores (N×K, any rising scale) against labels (N×K: 1, 0, NaN unknown) for the outputs ``names``.

    Intervals hold the middle 95 % of the replicates; a replicate without both classes is left out.
    """
    draws = patient_draws(patients, replicates)
    columns = [output_replicates(scores[:, k], labels[:, k], draws) for k in range(len(names))]
    known = {name: column for name, column in zip(names, columns, strict=True) if np.isfinite(column[0])}
    mean = summarise(np.mean(list(known.values()), axis=0)) if known else None
    return Judgement({name: summarise(c) for name, c in known.items()}, mean, len(labels), len(set(patients)))


def output_replicates(scores: Array, labels: Array, draws: Draws) -> Floats:
    """Return one output's AUROC, then one for each draw (``patient_draws``) of the films."""
    known = ~np.isnan(labels)
    scores, labels = scores[known], labels[known]
    return replicate(lambda weights: ranking_areas(scores, labels, weights)[:, 0], draws[:, known])


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one member, or the ensemble, said of one finding on the films whose label is known."""

    confidences: Array
    """(N,), 0–100."""
    evidence: Array | None
    """(N,); None for a member that is not calibrated."""
    labels: Array
    patients: tuple[str, ...]
    known: npt.NDArray[np.bool_]
    """Which of all films these are."""
    all_draws: Draws
    """Of all films' patients."""
    points: Mapping[str, OperatingPoint]

    @property
    def draws(self) -> Draws:
        """The draws cut to these films, made anew each time: kept for every finding they would fill the memory."""
        return self.all_draws if self.known.all() else self.all_draws[:, self.known]

    @property
    def judged(self) -> bool:
        """Whether both classes are there."""
        return bool(0 < self.labels.sum() < len(self.labels))


def judge_answers(answers: Mapping[str, Answers], films: int, patients: int) -> Judgement:
    """Return all figures of one member, or of the ensemble, from its answers by finding."""
    findings: dict[str, FindingFigures] = {}
    columns: dict[str, list[Floats]] = {}
    for name, answer in answers.items():
        if answer.judged:
            findings[name] = _finding_figures(answer, columns)
    known = {figure: [one for one in values if np.isfinite(one[0])] for figure, values in columns.items()}
    means = {figure: _mean(figure, values) for figure, values in known.items() if values}
    auroc = {name: figures.auroc for name, figures in findings.items()}
    return Judgement(auroc, means.get("auroc"), films, patients, findings, means)


def _finding_figures(answer: Answers, columns: dict[str, list[Floats]]) -> FindingFigures:
    """Return one output's figures, and add the replicates that means are made of to ``columns``."""
    draws = answer.draws
    areas = replicate(lambda weights: ranking_areas(answer.confidences, answer.labels, weights), draws)
    cuts = list(answer.points)
    thresholds = [answer.points[policy].threshold for policy in cuts]
    both = replicate(lambda weights: rates(answer.confidences, answer.labels, thresholds, weights), draws)
    named = {"auroc": areas[:, 0], "auprc": areas[:, 1]}
    for at, policy in enumerate(cuts):
        named[f"sensitivity {policy}"] = both[:, at]
        named[f"specificity {policy}"] = both[:, len(cuts) + at]
    calibration = None
    if answer.evidence is not None:
        calibrated = calibration_replicates(answer.evidence, answer.labels, draws)
        calibration = calibration_figures(calibrated)
        named |= calibrated
    for figure, values in named.items():
        columns.setdefault(figure, []).append(values)
    points = {
        policy: PointFigures(
            answer.points[policy].threshold,
            summarise(named[f"sensitivity {policy}"]),
            summarise(named[f"specificity {policy}"]),
        )
        for policy in cuts
    }
    ill = {patient for patient, label in zip(answer.patients, answer.labels, strict=True) if label == 1}
    return FindingFigures(
        films=len(answer.labels),
        positives=int(answer.labels.sum()),
        patients=len(set(answer.patients)),
        positive_patients=len(ill),
        auroc=summarise(areas[:, 0]),
        auprc=summarise(areas[:, 1]),
        points=points,
        calibration=calibration,
    )


def _mean(figure: str, values: list[Floats]) -> Interval:
    if figure == "ece_floor":  # its draws have nothing to do with the patients': mean, then quantiles
        simulated = np.mean(values, axis=0)
        return floor_interval(simulated)
    return summarise(np.mean(values, axis=0), centred=figure == "ece")
