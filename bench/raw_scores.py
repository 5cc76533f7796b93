"""What fixed bands say of a public network's raw scores, and what they say of the same scores as evidence.

    python bench/raw_scores.py data/cxr/anchors/jrzech_preds.csv data/cxr/anchors/Data_Entry_2017_v2020.csv.gz

The first file is ``preds.csv`` of github.com/jrzech/reproduce-chexnet (a DenseNet121 trained on NIH ChestX-ray14, with its
scores for NIH's test films), the second NIH's own table of labels. Calibration and operating points are chosen on a random
half of the patients; every number printed is of the other half, but for the first table, which is of all films.
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

import numpy as np

from hilum import calibrate
from hilum.evaluation.metrics import auroc
from hilum.levels import LEVELS, level

SEED = 1


def read(scores_path: str, labels_path: str) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return the findings, scores N×K (0–1), labels N×K (1, 0) and each film's patient."""
    with gzip.open(labels_path, "rt", newline="") as lines:
        known = {row["Image Index"]: row for row in csv.DictReader(lines)}
    with Path(scores_path).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = [name for name in rows[0] if name.startswith("prob_") and name != "prob_Hernia"]
    findings = [name.removeprefix("prob_") for name in names]
    scores = np.array([[float(row[name]) for name in names] for row in rows])
    labels = [known[row["Image Index"]]["Finding Labels"].split("|") for row in rows]
    patients = np.array([known[row["Image Index"]]["Patient ID"] for row in rows])
    return findings, scores, np.array([[name in one for name in findings] for one in labels]), patients


def bands(confidences: np.ndarray, labels: np.ndarray) -> None:
    """Print what each level holds, by the film's top finding; confidences N×K, 0–100."""
    top = confidences.argmax(axis=1)
    levels = np.array([level(float(value)) for value in confidences.max(axis=1)])
    right = labels[np.arange(len(top)), top]
    print("| level | films | mean confidence | with any finding | with the leading finding |\n|---|---|---|---|---|")
    for _, name, _ in LEVELS:
        inside = levels == name
        cells = (
            f"{inside.mean():.1%}",
            f"{confidences[inside].max(axis=1).mean():.0f}",
            f"{labels[inside].any(axis=1).mean():.0%}",
            f"{right[inside].mean():.0%}",
        )
        print(f"| {name} | {' | '.join(cells)} |")


def main(scores_path: str, labels_path: str) -> None:
    """Print both tables and the sensitivities."""
    findings, scores, labels, patients = read(scores_path, labels_path)
    print(f"{len(scores):,} films, {len(findings)} findings (Hernia left out: too few)")
    print(
        f"mean AUROC {np.mean([auroc(scores[:, k], labels[:, k]) for k in range(len(findings))]):.3f}\n\nRaw scores × 100:\n"
    )
    bands(100 * scores, labels)
    at_half = [(scores[labels[:, k], k] >= 0.5).mean() for k in range(len(findings))]
    print(f"\nCut at 0.5: mean sensitivity {np.mean(at_half):.3f}")
    drawn = np.random.default_rng(SEED).permutation(np.unique(patients))
    first = np.isin(patients, drawn[: len(drawn) // 2])
    logits = np.log(scores / (1 - scores))
    confidences = np.empty((int((~first).sum()), len(findings)))
    quality = []
    for k in range(len(findings)):
        fitted = calibrate.fit_platt(logits[first, k], labels[first, k])
        chosen = calibrate.confidence(calibrate.evidence(logits[first, k], fitted))
        confidences[:, k] = calibrate.confidence(calibrate.evidence(logits[~first, k], fitted))
        cut = calibrate.choose_operating_points(chosen, labels[first, k])["youden"].threshold
        truth, above = labels[~first, k], confidences[:, k] >= cut
        quality.append((above[truth].mean(), (~above[~truth]).mean()))
    sensitivity, specificity = np.mean(quality, axis=0)
    print(f"Cut at each finding's operating point: mean sensitivity {sensitivity:.2f}, specificity {specificity:.2f}")
    print("\nConfidences from evidence:\n")
    bands(confidences, labels[~first])


if __name__ == "__main__":
    main(*sys.argv[1:])
