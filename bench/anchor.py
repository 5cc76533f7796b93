"""Score a public model's published predictions by the metric code of hilum evaluate; their mean AUROC is known to be 0.838.

    python bench/anchor.py preds.csv Data_Entry_2017_v2020.csv.gz

preds.csv: github.com/jrzech/reproduce-chexnet, 14 probabilities for each test film of NIH ChestX-ray14. The other file:
NIH's table of labels.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from pathlib import Path

import numpy as np

from hilum.evaluation.judge import judge_predictions
from hilum.findings import canonical

PREFIX = "prob_"


def main(predictions: Path, labels: Path, replicates: int) -> None:
    """Print each finding's AUROC with its interval, and the mean."""
    with gzip.open(labels, "rt", newline="") as lines:
        truth = {row["Image Index"]: row for row in csv.DictReader(lines)}
    with predictions.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["Image Index"] in truth]
    columns = [name for name in rows[0] if name.startswith(PREFIX)]
    scores = np.array([[float(row[column]) for column in columns] for row in rows], dtype=np.float32)
    shown = [set(truth[row["Image Index"]]["Finding Labels"].split("|")) for row in rows]
    findings = [column.removeprefix(PREFIX) for column in columns]
    known = np.array([[finding in labels_of for finding in findings] for labels_of in shown], dtype=np.float32)
    patients = [truth[row["Image Index"]]["Patient ID"] for row in rows]
    names = [canonical(finding) or finding for finding in findings]
    judged = judge_predictions(scores, known, patients, names, replicates)
    for name, figure in judged.auroc.items():
        print(f"{name:20}{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f})")
    if (mean := judged.mean_auroc) is not None:
        print(
            f"{'mean':20}{mean.value:.3f} ({mean.low:.3f}–{mean.high:.3f}), {judged.films:,} films of {judged.patients:,} patients"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--replicates", type=int, default=1000)
    given = parser.parse_args()
    main(given.predictions, given.labels, given.replicates)
