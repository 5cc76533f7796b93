"""A bundle calibrated anew on somebody's own films: the weights stay, evidence and operating points become those of the films."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hilum import calibrate
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError, Incompatible
from hilum.evaluation.record import fingerprint
from hilum.images import read_image
from hilum.pipeline import Engine, admit, score
from hilum.records import Array, CalibratedOn, Manifest, Output
from hilum.registry import Bundle

LEAST = 10
"""Patients with, and patients without, a finding that its calibration needs."""
UNCALIBRATED = "uncalibrated:"
"""How the warning of a model that nobody calibrated begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """What one network gave for the films that the gate accepted: N×K, in the manifest's order."""

    values: Array
    rows: tuple[Row, ...]

    @property
    def patients(self) -> tuple[str, ...]:
        return tuple(row.patient for row in self.rows)


def score_logits(engine: Engine, table: Table, rows: Iterable[Row] | None = None) -> Logits:
    """Score a table's films by the one member of an engine. ``rows``: the table's, perhaps behind a progress bar.

    Raises ``InputError`` for a film that can't be read, ``DatasetError`` where the gate refuses every film.
    """
    (member,) = engine.members
    kept, logits = [], []
    for row in rows or table.rows:
        seen = admit(read_image(table.root / row.image), engine)
        if seen.verdict.accepted:
            kept.append(row)
            logits.append((seen.scored.get(member.name) or score(seen.film, member)).logits)
    if not kept:
        raise DatasetError("The gate refused every film. Expected frontal chest radiographs.")
    return Logits(np.stack(logits), tuple(kept))


def recalibrate(
    bundle: Bundle,
    scored: Logits,
    version: str,
    prevalence: Mapping[str, float] | None = None,
    command: str | None = None,
) -> Manifest:
    """Return the bundle's manifest with calibration and operating points fitted on these films.

    An output that too few patients have, or lack, keeps what it had. ``prevalence``: finding → 0–1, the new reference. Raises
    ``DatasetError`` where no output can be calibrated, ``Incompatible`` for the version that there is.
    """
    old = bundle.manifest
    if version == old.version:
        raise Incompatible(f"The bundle's version is {version} already. Expected another for another calibration.")
    outputs = tuple(
        _fit(output, scored.values[:, column], _labels(scored.rows, output.name), scored.patients)
        for column, output in enumerate(old.outputs)
    )
    fitted = tuple(new.name for new, was in zip(outputs, old.outputs, strict=True) if new is not was)
    if not fitted:
        raise DatasetError(
            f"No output can be calibrated. Expected at least {LEAST} patients with and {LEAST} without a finding that the "
            f"model assesses, such as {', '.join(old.assessed[:3])}."
        )
    shares = prevalence or {}
    calibrated = all(output.calibration is not None for output in outputs if output.assessed)
    return replace(
        old,
        version=version,
        outputs=tuple(replace(one, prevalence=shares.get(one.name, one.prevalence)) for one in outputs),
        warnings=tuple(text for text in old.warnings if not (calibrated and text.startswith(UNCALIBRATED))),
        calibrated_on=CalibratedOn(
            outputs=fitted,
            films=len(scored.rows),
            patients=len(set(scored.patients)),
            films_sha256=fingerprint(scored.rows),
            base_sha256=bundle.sha256,
            base_version=old.version,
            command=command,
        ),
    )


def _labels(rows: Sequence[Row], name: str) -> Array:
    return np.array([np.nan if (label := row.label(name)) is None else label for row in rows], dtype=np.float32)


def _fit(output: Output, logits: Array, labels: Array, patients: Sequence[str]) -> Output:
    """Return the output calibrated on these films, or the very same where they are too few or nobody may use it."""
    owners = np.asarray(patients, dtype=object)
    few = any(len(set(owners[labels == label].tolist())) < LEAST for label in (0, 1))
    if few or not output.assessed:
        return output
    known = (labels == 0) | (labels == 1)
    logits, labels = logits[known], labels[known]
    fitted = calibrate.fit_platt(logits, labels)
    confidences = calibrate.confidence(calibrate.evidence(logits, fitted))
    return replace(output, calibration=fitted, operating_points=calibrate.choose_operating_points(confidences, labels))


def next_version(version: str) -> str:
    """Return a version with its last number one higher: 1.0.0 → 1.0.1; one that ends in no number gets ``.1``."""
    head, _, last = version.rpartition(".")
    if not last.isdigit():
        return f"{version}.1"
    return f"{head}.{int(last) + 1}" if head else str(int(last) + 1)
