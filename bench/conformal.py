"""Which library fits sets and intervals: crepes, MAPIE and venn-abers on the validation patients' ensemble confidences.

    pip install crepes mapie
    python bench/conformal.py --data data/cxr/labels.csv --patients splits/validation.csv --min-original-width 1024

Five folds by patient, each judged by what was fitted on the other four: no held-out patient is looked at to choose. Intervals are
over patients, by bootstrap. MB: the package and what it needs beyond numpy, as installed here.
"""

from __future__ import annotations

import importlib.metadata
import re
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hilum import calibrate, conformal
from hilum.datasets.split import split_folds
from hilum.datasets.table import Table
from hilum.evaluation.bootstrap import SEED, patient_draws, replicate, summarise
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.evaluation.uncertainty import PROMISE, fit_steps, log_odds
from hilum.records import Calibration
from scored import scores_asked_for

FOLDS = 5
RELEASED = {"crepes": "2026-06", "mapie": "2026-10", "venn-abers": "2026-08"}
"""Month of the newest file in the release."""


class Shares:
    """Confidences as a fitted classifier, which MAPIE and crepes want to wrap."""

    classes_ = np.array([0, 1])
    __sklearn_is_fitted__ = staticmethod(lambda: True)
    _estimator_type = "classifier"

    def fit(self, *_: np.ndarray) -> Shares:
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.stack([1 - x[:, 0], x[:, 0]], axis=1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return (x[:, 0] > 0.5).astype(int)


Held = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Confidences and labels to fit on, confidences to answer → films × 2: holds absent, holds present."""


def of_hilum(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    cuts = conformal.fit_cuts(x, y, PROMISE)
    said = np.array([conformal.said(value, cuts) for value in new.tolist()])
    return np.stack([said != "present", said != "absent"], axis=1)


def of_crepes(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    from crepes import WrapClassifier

    wrapped = WrapClassifier(Shares())
    wrapped.calibrate(x[:, None] / 100, y.astype(int), class_cond=True)
    return np.asarray(wrapped.predict_p(new[:, None] / 100, smoothing=False)) > 1 - PROMISE + 1e-9


def of_mapie(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    from mapie.classification import SplitConformalClassifier

    wrapped = SplitConformalClassifier(Shares(), confidence_level=PROMISE, prefit=True)
    wrapped.conformalize(x[:, None] / 100, y.astype(int))
    return np.asarray(wrapped.predict_set(new[:, None] / 100)[1])[:, :, 0]


def widths_venn_abers(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    steps = fit_steps(x, y)
    return np.array([conformal.interval(value, steps, steps.prevalence) for value in new.tolist()])


def widths_mapie(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    from mapie.calibration import VennAbersCalibrator

    fitted = VennAbersCalibrator(Shares(), cv="prefit").fit(x[:, None] / 100, y.astype(int))
    return np.asarray(fitted.predict_proba(new[:, None] / 100, p0_p1_output=True)[1])


def answered(scores: Scores, answer: Callable[..., np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """Return films × findings × 2 by an answer fitted on the other folds, the labels, and the seconds it took."""
    fold = dealt_to(scores)
    given = np.full((*scores.labels.shape, 2), np.nan)
    began = time.perf_counter()
    for column in scores.assessed(ENSEMBLE):
        known, values = ~np.isnan(scores.labels[:, column]), scores.confidences[ENSEMBLE][:, column].astype(float)
        for number in range(FOLDS):
            fit, judge = known & (fold != number), known & (fold == number)
            given[judge, column] = answer(values[fit], scores.labels[fit, column], values[judge])
    return given, scores.labels, time.perf_counter() - began


def share(scores: Scores, right: np.ndarray, counted: np.ndarray) -> str:
    """Return a share of films × findings with its interval over patients."""
    rows = np.stack([(right & counted).sum(axis=1), counted.sum(axis=1)], axis=1)
    one = summarise(
        replicate(lambda weights: np.divide(*(weights @ rows.astype(weights.dtype)).T), patient_draws(scores.patients))
    )
    return f"{one.value:.3f} ({one.low:.3f}–{one.high:.3f})"


def table(scores: Scores) -> Iterator[str]:
    """Yield the lines of three Markdown tables."""
    yield f"Sets with a promise of {PROMISE:.0%}, by {FOLDS} folds of {len(set(scores.patients))} validation patients:\n"
    yield "| sets of | kind | covered | of films with the finding | of films without | single answers | seconds |"
    yield "|---|---|---|---|---|---|---|"
    for name, kind, answer in (
        ("crepes", "label-conditional", of_crepes),
        ("MAPIE", "marginal: it has no other in its public interface", of_mapie),
        ("hilum: two quantiles, numpy", "label-conditional", of_hilum),
    ):
        held, labels, took = answered(scores, answer)
        ill, well = labels == 1, labels == 0
        covered = np.where(ill, held[..., 1], held[..., 0]) == 1
        single, both = held.sum(axis=-1) == 1, ill | well
        cells = [share(scores, covered, kind) for kind in (both, ill, well)] + [share(scores, single, both)]
        yield f"| {name} | {kind} | {' | '.join(cells)} | {took:.2f} |"
    same = answered(scores, of_crepes)[0], answered(scores, of_hilum)[0]
    known = ~np.isnan(scores.labels)
    alike = (same[0] == same[1]).all(axis=-1)[known].mean()
    yield f"\nThe sets of crepes and of the two quantiles are the same for {alike:.1%} of the answers.\n"
    yield "| intervals of | mean width | mean of p0, observed share, mean of p1 | seconds |\n|---|---|---|---|"
    for name, widths in (("venn-abers", widths_venn_abers), ("MAPIE", widths_mapie)):
        given, labels, took = answered(scores, widths)
        low, high = given[known, 0], given[known, 1]
        yield (
            f"| {name} | {np.mean(high - low):.4f} | {low.mean():.4f}, {labels[known].mean():.4f}, {high.mean():.4f} "
            f"| {took:.2f} |"
        )
    yield "\n| library | licence | newest file | MB | gives |\n|---|---|---|---|---|"
    for name, gives in (
        ("crepes", "p-values, sets; no Venn–Abers steps"),
        ("mapie", "marginal sets; Venn–Abers answers of a wrapped classifier, steps only by a private module"),
        ("venn-abers", "Venn–Abers steps as a public function of two arrays; no sets"),
    ):
        version, size = importlib.metadata.version(name), f"{megabytes(name):.0f}"
        yield f"| {name} {version} | {licence(name)} | {RELEASED[name]} | {size} | {gives} |"
    yield "\n| the mean's own calibration | mean log loss by the same folds |\n|---|---|"
    for name, loss in slopes(scores).items():
        yield f"| {name} | {loss:.5f} |"


def slopes(scores: Scores) -> dict[str, float]:
    """Return the log loss of no calibration, of a slope for each finding, and of one slope for all."""
    fold, losses = dealt_to(scores), {"none": [], "a slope for each finding": [], "one slope for all": []}
    columns = scores.assessed(ENSEMBLE)
    x = log_odds(scores.confidences[ENSEMBLE].astype(float))
    for number in range(FOLDS):
        fits = [~np.isnan(scores.labels[:, k]) & (fold != number) for k in columns]
        pairs = [(x[fit, k], scores.labels[fit, k]) for k, fit in zip(columns, fits, strict=True)]
        fitted = {
            "none": [Calibration(1.0, 0.0) for _ in columns],
            "a slope for each finding": [calibrate.fit_platt(*pair) for pair in pairs],
            "one slope for all": calibrate.fit_one_slope([a for a, _ in pairs], [b for _, b in pairs]),
        }
        for name, ways in fitted.items():
            for k, way, (_, labels) in zip(columns, ways, pairs, strict=True):
                new = ~np.isnan(scores.labels[:, k]) & (fold == number)
                prior = calibrate.log_odds(float(labels.mean()))
                p, y = calibrate.sigmoid(calibrate.evidence(x[new, k], way) + prior), scores.labels[new, k]
                losses[name].append(-np.log(np.where(y == 1, p, 1 - p)))
    return {name: float(np.concatenate(one).mean()) for name, one in losses.items()}


def dealt_to(scores: Scores) -> np.ndarray:
    """Return each film's fold."""
    dealt = split_folds(Table(Path(), scores.rows), FOLDS, SEED)
    return np.array([next(k for k, own in enumerate(dealt) if patient in own) for patient in scores.patients])


def licence(name: str) -> str:
    stated = importlib.metadata.metadata(name)
    classified = [one.split(" :: ")[-1] for one in stated.get_all("Classifier", []) if one.startswith("License")]
    return stated.get("License-Expression") or ", ".join(classified) or stated.get("License") or "not stated"


def megabytes(name: str) -> float:
    """Return the size of a package and of all that it needs, but numpy."""
    left, seen = [name], {"numpy"}
    size = 0
    while left:
        one = left.pop().lower()
        if one not in seen:
            seen.add(one)
            try:
                package = importlib.metadata.distribution(one)
            except importlib.metadata.PackageNotFoundError:
                continue
            size += sum(file.size or 0 for file in package.files or ())
            left += [re.split(r"[^\w.-]", need)[0] for need in package.requires or () if "extra ==" not in need]
    return size / 1e6


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("\n".join(table(scores_asked_for(__doc__))))
