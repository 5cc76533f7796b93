"""Turn what networks said of films that they never saw, a public model's predictions and the labels into soft labels.

    hilum train examples/train_default/mobilenetv2-teacher.toml --folds 5
    python bench/soft_labels.py runs/mobilenetv2-teacher --published runs/teacher.csv > runs/soft.csv

The run holds out-of-fold predictions of the training films. Each finding's are mapped by Platt's method onto the labels. Where
there is a published prediction (``bench/teacher.py`` makes that file), a film's soft label is mostly that; else it is the mean of
the out-of-fold score and of the label, or the score alone where the label is unknown.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from hilum.records import Array
from hilum.training.finished import read_run_config
from hilum.training.folds import FOLDS, out_of_fold
from teacher import mapped

PUBLISHED, LABEL = 0.75, 0.5
"""Share of a published prediction, else of a label, beside the out-of-fold score."""


def mix(scores: Array, labels: Array, published: Array) -> Array:
    """Return soft labels from out-of-fold scores, labels and published predictions, all N×K, 0–1 or NaN but for the scores."""
    given = np.where(np.isnan(labels), scores, LABEL * labels + (1 - LABEL) * scores)
    return np.where(np.isnan(published), given, PUBLISHED * published + (1 - PUBLISHED) * scores)


def read_published(path: Path, images: tuple[str, ...], outputs: tuple[str, ...]) -> Array:
    """Return the predictions that a file has for films, N×K; NaN for those that it lacks."""
    with path.open(newline="") as lines:
        given = {row["file"]: row for row in csv.DictReader(lines)}
    return np.array([[float(given.get(image, {}).get(name) or "nan") for name in outputs] for image in images])


def main(run: Path, published: Path) -> None:
    """Print the columns ``file`` and one for each output, 0–1."""
    config = read_run_config(run / FOLDS / "1")
    outputs, judged = config.network.outputs, out_of_fold(config, run)
    soft = mix(mapped(judged.logits, judged.labels), judged.labels, read_published(published, judged.images, outputs))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", *outputs])
    for image, values in zip(judged.images, soft, strict=True):
        writer.writerow([image, *(f"{value:.4f}" for value in values)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a cross-validated training")
    parser.add_argument("--published", type=Path, required=True, help="a .csv that bench/teacher.py wrote")
    args = parser.parse_args()
    main(args.run, args.published)
