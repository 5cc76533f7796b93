"""Teachers' scores as a second, soft label of each training film: from finished trainings, members, and files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from hilum import ensemble
from hilum.datasets.films import Bytes
from hilum.datasets.table import Table
from hilum.errors import ConfigError
from hilum.findings import OUTPUTS, canonical
from hilum.normalise import resample, scale_pixels
from hilum.records import Array
from hilum.registry import load_bundle
from hilum.runtime import open_session
from hilum.training.architecture import INPUT_SIZE, input_spec
from hilum.training.config import Distillation, TrainingConfig
from hilum.training.finished import load_run, read_run_config
from hilum.training.predict import predict, shrink
from hilum.training.workers import ALONE, Worker

SOFT_LABELS = "soft_labels.npy"


def soft_labels(
    config: TrainingConfig, table: Table, films: Bytes, folder: Path, worker: Worker = ALONE
) -> Array | None:
    """Return the teachers' mean scores, N×K with NaN for what none of them has; None where there are no teachers.

    They take minutes: the first worker computes them, and keeps them in ``folder`` for a training that goes on.
    """
    if config.distillation is None:
        return None
    kept = folder / SOFT_LABELS
    if worker.leads and not kept.exists():
        partial = kept.with_suffix(".partial.npy")
        np.save(partial, _mean(_teachers(config.distillation, config.network.trained_outputs, table, films, worker)))
        partial.replace(kept)
    worker.wait()
    return np.asarray(np.load(kept), dtype=np.float32)


def teachers(distillation: Distillation | None) -> tuple[str, ...]:
    """Return the teachers' names, for the manifest."""
    if distillation is None:
        return ()
    runs = (read_run_config(run).bundle.id for run in distillation.runs)
    bundles = (load_bundle(bundle).manifest for bundle in distillation.bundles)
    return (*runs, *(f"{one.id} {one.version}, {one.name}" for one in bundles), *distillation.teachers)


def _teachers(
    distillation: Distillation, outputs: tuple[str, ...], table: Table, films: Bytes, worker: Worker
) -> list[Array]:
    found = [_run_scores(run, films, outputs, worker) for run in distillation.runs]
    found += [_bundle_scores(bundle, films, outputs) for bundle in distillation.bundles]
    if distillation.soft_labels is not None:
        found.append(read_soft_labels(distillation.soft_labels, table, outputs))
    return found


def _mean(found: list[Array]) -> Array:
    """Return the mean over teachers of N×K scores, of those that are not NaN."""
    stacked = np.stack(found)
    known = (~np.isnan(stacked)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(stacked, axis=0) / known, dtype=np.float32)


def _run_scores(run: Path, films: Bytes, outputs: tuple[str, ...], worker: Worker) -> Array:
    teacher, network = load_run(run)
    logits = predict(network.to(worker.device), shrink(films, INPUT_SIZE), input_spec(teacher.network.architecture))
    column = {name: index for index, name in enumerate(teacher.network.trained_outputs)}
    scores = np.full((len(films), len(outputs)), np.nan, dtype=np.float32)
    for index, name in enumerate(outputs):
        if name in column:
            scores[:, index] = 1 / (1 + np.exp(-logits[:, column[name]]))
    return scores


def _bundle_scores(folder: Path, films: Bytes, outputs: tuple[str, ...]) -> Array:
    """Score films as serving would, for the outputs that the member assesses. Raises ``BundleError`` for a broken bundle."""
    bundle = load_bundle(folder)
    manifest, session = bundle.manifest, open_session(bundle.model, torch.get_num_threads())
    column = {output.name: index for index, output in enumerate(manifest.outputs) if output.assessed}
    found = np.full((len(films), len(outputs)), np.nan, dtype=np.float32)
    for number, film in enumerate(films):
        pixels = resample(film.astype(np.float32) / 255, manifest.input)[np.newaxis]
        inputs = np.ascontiguousarray(scale_pixels(pixels, manifest.input), dtype=np.float32)
        given = ensemble.scores(session.run(inputs).logits, manifest)
        found[number] = [given[column[name]] if name in column else np.nan for name in outputs]
    return found


def read_soft_labels(path: Path, table: Table, outputs: tuple[str, ...]) -> Array:
    """Return a file's scores for a table's films, N×K: NaN for a film or an output that the file lacks.

    ``.csv``: the column ``file``, as the table has it, and one for each output, 0–1 or empty. ``.npz``: ``files`` (M strings),
    ``outputs`` (L names) and ``scores`` (M×L, 0–1 or NaN). Raises ``ConfigError`` if it is neither, or knows none of the films.
    """
    if not path.is_file():
        raise ConfigError("The file that distillation.soft_labels names does not exist.")
    given = _from_npz(path) if path.suffix == ".npz" else _from_csv(path)
    scores = np.full((len(table.rows), len(outputs)), np.nan, dtype=np.float32)
    for index, row in enumerate(table.rows):
        known = given.get(row.image.as_posix(), {})
        scores[index] = [known.get(name, np.nan) for name in outputs]
    found = scores[~np.isnan(scores)]
    if not len(found) or found.min() < 0 or found.max() > 1:
        raise ConfigError(
            "The file that distillation.soft_labels names has no scores between 0 and 1 for the training's films and outputs. "
            "Expected each film as the table names it, and the outputs' own names."
        )
    return scores


def _from_csv(path: Path) -> dict[str, dict[str, float]]:
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        columns = reader.fieldnames or []
        outputs = {column: name for column in columns if (name := canonical(column)) in OUTPUTS and name}
        if "file" not in columns:
            raise ConfigError("The file that distillation.soft_labels names has no column file.")
        try:
            return {
                cells["file"]: {name: float(cells[column]) for column, name in outputs.items() if cells[column]}
                for cells in reader
            }
        except ValueError:
            raise ConfigError(
                "The file that distillation.soft_labels names holds what is not a number. Expected scores 0–1, or nothing."
            ) from None


def _from_npz(path: Path) -> dict[str, dict[str, float]]:
    with np.load(path, allow_pickle=False) as content:
        if missing := {"files", "outputs", "scores"} - set(content.files):
            raise ConfigError(f"The file that distillation.soft_labels names lacks {', '.join(sorted(missing))}.")
        files, outputs, scores = (content[name].tolist() for name in ("files", "outputs", "scores"))
    names = [canonical(name) or name for name in outputs]
    return {file: dict(zip(names, row, strict=True)) for file, row in zip(files, scores, strict=True)}
