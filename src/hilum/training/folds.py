"""Cross-validation by patient: a training for each fold, predictions for every film by a network that never saw its patient."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from hilum.datasets.films import Bytes, load_films
from hilum.datasets.leaks import find_leaks
from hilum.datasets.split import read_patients, split_folds, write_patients
from hilum.datasets.table import Table
from hilum.errors import ConfigError
from hilum.evaluation.judge import Judgement, judge_predictions
from hilum.training.config import Distillation, Phase, TrainingConfig
from hilum.training.judged import Judged, Load, judge_table, read_judged, write_judged
from hilum.training.networks import Network
from hilum.training.run import PRETRAINING, claim, train
from hilum.training.splits import Splits, is_judged, split_table
from hilum.training.workers import ALONE, Worker

log = logging.getLogger(__name__)

FOLDS, FINAL = "folds", "final"
"""Folders, inside the training's, of the cross-validation and of the training on everything but the hold-out."""
ASSIGNMENT, OUT_OF_FOLD, FIGURES = "folds.csv", "out_of_fold.csv", "figures.json"
VALIDATION = "validation.csv"


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Figures of each fold's network on its own patients, and of all out-of-fold predictions together."""

    folds: tuple[Judgement, ...]
    pooled: Judgement


_FIGURES = TypeAdapter(CrossValidation)


def cross_validate(config: TrainingConfig, folder: Path, worker: Worker = ALONE) -> CrossValidation | None:
    """Train and judge ``config.folds.count`` networks in the folders 1, 2 … of ``folder``/folds, going on from whatever is there.

    Writes which patient is in which fold (``folds.csv``), every film's out-of-fold logits (``out_of_fold.csv``) and the figures
    (``figures.json``); returns them from the first worker. Raises ``ConfigError`` for early stopping, and for a teacher that
    was not cross-validated with the same folds.
    """
    if config.fit.patience:
        raise ConfigError(
            "fit.patience would choose each fold's epoch on the patients that it is judged on. Expected none in a "
            "cross-validation: shorten folds.phases instead."
        )
    place = folder / FOLDS
    if worker.leads:
        claim(place, config)
    worker.wait()
    if (place / FIGURES).exists():  # written last, so there is nothing left to do
        return read_figures(folder)
    splits = split_table(replace(config.data, validation=None))
    load = _loaded(splits, config.data.film_size)
    if worker.leads and not (place / ASSIGNMENT).exists():
        _deal(config, splits.training, load, place)
    worker.wait()
    parts = [
        _one_fold(config, folder, fold, patients, load, worker)
        for fold, patients in enumerate(read_folds(place / ASSIGNMENT), start=1)
    ]
    if not worker.leads:
        return None
    outputs = config.network.outputs
    write_judged(place / OUT_OF_FOLD, tuple(parts), outputs)
    figures = CrossValidation(
        tuple(_figures(part, outputs) for part in parts), _figures(out_of_fold(config, folder), outputs)
    )
    partial = (place / FIGURES).with_suffix(".partial")
    partial.write_bytes(_FIGURES.dump_json(figures, indent=2) + b"\n")
    partial.replace(place / FIGURES)
    return figures


def read_figures(folder: Path) -> CrossValidation:
    """Return the figures that ``cross_validate`` kept in a training's folder."""
    return _FIGURES.validate_json((folder / FOLDS / FIGURES).read_bytes())


def train_final(config: TrainingConfig, folder: Path, worker: Worker = ALONE) -> Network:
    """Train on everything but the hold-out, in ``folder``/final, and return the averaged network."""
    return train(_experiment(config, FINAL, None, config.fit.phases), folder / FINAL, worker)


def out_of_fold(config: TrainingConfig, folder: Path) -> Judged:
    """Return the out-of-fold predictions that ``cross_validate`` kept in a training's folder."""
    return read_judged(folder / FOLDS / OUT_OF_FOLD, config.network.outputs)


def _figures(part: Judged, outputs: tuple[str, ...]) -> Judgement:
    return judge_predictions(part.logits, part.labels, part.patients, outputs)


def _one_fold(
    config: TrainingConfig, folder: Path, fold: int, patients: frozenset[str], load: Load, worker: Worker
) -> Judged:
    place = folder.absolute() / FOLDS / str(fold)
    if worker.leads:
        place.mkdir(exist_ok=True)
        write_patients(place / VALIDATION, patients)
        log.info("fold %d: %d patients left out", fold, len(patients))
    worker.wait()
    phases = config.folds.phases or config.fit.phases
    experiment = _experiment(config, f"{FOLDS}/{fold}", place / VALIDATION, phases)
    network = train(experiment, place, worker, load)
    return judge_table(experiment, network, split_table(experiment.data).validation, load)


def _experiment(
    config: TrainingConfig, place: str, validation: Path | None, phases: tuple[Phase, ...]
) -> TrainingConfig:
    """Return the experiment of one fold, or the final one, with the earlier trainings that it may learn from."""

    def taught(distillation: Distillation | None) -> Distillation | None:
        if distillation is None:
            return None
        return replace(distillation, runs=tuple(_counterpart(run, place, validation) for run in distillation.runs))

    network, first = config.network, config.pretraining
    if network.initial == "run" and network.initial_path is not None:
        network = replace(network, initial_path=_counterpart(network.initial_path, place, validation))
    return replace(
        config,
        data=replace(config.data, validation=validation),
        network=network,
        fit=replace(config.fit, phases=phases),
        pretraining=None if first is None else replace(first, distillation=taught(first.distillation)),
        distillation=taught(config.distillation),
    )


def _counterpart(run: Path, place: str, validation: Path | None) -> Path:
    """Return the part of an earlier training that knows of no patient that this one leaves out."""
    below = PRETRAINING if run.name == PRETRAINING else ""
    whole = run.parent if below else run
    theirs = whole / place
    if validation is None:
        return theirs / below if theirs.is_dir() else run
    if not (theirs / VALIDATION).is_file() or read_patients(theirs / VALIDATION) != read_patients(validation):
        raise ConfigError(
            "An earlier training that this one learns from was not cross-validated with the same folds, so it knows the patients "
            "left out. Cross-validate it first, on the same table and hold-out, with the same folds.count and folds.seed."
        )
    return theirs / below


def _loaded(splits: Splits, size: int) -> Load:
    """Read all films once, and return what gives those of a part of the table."""
    films: dict[Path, Bytes] = {}
    for table in (splits.training, splits.holdout):
        films.update(zip((row.image for row in table.rows), load_films(table, size), strict=True))

    def load(table: Table, size: int) -> Bytes:
        shown = [films[row.image] for row in table.rows]
        return np.stack(shown) if shown else np.empty((0, size, size), dtype=np.uint8)

    return load


def _deal(config: TrainingConfig, table: Table, load: Load, place: Path) -> None:
    """Deal the patients that are judged into folds, and write them. Patients who share a film, or nearly, stay together."""
    judged = table.where(lambda row: is_judged(row, config.data))
    fold_of = {
        patient: fold
        for fold, patients in enumerate(split_folds(judged, config.folds.count, config.folds.seed), start=1)
        for patient in patients
    }
    for group in _groups(table, load(table, config.data.film_size)):
        if folds := [fold_of[patient] for patient in group if patient in fold_of]:
            fold_of.update(dict.fromkeys(group, folds[0]))
    partial = (place / ASSIGNMENT).with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(["patient_id", "fold"])
        writer.writerows(sorted(fold_of.items()))
    partial.replace(place / ASSIGNMENT)


def read_folds(path: Path) -> tuple[frozenset[str], ...]:
    """Return the patients of each fold, from the file that a cross-validation wrote."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = [(row["patient_id"], int(row["fold"])) for row in csv.DictReader(lines)]
    count = max(fold for _, fold in rows)
    return tuple(frozenset(patient for patient, fold in rows if fold == number) for number in range(1, count + 1))


def _groups(table: Table, films: Bytes) -> Iterable[list[str]]:
    """Yield patients, sorted, of whom films are the same or nearly so: one person under two numbers."""
    leaks = find_leaks(table, films, table, films)
    linked: dict[str, set[str]] = {}
    for first, second in (*leaks.same_pixels, *leaks.near_duplicates):
        pair = {table.rows[first].patient, table.rows[second].patient}
        if len(pair) == 2:
            group = {patient for one in pair for patient in linked.get(one, {one})}
            linked.update(dict.fromkeys(group, group))
    return [sorted(group) for group in {id(group): group for group in linked.values()}.values()]
