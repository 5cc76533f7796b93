"""Figures by view, sex, age band and source: each group beside everybody else, on the same draws of patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hilum.datasets.table import Row
from hilum.evaluation.bootstrap import Draws, Floats, replicate, summarise
from hilum.evaluation.judge import Answers
from hilum.evaluation.metrics import ranking_areas, rates
from hilum.evaluation.scoring import Scores
from hilum.records import Array, Interval

Measure = Literal["auroc", "sensitivity", "specificity"]
LEAST = 10
"""Patients with, and patients without, the finding that a group and the others must both have to be judged."""
AGES = ((0, 18), (18, 40), (40, 60), (60, 75), (75, 200))
"""From, up to but without, in years."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure within a group, and how far it lies from everybody else's."""

    inside: Interval
    gap: Interval
    """Inside minus outside."""


@dataclass(frozen=True, slots=True)
class Group:
    """What was measured of one group."""

    attribute: str
    """``view``, ``sex``, ``age`` or ``source``."""
    value: str
    films: int
    patients: int
    findings: Mapping[str, Mapping[Measure, Difference]]
    """Finding → figure; findings with too few patients in the group, or outside, are absent."""
    means: Mapping[Measure, Difference]
    """Over the findings that are judged."""
    too_few: tuple[str, ...]
    """Findings that this group has too few patients for."""


def age_band(age: float | None) -> str:
    """Return a row's age band, such as ``40–59``; empty where the age is unknown."""
    if age is None:
        return ""
    low, high = next((band for band in AGES if band[0] <= age < band[1]), (0, 0))
    return "" if not high else f"{low} and over" if high == AGES[-1][1] else f"{low}–{high - 1}"


ATTRIBUTES: Mapping[str, Callable[[Row], str]] = {
    "view": lambda row: row.view,
    "sex": lambda row: row.sex,
    "age": lambda row: age_band(row.age),
    "source": lambda row: row.source,
}


def judge_groups(scores: Scores, who: str, draws: Draws, policy: str) -> tuple[Group, ...]:
    """Return every group of every attribute that has more than one value; films without a value are in none of its groups.

    Sensitivity and specificity are those at the operating points of ``policy``.
    """
    answers = scores.answers(who, draws)
    known = {name: ~np.isnan(scores.labels[:, scores.names.index(name)]) for name in answers}
    groups = []
    for attribute, value_of in ATTRIBUTES.items():
        values = np.array([value_of(row) for row in scores.rows], dtype=object)
        present = sorted({value for value in values.tolist() if value}, key=_by_first_number)
        if len(present) < 2:
            continue
        for value in present:
            inside, outside = values == value, (values != value) & (values != "")
            groups.append(_judge(attribute, value, scores, answers, known, (inside, outside), policy))
    return tuple(groups)


def _by_first_number(value: str) -> tuple[int, str]:
    digits = value.split("–")[0].split(" ")[0]
    return (int(digits) if digits.isdigit() else -1, value)


_Mask = npt.NDArray[np.bool_]


def _judge(
    attribute: str,
    value: str,
    scores: Scores,
    answers: Mapping[str, Answers],
    known: Mapping[str, _Mask],
    sides: tuple[_Mask, _Mask],
    policy: str,
) -> Group:
    findings: dict[str, dict[Measure, Difference]] = {}
    columns: dict[Measure, list[tuple[Floats, Floats]]] = {}
    too_few = []
    for name, answer in answers.items():
        inside, outside = (side[known[name]] for side in sides)
        if not (_enough(answer, inside) and _enough(answer, outside)):
            too_few.append(name)
            continue
        both = [_replicates(answer, side, policy) for side in (inside, outside)]
        findings[name] = {}
        for measure in both[0]:
            pair = (both[0][measure], both[1][measure])
            findings[name][measure] = Difference(summarise(pair[0]), summarise(pair[0] - pair[1]))
            columns.setdefault(measure, []).append(pair)
    means = {
        measure: Difference(
            summarise(np.mean([one for one, _ in pairs], axis=0)),
            summarise(np.mean([one - other for one, other in pairs], axis=0)),
        )
        for measure, pairs in columns.items()
    }
    films = np.flatnonzero(sides[0])
    patients = len({scores.patients[film] for film in films.tolist()})
    return Group(attribute, value, len(films), patients, findings, means, tuple(too_few))


def _enough(answer: Answers, side: _Mask) -> bool:
    patients = np.asarray(answer.patients, dtype=object)
    return all(len(set(patients[side & (answer.labels == label)].tolist())) >= LEAST for label in (0, 1))


def _replicates(answer: Answers, side: _Mask, policy: str) -> dict[Measure, Floats]:
    confidences: Array = answer.confidences[side]
    labels, draws = answer.labels[side], answer.draws[:, side]
    figures: dict[Measure, Floats] = {
        "auroc": replicate(lambda weights: ranking_areas(confidences, labels, weights)[:, 0], draws)
    }
    if policy in answer.points:
        cut = [answer.points[policy].threshold]
        both = replicate(lambda weights: rates(confidences, labels, cut, weights), draws)
        figures |= {"sensitivity": both[:, 0], "specificity": both[:, 1]}
    return figures
