"""All that an evaluation found, as one record, and as JSON that the page and the model cards are made of."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from hilum import __version__
from hilum.datasets.table import Row
from hilum.errors import DatasetError
from hilum.evaluation.bootstrap import REPLICATES, patient_draws
from hilum.evaluation.compare import compare
from hilum.evaluation.curves import Curves, draw_curves
from hilum.evaluation.judge import Judgement
from hilum.evaluation.localise import Boxed, Pointing, localise
from hilum.evaluation.promises import Promises, judge_promises
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.evaluation.subgroups import Group, judge_groups
from hilum.levels import DISCLAIMER
from hilum.pipeline import Engine
from hilum.records import Interval, ModelProvenance, Policy

POLICY: Policy = "youden"
"""The operating points that groups are compared at."""


@dataclass(frozen=True, slots=True)
class Films:
    """Which films were judged."""

    sha256: str
    """Of the judged films' names, patients and labels (``fingerprint``)."""
    sources: Mapping[str, int]
    """Source → films."""
    label_sources: Mapping[str, int]
    views: Mapping[str, int]
    sexes: Mapping[str, int]
    ages: tuple[float, float, float] | None
    """Youngest, median, oldest, in years, where known."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A model that was judged, and its weights, by which it is known again whatever happens to its card."""

    model: ModelProvenance
    model_sha256: str
    """Of the graph's bytes."""
    in_ensemble: bool
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The whole of it."""

    films: int
    patients: int
    refused: int
    judged: Mapping[str, Judgement]
    """Member, or ``Ensemble`` → its figures over what it assesses."""
    gain: Mapping[str, Interval]
    """Member → mean AUROC of the ensemble minus the member's over what that member assesses."""
    curves: Mapping[str, Mapping[str, Curves]]
    """Member, or ``Ensemble`` → finding → what plots are drawn of."""
    groups: tuple[Group, ...]
    """Of the subject."""
    localisation: Mapping[str, Mapping[str, Pointing]]
    """Member, or ``Ensemble`` → finding → heat maps against boxes; empty where there were none."""
    data: Films
    models: tuple[Judged, ...]
    replicates: int
    subject: str
    """Whose figures lead: the ensemble's, or those of a member that was judged alone."""
    software: Mapping[str, str]
    """Name → version."""
    command: str | None = None
    policy: str = POLICY
    promises: Promises | None = None
    """Of the ensemble; None: it makes none, or a member was judged alone."""
    disclaimer: str = field(default=DISCLAIMER)


def evaluate(
    engine: Engine,
    scores: Scores,
    *,
    boxed: Mapping[str, Sequence[Boxed]] | None = None,
    command: str | None = None,
    replicates: int = REPLICATES,
) -> Evaluation:
    """Judge all that was scored. ``boxed``: finding → films that readers drew boxes of it on.

    Raises ``DatasetError`` where the gate refused every film.
    """
    if not scores.patients:
        raise DatasetError("The gate refused every film. Expected frontal chest radiographs.")
    comparison = compare(scores, replicates)
    draws = patient_draws(scores.patients, replicates)
    answers = {who: scores.answers(who, draws) for who in scores.confidences}
    return Evaluation(
        films=len(scores.patients),
        patients=len(set(scores.patients)),
        refused=scores.refused,
        judged=comparison.judged,
        gain=comparison.gain,
        curves={
            who: {name: draw_curves(answer) for name, answer in own.items() if answer.judged}
            for who, own in answers.items()
        },
        groups=judge_groups(scores, scores.subject, draws, POLICY),
        localisation=localise(scores.heatmaps, boxed or {}, replicates),
        data=_films(scores),
        models=_models(engine),
        replicates=replicates,
        subject=scores.subject,
        software={"hilum": __version__, "Python": platform.python_version(), "numpy": np.__version__},
        command=command,
        promises=judge_promises(scores, draws, POLICY) if scores.subject == ENSEMBLE else None,
    )


def _films(scores: Scores) -> Films:
    ages = [row.age for row in scores.rows if row.age is not None]
    return Films(
        sha256=fingerprint(scores.rows),
        sources=_count([row.source for row in scores.rows]),
        label_sources=_count([part for row in scores.rows for part in (row.label_source or "").split("+")]),
        views=_count([row.view for row in scores.rows]),
        sexes=_count([row.sex for row in scores.rows]),
        ages=(min(ages), float(np.median(ages)), max(ages)) if ages else None,
    )


def fingerprint(rows: Iterable[Row]) -> str:
    """Return the sha256 (hex) of films' names, patients and labels: the same films with the same labels have the same one."""
    lines = sorted(json.dumps([row.image.as_posix(), row.patient, sorted((row.labels or {}).items())]) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _count(values: Sequence[str]) -> dict[str, int]:
    """Return value → films, the most frequent first; ``not stated`` for an empty one."""
    named = [value or "not stated" for value in values]
    return dict(sorted(((value, named.count(value)) for value in set(named)), key=lambda pair: (-pair[1], pair[0])))


def _models(engine: Engine) -> tuple[Judged, ...]:
    return tuple(
        Judged(model, member.bundle.model_sha256, member.manifest.in_ensemble, member.manifest.assessed)
        for model, member in zip(engine.provenance.models, engine.members, strict=True)
    )


_EVALUATION = TypeAdapter(Evaluation)


def evaluation_to_json(evaluation: Evaluation) -> bytes:
    """Return an evaluation as its file's bytes."""
    return json.dumps(_EVALUATION.dump_python(evaluation, mode="json"), ensure_ascii=False, allow_nan=False).encode()


def read_evaluation(path: Path) -> Evaluation:
    """Read what ``evaluation_to_json`` wrote. Raises ``DatasetError`` if it is not that."""
    try:
        return _EVALUATION.validate_json(path.read_bytes())
    except OSError:
        raise DatasetError("The evaluation file can't be read. Expected what hilum evaluate --out wrote.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DatasetError(
            f"The evaluation file is wrong at {place}: {first['msg']}. Expected what this version's hilum evaluate --out wrote."
        ) from None
