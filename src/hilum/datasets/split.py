"""Splits by patient, stratified over the findings, reproducible, kept in a file."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np

from hilum.datasets.table import Table
from hilum.errors import DatasetError
from hilum.findings import OUTPUTS


def split_patients(table: Table, fraction: float, seed: int) -> frozenset[str]:
    """Choose about ``fraction`` of the patients so that each finding keeps its share.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) over patients: the rarest finding's patients are dealt first.
    """
    if not 0 < fraction < 1:
        raise DatasetError(f"The fraction of patients to split off is {fraction:g}. Expected a number between 0 and 1.")
    patients = table.patients
    positive = _positive_patients(table, patients)
    order = np.random.default_rng(seed).permutation(len(patients))
    wanted = positive.sum(axis=0) * fraction
    room = len(patients) * fraction
    taken: list[int] = []
    free = np.ones(len(patients), dtype=bool)
    for finding in np.argsort(positive.sum(axis=0)):
        for index in order[positive[order, finding] & free[order]]:
            free[index] = False
            if wanted[finding] >= 0.5:
                taken.append(int(index))
                wanted -= positive[index]
    left = [int(index) for index in order if free[index]]
    taken += left[: max(0, round(room - len(taken)))]
    return frozenset(patients[index] for index in taken)


def _positive_patients(table: Table, patients: tuple[str, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return patients × outputs: does any of the patient's films show it?"""
    number = {patient: index for index, patient in enumerate(patients)}
    positive = np.zeros((len(patients), len(OUTPUTS)), dtype=bool)
    for row in table.rows:
        for column, name in enumerate(OUTPUTS):
            positive[number[row.patient], column] |= row.label(name) == 1
    return positive


def write_patients(path: Path, patients: Collection[str]) -> None:
    """Write a split: a CSV with the one column ``patient_id``, sorted."""
    lines = "\n".join(["patient_id", *sorted(patients)])
    path.write_text(lines + "\n", encoding="utf-8")


def read_patients(path: Path) -> frozenset[str]:
    """Read a split that ``write_patients`` wrote. Raises ``DatasetError`` if it is not one."""
    if not path.is_file():
        raise DatasetError("The split file does not exist. Expected a CSV file with the column patient_id.")
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if "patient_id" not in (reader.fieldnames or []):
            raise DatasetError("The split file has no column patient_id.")
        return frozenset(row["patient_id"] for row in reader)
