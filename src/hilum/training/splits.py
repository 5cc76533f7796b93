"""One table of films as the three sides of a training, no patient on two of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hilum.datasets.layouts import open_table
from hilum.datasets.split import read_patients
from hilum.datasets.table import Table
from hilum.errors import ConfigError
from hilum.training.config import Data


@dataclass(frozen=True, slots=True)
class Splits:
    """The tables of one training, no patient in two of them."""

    training: Table
    validation: Table
    holdout: Table


def split_table(data: Data) -> Splits:
    """Read the table and split it by patient; only films of the configured sources and sizes stay.

    Raises ``ConfigError`` where hold-out and validation share patients.
    """
    everything = open_table(data.table, root=data.root)
    judged = everything.where(
        lambda row: row.source in data.sources and (row.original_width or 0) >= data.min_original_width
    )
    holdout, validation = read_patients(data.holdout), read_patients(data.validation)
    if both := holdout & validation:
        raise ConfigError(f"{len(both)} patients stand in the hold-out and in the validation split. Expected none.")
    more = everything.where(lambda row: row.source in data.training_only and row.source not in data.sources)
    training = replace(everything, rows=judged.rows + more.rows)
    return Splits(
        training.without_patients(holdout | validation), judged.of_patients(validation), judged.of_patients(holdout)
    )
