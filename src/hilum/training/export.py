"""A finished training as a bundle: calibrated, judged on held-out patients, and told what it was trained on."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilum import calibrate
from hilum.datasets.films import Bytes, load_films
from hilum.datasets.table import Table
from hilum.errors import Incompatible
from hilum.evaluation.card import model_card
from hilum.evaluation.judge import judge_predictions
from hilum.graph import with_float16_weights
from hilum.normalise import scale_pixels
from hilum.records import InputSpec, Interval, Manifest, Output, TrainedOn
from hilum.registry import MANIFEST_SCHEMA, Bundle, save_bundle
from hilum.runtime import open_session
from hilum.training.architecture import INPUT_SIZE, input_spec
from hilum.training.config import TrainingConfig
from hilum.training.finished import load_run
from hilum.training.initial import pretraining
from hilum.training.judged import Judged, judge_table
from hilum.training.networks import Network
from hilum.training.predict import predict
from hilum.training.soft_labels import teachers
from hilum.training.splits import split_table
from hilum.training.to_onnx import network_to_onnx

GOLDEN_FILMS = 2
EXPORT_TOLERANCE, EXPORT_SHARE = 0.05, 0.01
"""Largest difference of a logit that storing the weights as float16 may make: that, and this share of the logit."""


def export(run: Path, out: Path, command: str, out_of_fold: Judged | None = None) -> Bundle:
    """Write the bundle of the training in ``run`` into the folder ``out`` / its id, and return it.

    Calibration and operating points come from the validation patients, or from the out-of-fold predictions of a
    cross-validation; AUROC with intervals from the held-out patients.
    """
    config, network = load_run(run)
    splits = split_table(config.data)
    validation = out_of_fold or judge_table(config, network, splits.validation)
    holdout = judge_table(config, network, splits.holdout)
    outputs, mean = _outputs(config, splits.training, validation, holdout)
    graph = with_float16_weights(network_to_onnx(network, len(config.network.outputs), INPUT_SIZE))
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        id=config.bundle.id,
        version=config.bundle.version,
        architecture=config.network.architecture,
        slot=config.network.slot,
        trained_on=_trained_on(config, splits.training, command),
        input=input_spec(config.network.architecture),
        outputs=outputs,
        files={},
        figures={} if mean is None else {"mean_auroc": mean},
    )
    films = load_films(
        _first(splits.validation if splits.validation.rows else splits.training, GOLDEN_FILMS), INPUT_SIZE
    )
    files = {
        "model.onnx": graph,
        "golden.npz": _golden(graph, network, films, manifest.input, len(manifest.outputs)),
        "card.md": model_card(manifest).encode(),
    }
    return save_bundle(out / manifest.id, manifest, files)


def _first(table: Table, count: int) -> Table:
    return replace(table, rows=table.rows[:count])


def _outputs(
    config: TrainingConfig, training: Table, validation: Judged, holdout: Judged
) -> tuple[tuple[Output, ...], Interval | None]:
    names = config.network.outputs
    positives = [len({row.patient for row in training.rows if row.label(name) == 1}) for name in names]
    assessed = [count >= config.min_positive_patients for count in positives]
    chosen = [index for index, use in enumerate(assessed) if use]
    judged = judge_predictions(
        holdout.logits[:, chosen], holdout.labels[:, chosen], holdout.patients, tuple(names[index] for index in chosen)
    )
    outputs = tuple(
        _assessed(name, count, config.prevalence.get(name), validation, index, judged.auroc.get(name))
        if use
        else Output(name, False, _too_few(count, config.min_positive_patients), count)
        for index, (name, count, use) in enumerate(zip(names, positives, assessed, strict=True))
    )
    return outputs, judged.mean_auroc


def _too_few(count: int, needed: int) -> str:
    return f"trained on {count} positive patients; {needed} are needed"


def _assessed(
    name: str, positives: int, prevalence: float | None, validation: Judged, index: int, auroc: Interval | None
) -> Output:
    known = ~np.isnan(validation.labels[:, index])
    logits, labels = validation.logits[known, index], validation.labels[known, index]
    calibration = calibrate.fit_platt(logits, labels)
    confidences = calibrate.confidence(calibrate.evidence(logits, calibration))
    points = calibrate.choose_operating_points(confidences, labels)
    return Output(name, True, None, positives, calibration, prevalence, points, auroc)


def _trained_on(config: TrainingConfig, training: Table, command: str) -> TrainedOn:
    return TrainedOn(
        dataset=config.trained_on.dataset,
        images=len(training.rows),
        patients=len(training.patients),
        image_licence=config.trained_on.image_licence,
        label_licence=config.trained_on.label_licence,
        label_sources=tuple(sorted({part for row in training.rows for part in row.label_source.split("+") if part})),
        citation=config.trained_on.citation,
        pretraining=pretraining(config),
        teachers=teachers(config.distillation),
        commit=_commit(),
        command=command,
    )


def _commit() -> str | None:
    """Return the commit that the working folder stands at, or None outside a repository."""
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()


def _golden(graph: bytes, network: Network, films: Bytes, spec: InputSpec, outputs: int) -> bytes:
    """Return an .npz of a few films and the logits that the graph gives for them, after comparing it with the network."""
    inputs = scale_pixels(films.astype(np.float32) / np.float32(255), spec)
    (logits,) = open_session(graph).evaluate(np.ascontiguousarray(inputs), "logits")
    trained = predict(network, films, spec)[:, :outputs]
    if not np.allclose(logits, trained, rtol=EXPORT_SHARE, atol=EXPORT_TOLERANCE):
        difference = float(np.abs(logits - trained).max())
        raise Incompatible(
            f"The exported graph's logits differ from the network's by {difference:g}; at most {EXPORT_TOLERANCE:g} and "
            f"{EXPORT_SHARE:.0%} of a logit is float16's."
        )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=films, logits=logits)
    return buffer.getvalue()
