"""A network's logits beside what is known of the films: of one side of a split, or out of fold."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.datasets.films import Bytes, load_films
from hilum.datasets.table import Table
from hilum.records import Array
from hilum.training.architecture import INPUT_SIZE, input_spec
from hilum.training.config import TrainingConfig
from hilum.training.networks import Network
from hilum.training.predict import predict, shrink

Load = Callable[[Table, int], Bytes]
"""A table and a size in pixels → its films, N × size × size."""
LOGIT = "logit "
"""In front of an output's name: the column of its logits."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Films as a network sees them: logits N×K, labels N×K (NaN unknown), and each row's image and patient."""

    logits: Array
    labels: Array
    images: tuple[str, ...]
    patients: tuple[str, ...]


def judge_table(config: TrainingConfig, network: Network, table: Table, load: Load = load_films) -> Judged:
    """Score a table for the bundle's outputs, through the same resampling that training judged with."""
    outputs = config.network.outputs
    films = shrink(load(table, config.data.film_size), INPUT_SIZE)
    logits = predict(network, films, input_spec(config.network.architecture))[:, : len(outputs)]
    images = tuple(row.image.as_posix() for row in table.rows)
    return Judged(logits, table.labels(outputs), images, tuple(row.patient for row in table.rows))


def write_judged(path: Path, parts: tuple[Judged, ...], outputs: tuple[str, ...]) -> None:
    """Write out-of-fold predictions: a CSV with ``file``, ``patient_id``, ``fold`` (from 1), each output's label and its logit."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(["file", "patient_id", "fold", *outputs, *(LOGIT + name for name in outputs)])
        for fold, part in enumerate(parts, start=1):
            rows = zip(part.images, part.patients, part.labels, part.logits, strict=True)
            for image, patient, labels, logits in rows:
                known = ["" if np.isnan(label) else f"{label:g}" for label in labels]
                writer.writerow([image, patient, fold, *known, *(f"{logit:.6g}" for logit in logits)])
    partial.replace(path)


def read_judged(path: Path, outputs: tuple[str, ...]) -> Judged:
    """Read what ``write_judged`` wrote, all folds in one."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    labels = [[float(row[name] or "nan") for name in outputs] for row in rows]
    logits = [[float(row[LOGIT + name]) for name in outputs] for row in rows]
    return Judged(
        np.asarray(logits, dtype=np.float32),
        np.asarray(labels, dtype=np.float32),
        tuple(row["file"] for row in rows),
        tuple(row["patient_id"] for row in rows),
    )
