"""One table of films as the three sides of a training, no patient on two of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from hilum.datasets.labels import settle_labels
from hilum.datasets.layouts import open_table
from hilum.datasets.split import read_patients
from hilum.datasets.table import Row, Table
from hilum.errors import ConfigError
from hilum.training.config import OFFICIAL, Data

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Splits:
    """The tables of one training, no patient in two of them."""

    training: Table
    validation: Table
    holdout: Table


def split_table(data: Data) -> Splits:
    """Read the table and split it by patient; only films of the configured sources, views and sizes stay.

    Uncertain labels are decided for the training films only. Without ``data.validation`` that side is empty, and everything but the
    hold-out trains. Raises ``ConfigError`` where hold-out and validation share patients, or where the data set has no official
    split and one is asked for.
    """
    everything = open_table(data.table, data.layout, unmentioned=data.unmentioned, root=data.root)
    if everything.absent:
        log.warning("%d films that the data set lists are not there", everything.absent)
    holdout, validation = (
        _patients(everything, data.holdout, "test"),
        _patients(everything, data.validation, "validation"),
    )
    if both := holdout & validation:
        raise ConfigError(f"{len(both)} patients stand in the hold-out and in the validation split. Expected none.")
    frontal = everything.where(lambda row: row.view in data.views)
    judged = frontal.where(lambda row: is_judged(row, data) and (row.original_width or 0) >= data.min_original_width)
    more = frontal.where(lambda row: row.source in data.training_only and row.source not in data.sources)
    training = replace(everything, rows=judged.rows + more.rows).without_patients(holdout | validation)
    return Splits(settle_labels(training, data.uncertain), judged.of_patients(validation), judged.of_patients(holdout))


def is_judged(row: Row, data: Data) -> bool:
    """May a film calibrate and judge, and not only train?"""
    return row.source in data.sources if data.sources else row.source not in data.training_only


def _patients(table: Table, chosen: Path | None, split: str) -> frozenset[str]:
    """Return the patients of a file, or those whom the publisher put into a split; nobody where none is chosen."""
    if chosen is None:
        return frozenset()
    if chosen != OFFICIAL:
        return read_patients(chosen)
    patients = frozenset(row.patient for row in table.rows if row.split == split)
    if not patients:
        raise ConfigError(
            f"The data set has no official {split} patients. Expected a file of patients: make one by hilum datasets split."
        )
    return patients
