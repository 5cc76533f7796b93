"""A member in 8 bits: made from its weights, measured beside them on other patients, and kept only where it holds."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hilum import explain
from hilum.arrays import read_arrays
from hilum.datasets.table import Row, Table
from hilum.errors import ConfigError, DatasetError, Incompatible
from hilum.evaluation.bootstrap import Floats, patient_draws, summarise
from hilum.evaluation.judge import output_replicates
from hilum.exchange.int8 import to_int8
from hilum.graph import Head, read_head, without_weights
from hilum.images import read_image
from hilum.normalise import normalise, scale_pixels
from hilum.records import Array, InputSpec, Int8Figures, Interval, Scored
from hilum.registry import GOLDEN_INT8, MODEL_INT8, Bundle, bundle_files, replace_bundle
from hilum.runtime import Session, open_session

MAX_LOSS = 0.005
"""Of mean AUROC."""
MIN_CORRELATION = 0.9
"""Median correlation of the two precisions' heat maps."""
EXACT_CONVOLUTIONS = (0, 6)
"""So many of the first convolutions stay in float32: the first of these numbers that holds."""
SEED = 20261


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What two precisions gave for the same N films."""

    exact: Array
    """N×K: logits of float32."""
    coarse: Array
    """N×K: logits of 8 bits."""
    correlations: tuple[float, ...]
    """Of heat maps, by film and assessed output; a map that is nothing at all has none."""


def quantise(
    bundle: Bundle,
    calibration: Table,
    validation: Table,
    films: int,
    command: str | None = None,
    rows: Iterable[Row] | None = None,
) -> Bundle:
    """Write ``model.int8.onnx`` and what was measured of it into a bundle's folder, and return the bundle as loaded again.

    Ranges are measured on ``films`` films of ``calibration``, the losses on all of ``validation``, whose rows ``rows`` may be
    behind a progress bar. Raises ``Incompatible`` where 8 bits lose more than is allowed; then nothing is written. Raises
    ``ConfigError`` for a member that has to stay exact, ``DatasetError`` where there are no films or no labels to judge by.
    """
    if bundle.folder is None:
        raise ConfigError(
            f"{bundle.manifest.id} is a .h5 file, which holds no second network. Do first: hilum models import."
        )
    if bundle.appearance is not None:
        raise ConfigError(f"The gate judges pictures by the features of {bundle.manifest.id}. It stays in float32.")
    chosen = _some(calibration, films)
    spec = bundle.manifest.input
    inputs = [normalise(read_image(calibration.root / row.image), spec) for row in chosen]
    exact = open_session(bundle.model)
    for kept in EXACT_CONVOLUTIONS:
        model = to_int8(bundle.model, inputs, kept)
        coarse = open_session(model)
        measured = _measure(bundle, exact, coarse, validation, rows)
        figures = replace(_figures(bundle, measured, validation, len(chosen), command), exact_convolutions=kept)
        if (objection := _objection(figures)) is None:
            break
        rows = None  # a progress bar runs once
    else:
        raise Incompatible(objection)
    files = bundle_files(bundle) | {
        MODEL_INT8: without_weights(model, bundle.model),
        GOLDEN_INT8: _golden(bundle, spec, coarse),
    }
    return replace_bundle(bundle, bundle.folder, replace(bundle.manifest, int8=figures), files)


def _some(table: Table, count: int) -> list[Row]:
    """Return so many films, drawn without looking."""
    if not table.rows:
        raise DatasetError("No film is left to measure ranges on. Look at --validation, --holdout and --source.")
    order = np.random.default_rng(SEED).permutation(len(table.rows))
    return [table.rows[index] for index in order[:count]]


def _measure(bundle: Bundle, exact: Session, coarse: Session, table: Table, rows: Iterable[Row] | None) -> Measured:
    head = read_head(bundle.model) if "features" in exact.outputs else None
    assessed = np.array([output.assessed for output in bundle.manifest.outputs])
    logits: list[tuple[Array, Array]] = []
    correlations: list[float] = []
    for row in rows or table.rows:
        x = normalise(read_image(table.root / row.image), bundle.manifest.input)
        one, other = exact.run(x), coarse.run(x)
        logits.append((one.logits, other.logits))
        if head is not None:
            correlations += _correlations(one, other, head, assessed)
    both = np.array(logits, dtype=np.float32)
    return Measured(both[:, 0], both[:, 1], tuple(correlations))


def _correlations(one: Scored, other: Scored, head: Head, assessed: Array) -> list[float]:
    """Return how alike the heat maps of each assessed output are, where both show anything."""
    if one.features is None or other.features is None:
        return []
    maps = [
        explain.class_activation(scored.features, head)[assessed]
        for scored in (one, other)
        if scored.features is not None
    ]
    pairs = zip(*(stack.reshape(len(stack), -1) for stack in maps), strict=True)
    return [float(np.corrcoef(a, b)[0, 1]) for a, b in pairs if a.std() > 0 and b.std() > 0]


def _figures(bundle: Bundle, measured: Measured, table: Table, films: int, command: str | None) -> Int8Figures:
    names = tuple(output.name for output in bundle.manifest.outputs)
    labels = table.labels(names)
    patients = tuple(row.patient for row in table.rows)
    draws = patient_draws(patients)
    losses: dict[str, Floats] = {}
    for column, output in enumerate(bundle.manifest.outputs):
        if output.assessed:
            exact, coarse = (
                output_replicates(logits[:, column], labels[:, column], draws)
                for logits in (measured.exact, measured.coarse)
            )
            if np.isfinite(exact[0]):
                losses[output.name] = exact - coarse
    if not losses:
        raise DatasetError(
            "No output of the member has films with and without its finding among the validation patients."
        )
    return Int8Figures(
        calibration_films=films,
        films=len(table.rows),
        patients=len(set(patients)),
        mean_auroc_loss=_rounded(summarise(np.mean(list(losses.values()), axis=0))),
        auroc_loss=_first(losses),
        heatmap_correlation=round(float(np.median(measured.correlations)), 4) if measured.correlations else None,
        command=command,
    )


def _first(losses: Mapping[str, Floats]) -> dict[str, float]:
    """Return each output's loss on the films as they are."""
    return {name: round(float(values[0]), 4) for name, values in losses.items()}


def _rounded(interval: Interval) -> Interval:
    return Interval(*(round(value, 5) for value in (interval.value, interval.low, interval.high)))


def _objection(figures: Int8Figures) -> str | None:
    """Return why a member should not compute in 8 bits; None: it holds."""
    loss, correlation = figures.mean_auroc_loss, figures.heatmap_correlation
    if loss.value > MAX_LOSS:
        return (
            f"In 8 bits the mean AUROC would fall by {loss.value:.4f} ({loss.low:.4f} to {loss.high:.4f}). Expected at most "
            f"{MAX_LOSS:g}. Nothing was written: the member stays in float32."
        )
    if correlation is not None and correlation < MIN_CORRELATION:
        return (
            f"In 8 bits the heat maps' correlation with the exact ones would be {correlation:.2f}. Expected at least "
            f"{MIN_CORRELATION:g}. Nothing was written: the member stays in float32."
        )
    return None


def _golden(bundle: Bundle, spec: InputSpec, session: Session) -> bytes:
    """Return the golden answers in 8 bits, for the pixels of the exact ones or for grey noise."""
    if bundle.golden is None:
        pixels = np.random.default_rng(SEED).integers(0, 256, (2, spec.height, spec.width), dtype=np.uint8)
    else:
        (pixels,) = read_arrays(bundle.golden, "record of golden answers", "pixels")
    inputs = np.ascontiguousarray(scale_pixels(pixels.astype(np.float32) / np.float32(255), spec))
    (logits,) = session.evaluate(inputs, "logits")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=pixels, logits=logits)
    return buffer.getvalue()
