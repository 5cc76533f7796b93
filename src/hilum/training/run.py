"""One training from configuration to bundle."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hilum.datasets.films import Bytes, load_films, quantise
from hilum.datasets.leaks import find_leaks, refuse_leaks
from hilum.errors import ConfigError
from hilum.evaluation.metrics import auroc
from hilum.normalise import resample
from hilum.records import Array, InputSpec
from hilum.training.config import TrainingConfig, config_to_json
from hilum.training.finished import load_run
from hilum.training.fit import CHECKPOINT, Films, Run, fit_network, predict, to_input
from hilum.training.initial import build_network, first_experiment
from hilum.training.networks import BUILDERS, Network
from hilum.training.splits import split_table

log = logging.getLogger(__name__)

INPUT_SIZE = 224
SOFT_LABELS = "soft_labels.npy"
PRETRAINING = "pretraining"
"""Folder, inside the training's, of its pre-training: a training of its own."""
SCALING = {
    # As each architecture's public weights take it: -1 to 1, and EfficientNet-Lite's (x - 127) / 128.
    "DenseNet121": (255.0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "MobileNetV2": (255.0, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "HilumCNN": (255.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    "EfficientNet-Lite0": (255.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
}


def input_spec(architecture: str, size: int = INPUT_SIZE) -> InputSpec:
    """Return what a network of this architecture takes."""
    scale, mean, std = SCALING[architecture]
    return InputSpec(size, size, 3, scale, mean, std)


def train(config: TrainingConfig, folder: Path) -> Network:
    """Train to the end, going on from ``folder``'s checkpoint if there is one; return the averaged network.

    Saves the resolved configuration, checkpoints and history in ``folder``. Raises ``DatasetError`` if a patient or film stands on
    both sides of a split, ``ConfigError`` if the folder holds a training of another configuration.
    """
    _claim(folder, config_to_json(config))
    earlier = (
        None
        if config.pretraining is None
        else train(first_experiment(config, config.pretraining), folder / PRETRAINING)
    )
    torch.set_num_threads(config.fit.threads)
    torch.manual_seed(config.fit.seed)
    splits = split_table(config.data)
    films = load_films(splits.training, config.data.film_size)
    checked = load_films(splits.validation, config.data.film_size)
    refuse_leaks(find_leaks(splits.training, films, splits.validation, checked))
    held = load_films(splits.holdout, config.data.film_size)
    refuse_leaks(find_leaks(splits.training, films, splits.holdout, held))
    spec = input_spec(config.network.architecture)
    log.info("training on %d films of %d patients", len(films), len(splits.training.patients))
    sample = to_input(torch.from_numpy(shrink(films[:64], INPUT_SIZE)).float() / 255, spec)
    network = build_network(config.network, sample)
    if earlier is not None:
        network.load_state_dict(earlier.state_dict())
    outputs = config.network.trained_outputs
    run = Run(network, BUILDERS[config.network.architecture](len(outputs)), config.fit)
    if (folder / CHECKPOINT).exists():
        run.load(folder / CHECKPOINT)
    labelled = Films(films, splits.training.labels(outputs), *_soft_labels(config, films, folder))
    judge = _judge(checked, splits.validation.labels(outputs), spec)
    fit_network(run, labelled, spec, config.fit, config.augmentation, folder, judge)
    return run.averaged


def _claim(folder: Path, resolved: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    saved = folder / "config.json"
    if saved.exists() and saved.read_bytes() != resolved:
        raise ConfigError(
            "The output folder holds a training of another configuration. Expected a new folder or the same configuration."
        )
    saved.write_bytes(resolved)


def _soft_labels(config: TrainingConfig, films: Bytes, folder: Path) -> tuple[Array | None, float]:
    """Return the teachers' mean scores, N×K with NaN for an output that none of them has, and their weight.

    They take minutes, so they are kept in ``folder`` for a training that goes on.
    """
    if config.distillation is None:
        return None, 0.0
    kept = folder / SOFT_LABELS
    if not kept.exists():
        outputs = config.network.trained_outputs
        scores = np.stack([_teacher_scores(run, films, outputs) for run in config.distillation.runs])
        known = (~np.isnan(scores)).sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean = np.nansum(scores, axis=0) / known
        partial = kept.with_suffix(".partial.npy")
        np.save(partial, mean.astype(np.float32))
        partial.replace(kept)
    return np.load(kept), config.distillation.weight


def _teacher_scores(run: Path, films: Bytes, outputs: tuple[str, ...]) -> Array:
    teacher, network = load_run(run)
    logits = predict(network, shrink(films, INPUT_SIZE), input_spec(teacher.network.architecture))
    column = {name: index for index, name in enumerate(teacher.network.trained_outputs)}
    scores = np.full((len(films), len(outputs)), np.nan, dtype=np.float32)
    for index, name in enumerate(outputs):
        if name in column:
            scores[:, index] = 1 / (1 + np.exp(-logits[:, column[name]]))
    return scores


def shrink(films: Bytes, size: int) -> Bytes:
    """Resample N×H×W films to size × size by the same function as serving."""
    spec = InputSpec(size, size, 1, 1.0, (0.0,), (1.0,))
    return np.stack([quantise(resample(film.astype(np.float32) / 255, spec)) for film in films])


def _judge(films: Bytes, labels: Array, spec: InputSpec) -> Callable[[Network, int], dict[str, float]]:
    def judge(network: Network, size: int) -> dict[str, float]:
        logits = predict(network, shrink(films, size), replace(spec, height=size, width=size))
        return {"validation_auroc": round(mean_auroc(logits, labels), 4)}

    return judge


def mean_auroc(logits: Array, labels: Array) -> float:
    """Return the mean AUROC over the outputs that have known positives and negatives."""
    values = []
    for scores, truth in zip(logits.T, labels.T, strict=True):
        known = ~np.isnan(truth)
        if 0 < truth[known].sum() < known.sum():
            values.append(auroc(scores[known], truth[known]))
    return float(np.mean(values))
