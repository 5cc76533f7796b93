"""What the scripts that train a short schedule again and again share: arguments, the films that judge, how a figure is written."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from hilum.datasets.table import Table
from hilum.records import Interval
from hilum.training.splits import Splits


def asked(description: str | None) -> tuple[Path, Path]:
    """Return the configuration and the folder for the trainings that the command line names; let trainings say how they go."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="a training, a TOML file")
    parser.add_argument("place", type=Path, help="folder for the trainings")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return given.config, given.place


def judging_films(splits: Splits) -> Table:
    """Return the films of all patients who don't train: those for validation and those held out, together."""
    return replace(splits.validation, rows=splits.validation.rows + splits.holdout.rows)


def text(figure: Interval) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f})"
