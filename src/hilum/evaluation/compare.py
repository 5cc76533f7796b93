"""The ensemble beside its members: each one's AUROC, and the difference over the findings that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hilum.calibrate import choose_operating_points
from hilum.evaluation.judge import Judgement, judge_predictions, output_replicates, patient_draws, summarise
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.pipeline import Engine
from hilum.records import EnsembleRecord, Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of all members and the ensemble on the same films."""

    judged: Mapping[str, Judgement]
    """Member, or ``Ensemble`` → its figures over what it assesses."""
    gain: Mapping[str, Interval]
    """Member → mean AUROC of the ensemble minus the member's over what that member assesses, paired by bootstrap."""


def compare(scores: Scores, replicates: int = 1000) -> Comparison:
    """Judge every member and the ensemble, and their differences on the same draws of patients."""
    judged = {}
    for who, confidences in scores.confidences.items():
        columns = list(scores.assessed(who))
        names = tuple(scores.names[column] for column in columns)
        judged[who] = judge_predictions(
            confidences[:, columns], scores.labels[:, columns], scores.patients, names, replicates
        )
    gain = {who: _gain(scores, who, replicates) for who in scores.confidences if who != ENSEMBLE}
    return Comparison(judged, {who: value for who, value in gain.items() if value is not None})


def _gain(scores: Scores, who: str, replicates: int) -> Interval | None:
    draws = patient_draws(scores.patients, replicates)
    differences = []
    for column in scores.assessed(who):
        pair = (scores.confidences[ENSEMBLE][:, column], scores.confidences[who][:, column])
        together, alone = (output_replicates(one, scores.labels[:, column], draws) for one in pair)
        if np.isfinite(together[0]):
            differences.append(together - alone)
    return summarise(np.mean(differences, axis=0)) if differences else None


def measure_ensemble(engine: Engine, validation: Scores, holdout: Scores, command: str) -> EnsembleRecord:
    """Return the ensemble's operating points, from validation patients, and its AUROC on held-out ones."""
    confidences = validation.confidences[ENSEMBLE]
    points = {}
    for column in validation.assessed(ENSEMBLE):
        labels = validation.labels[:, column]
        known = ~np.isnan(labels)
        if 0 < labels[known].sum() < known.sum():
            points[validation.names[column]] = choose_operating_points(confidences[known, column], labels[known])
    comparison = compare(holdout)
    judged = comparison.judged[ENSEMBLE]
    figures = {} if judged.mean_auroc is None else {"mean_auroc": judged.mean_auroc}
    gains = {f"gain over {who}": value for who, value in comparison.gain.items()}
    members = {m.manifest.id: m.bundle.sha256 for m in engine.members if m.manifest.in_ensemble}
    return EnsembleRecord(members, points, judged.auroc, {**figures, **gains}, command)
