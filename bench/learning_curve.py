"""How AUROC grows with the number of training films: what more data would carry.

    python bench/learning_curve.py examples/train_default/mobilenetv2-short.toml runs/learning-curve

The same training on a random sixteenth, eighth, quarter and half of the training patients, and on all of them, smaller shares
within larger ones. A smaller share is gone through oftener, since the same number of epochs would leave it few steps, though not so
often that it takes as many steps as all. Every training is judged on the same patients, of whom none trained: those for validation
and those held out, together. Intervals are over patients, by bootstrap. A training that was interrupted goes on.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilum.evaluation.judge import judge_predictions
from hilum.training.config import TrainingConfig, read_config
from hilum.training.judged import judge_table
from hilum.training.run import train
from hilum.training.splits import split_table
from trainings import asked, judging_films, text

SHARES = {16: 4.0, 8: 3.5, 4: 2.5, 2: 1.5, 1: 1.0}
"""One in so many patients → so many times the epochs of the whole training."""


def of_patients(config: TrainingConfig, patients: frozenset[str], folder: Path) -> TrainingConfig:
    """Return the experiment on the films of some patients, and of those that judge."""
    splits = split_table(config.data)
    kept = {*patients, *splits.validation.patients, *splits.holdout.patients}
    folder.mkdir(parents=True, exist_ok=True)
    with config.data.table.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        own = [row for row in rows if row["patient_id"] in kept]
    part = folder / "labels.csv"
    with part.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, rows.fieldnames or ())
        writer.writeheader()
        writer.writerows(own)
    return replace(config, data=replace(config.data, table=part, root=config.data.root or config.data.table.parent))


def with_epochs(config: TrainingConfig, times: float) -> TrainingConfig:
    """Return the experiment with so many times its epochs."""
    phases = tuple(replace(phase, epochs=round(times * phase.epochs)) for phase in config.fit.phases)
    return replace(config, fit=replace(config.fit, phases=phases))


def main(path: Path, place: Path) -> None:
    """Train what is not there yet, and print the curve and what a doubling carried."""
    config = read_config(path)
    splits, outputs = split_table(config.data), config.network.outputs
    films = judging_films(splits)
    everyone = np.random.default_rng(config.fit.seed).permutation(sorted(splits.training.patients)).tolist()
    counts, means = [], []
    print("| patients | films | epochs | mean AUROC |")
    print("|---|---|---|---|")
    for share, times in SHARES.items():
        folder = (place / f"one-in-{share}").absolute()
        own = frozenset(everyone[: len(everyone) // share])
        experiment = with_epochs(of_patients(config, own, folder), times)
        network = train(experiment, folder / "run")
        seen = judge_table(config, network, films)
        judged = judge_predictions(seen.logits, seen.labels, seen.patients, outputs)
        if judged.mean_auroc is None:
            raise SystemExit("No finding could be judged.")
        count = len(split_table(experiment.data).training.rows)
        counts.append(count)
        means.append(judged.mean_auroc.value)
        epochs = sum(phase.epochs for phase in experiment.fit.phases)
        print(f"| {len(own):,} | {count:,} | {epochs} | {text(judged.mean_auroc)} |", flush=True)
    slope, _ = np.polyfit(np.log2(counts[-3:]), means[-3:], 1)
    print(f"\nOver the last two doublings, each carried {slope:+.3f}.")


if __name__ == "__main__":
    main(*asked(__doc__))
