"""Splits by patient, stratified over the findings, reproducible, kept in a file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from hilum.datasets.cells import open_csv, read_name
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


def split_folds(table: Table, k: int, seed: int) -> tuple[frozenset[str], ...]:
    """Deal all patients into ``k`` folds so that each finding's patients, and all patients, are spread evenly.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) over patients: of the findings that are left, the rarest one's
    patients are dealt first, each to the fold that lacks most of that finding, then to the one that lacks most patients. The same
    table, ``k`` and ``seed`` give the same folds. Raises ``DatasetError`` for fewer than two folds or fewer patients than folds.
    """
    patients = table.patients
    if not 2 <= k <= len(patients):
        raise DatasetError(
            f"{len(patients)} patients can't be dealt into {k} folds. Expected at least 2 folds of a patient each."
        )
    positive = _positive_patients(table, patients)
    order = np.random.default_rng(seed).permutation(len(patients))
    wanted = np.tile(positive.sum(axis=0) / k, (k, 1))
    room = np.full(k, len(patients) / k)
    fold_of = np.full(len(patients), -1)
    while (free := order[fold_of[order] < 0]).size:
        left = positive[free].sum(axis=0)
        finding = int(np.where(left > 0, left, len(patients) + 1).argmin())
        for index in free[positive[free, finding]] if left.any() else free:
            lacking = wanted[:, finding] if left.any() else room
            fold = int(np.lexsort((room, lacking))[-1])
            fold_of[index] = fold
            wanted[fold] -= positive[index]
            room[fold] -= 1
    return tuple(frozenset(patients[index] for index in np.flatnonzero(fold_of == fold)) for fold in range(k))


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
    with open_csv(path, ("patient_id",), "split file") as (_, lines):
        return frozenset(
            read_name(cells["patient_id"], line, "patient_id") for line, cells in enumerate(lines, start=2)
        )
