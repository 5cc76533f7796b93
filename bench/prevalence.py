"""Print each output's share of NIH ChestX-ray14's films, the reference prevalence of the recipes in examples/train_default.

    python bench/prevalence.py Data_Entry_2017_v2020.csv.gz

Opacity is no label of NIH's: a film counts that has Consolidation, Edema, Infiltration or Pneumonia.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import Counter

from hilum.findings import canonical

OPACITY = {"Consolidation", "Edema", "Infiltration", "Pneumonia"}


def main(path: str) -> None:
    """Count the labels of the publisher's file."""
    counts: Counter[str] = Counter()
    films = 0
    with gzip.open(path, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            names = {canonical(label) or label for label in row["Finding Labels"].split("|")}
            counts.update(names | ({"Opacity"} if names & OPACITY else set()))
            films += 1
    for name, count in sorted(counts.items()):
        print(f"{name:20} {count:6} / {films} = {count / films:.4f}")


if __name__ == "__main__":
    main(sys.argv[1])
