"""The ensemble beside its members: each one's figures, and the difference over the findings that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from hilum.calibrate import choose_operating_points
from hilum.errors import Incompatible
from hilum.evaluation.bootstrap import REPLICATES, Draws, patient_draws, summarise
from hilum.evaluation.judge import Judgement, judge_answers, output_replicates
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.evaluation.uncertainty import claim_normal, fit_uncertainty, recalibrated
from hilum.evaluation.votes import choose_votes, with_votes
from hilum.findings import NORMAL
from hilum.pipeline import Engine
from hilum.records import EnsembleRecord, Interval, Policy


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of all members and the ensemble on the same films."""

    judged: Mapping[str, Judgement]
    """Member, or ``Ensemble`` → its figures over what it assesses."""
    gain: Mapping[str, Interval]
    """Member → mean AUROC of the ensemble minus the member's over what that member assesses, paired by bootstrap."""


def compare(scores: Scores, replicates: int = REPLICATES) -> Comparison:
    """Judge every member and the ensemble, and their differences on the same draws of patients."""
    draws = patient_draws(scores.patients, replicates)
    films, patients = len(scores.labels), len(set(scores.patients))
    judged = {who: judge_answers(scores.answers(who, draws), films, patients) for who in scores.confidences}
    together = ENSEMBLE in scores.confidences
    gain = {who: _gain(scores, who, draws) for who in scores.confidences if together and who != ENSEMBLE}
    return Comparison(judged, {who: value for who, value in gain.items() if value is not None})


def _gain(scores: Scores, who: str, draws: Draws) -> Interval | None:
    differences = []
    for column in sorted({*scores.assessed(who)} & {*scores.assessed(ENSEMBLE)}):
        pair = (scores.confidences[ENSEMBLE][:, column], scores.confidences[who][:, column])
        together, alone = (output_replicates(one, scores.labels[:, column], draws) for one in pair)
        if np.isfinite(together[0]):
            differences.append(together - alone)
    return summarise(np.mean(differences, axis=0)) if differences else None


def measure_ensemble(engine: Engine, validation: Scores, holdout: Scores, command: str) -> EnsembleRecord:
    """Return what validation patients say of the ensemble (votes, operating points, uncertainty), and its figures on held-out ones.

    ``Normal`` has one operating point for all policies, chosen by how many films with a listed finding it would miss.

    Raises ``Incompatible`` where no member takes part in the ensemble.
    """
    if ENSEMBLE not in validation.confidences:
        raise Incompatible("None of the open models takes part in the ensemble. Expected one with in_ensemble true.")
    votes = choose_votes(validation)
    validation, holdout = with_votes(validation, votes), with_votes(holdout, votes)
    points = {name: choose_operating_points(confidences, labels) for name, confidences, labels in validation.judged()}
    together = [member for member in engine.members if member.manifest.in_ensemble]
    uncertainty = fit_uncertainty(validation)
    if (claim := claim_normal(validation, holdout)) is not None:
        point, normal = claim
        uncertainty = replace(uncertainty, normal=normal)
        points[NORMAL] = dict.fromkeys(get_args(Policy), point)
    comparison = compare(recalibrated(holdout, uncertainty))
    judged = comparison.judged[ENSEMBLE]
    figures = {} if judged.mean_auroc is None else {"mean_auroc": judged.mean_auroc}
    gains = {f"gain over {who}": value for who, value in comparison.gain.items()}
    members = {member.manifest.id: member.bundle.sha256 for member in together}
    calibration = {name: one.calibration for name, one in judged.findings.items() if one.calibration is not None}
    by_bundle = {member.manifest.id: votes[member.name] for member in together}
    return EnsembleRecord(
        members, points, judged.auroc, {**figures, **gains}, command, calibration, uncertainty, by_bundle
    )
