"""What several measurements begin with: the films that the command line names, scored."""

from __future__ import annotations

import argparse
from pathlib import Path

from hilum.cli.labelled import score_patients
from hilum.evaluation.scoring import Scores
from hilum.pipeline import open_engine


def scores_asked_for(about: str) -> Scores:
    """Parse the command line and score its films. ``about``: what ``--help`` says."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="labelled films")
    parser.add_argument("--patients", type=Path, help="only these, a CSV with the column patient_id")
    parser.add_argument("--models", type=Path, help="folder of bundles; those that ship by default")
    parser.add_argument("--min-original-width", type=int, default=0, help="leave out films made from smaller originals")
    given = parser.parse_args()
    return score_patients(open_engine(given.models), given.data, given.patients, given.min_original_width)
