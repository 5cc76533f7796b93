"""Turn a public model's published predictions into soft labels for a table's films.

    python bench/teacher.py preds.csv labels.csv --holdout splits/holdout.csv --validation splits/validation.csv > soft.csv

preds.csv: github.com/jrzech/reproduce-chexnet (BSD-3), 14 probabilities for each film of the test split of NIH ChestX-ray14, by a
DenseNet121 trained on the rest of that data set. Its probabilities belong to all of NIH, where findings are rarer than among films
that were chosen for them: each finding's are mapped by Platt's method onto the labels of the table's training films. Films of the
hold-out and of the validation patients are neither used nor written.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from hilum import calibrate
from hilum.datasets.plain import read_table
from hilum.datasets.split import read_patients
from hilum.findings import canonical

PREFIX = "prob_"


def main(predictions: Path, table_path: Path, left_out: list[Path]) -> None:
    """Print the columns ``file`` and one for each finding, 0–1."""
    with predictions.open(newline="") as lines:
        given = {row["Image Index"].removesuffix(".png"): row for row in csv.DictReader(lines)}
    columns = [name for name in next(iter(given.values())) if name.startswith(PREFIX)]
    names = [canonical(column.removeprefix(PREFIX)) or column for column in columns]
    everything = read_table(table_path)
    table = everything.without_patients({patient for path in left_out for patient in read_patients(path)})
    table = table.where(lambda row: row.image.stem in given)
    scores = np.array([[float(given[row.image.stem][column]) for column in columns] for row in table.rows])
    logits = np.log(scores) - np.log1p(-scores)
    labels = table.labels(tuple(names))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    mapped = np.full_like(logits, np.nan)
    for column, truth in enumerate(labels.T):
        known = ~np.isnan(truth)
        calibration = calibrate.fit_platt(logits[known, column], truth[known])
        evidence = calibrate.evidence(logits[:, column], calibration)
        mapped[:, column] = calibrate.sigmoid(evidence + calibrate.log_odds(float(truth[known].mean())))
    writer.writerow(["file", *names])
    for row, values in zip(table.rows, mapped, strict=True):
        writer.writerow([row.image.as_posix(), *(f"{value:.4f}" for value in values)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--holdout", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    args = parser.parse_args()
    main(args.predictions, args.table, [args.holdout, args.validation])
