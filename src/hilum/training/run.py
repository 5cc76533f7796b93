"""One training from configuration to bundle."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hilum.datasets.films import Bytes, load_films
from hilum.datasets.leaks import find_leaks, refuse_leaks
from hilum.errors import ConfigError
from hilum.records import Array, InputSpec
from hilum.training.architecture import INPUT_SIZE, input_spec, new_network
from hilum.training.boxes import box_masks
from hilum.training.checkpoint import CHECKPOINT, Run
from hilum.training.config import TrainingConfig, config_from_dict, config_to_json
from hilum.training.fit import FIGURE, Films, Judge, fit_network
from hilum.training.frozen import film_features
from hilum.training.initial import build_network, first_experiment
from hilum.training.judged import Load
from hilum.training.networks import Network
from hilum.training.predict import mean_auroc, predict, shrink, to_input
from hilum.training.soft_labels import soft_labels
from hilum.training.splits import split_table
from hilum.training.timm_trunk import TimmTrunk
from hilum.training.to_onnx import network_to_onnx
from hilum.training.workers import ALONE, Worker

log = logging.getLogger(__name__)

PRETRAINING = "pretraining"
"""Folder, inside the training's, of its pre-training: a training of its own."""


def train(config: TrainingConfig, folder: Path, worker: Worker = ALONE, load: Load = load_films) -> Network:
    """Train to the end, going on from ``folder``'s checkpoint if there is one; return the averaged network.

    Saves the resolved configuration, checkpoints and history in ``folder``. Raises ``DatasetError`` if a patient or film stands on
    both sides of a split, ``ConfigError`` if the folder holds a training of another configuration, ``Incompatible`` for a timm
    network that can't be written as a graph.
    """
    if worker.leads:
        claim(folder, config)
    worker.wait()
    earlier = (
        None
        if config.pretraining is None
        else train(first_experiment(config, config.pretraining), folder / PRETRAINING, worker)
    )
    torch.set_num_threads(config.fit.threads)
    torch.manual_seed(config.fit.seed)
    splits = split_table(config.data)
    films = load(splits.training, config.data.film_size)
    checked = load(splits.validation, config.data.film_size)
    if splits.validation.rows:
        refuse_leaks(find_leaks(splits.training, films, splits.validation, checked))
    held = load(splits.holdout, config.data.film_size)
    refuse_leaks(find_leaks(splits.training, films, splits.holdout, held))
    spec = input_spec(config.network.architecture)
    if worker.leads:
        log.info("training on %d films of %d patients", len(films), len(splits.training.patients))
    sample = to_input(torch.from_numpy(shrink(films[:64], INPUT_SIZE)).float() / 255, spec)
    network = build_network(config.network, sample)
    if earlier is not None:
        network.load_state_dict(earlier.state_dict())
    if isinstance(network.trunk, TimmTrunk) and worker.leads and not (folder / CHECKPOINT).exists():
        network_to_onnx(network, len(config.network.outputs), INPUT_SIZE)  # refused now rather than after the training
    outputs = config.network.trained_outputs
    averaged = new_network(config.network.architecture, len(outputs))
    run = Run(network, averaged, config.fit, config.network.trainable, worker.device)
    if (folder / CHECKPOINT).exists():
        run.load(folder / CHECKPOINT)
    labelled = Films(
        films,
        splits.training.labels(outputs),
        soft_labels(config, splits.training, films, folder, worker),
        config.distillation.weight if config.distillation else 0.0,
        None if config.boxes is None else box_masks(config.boxes.table, splits.training, outputs),
        config.boxes.weight if config.boxes else 0.0,
    )
    judge = _judge(checked, splits.validation.labels(outputs), spec, config.network.trainable)
    fit_network(run, labelled, spec, config.fit, config.augmentation, folder, judge, worker)
    return run.averaged


def claim(folder: Path, config: TrainingConfig) -> None:
    """Save the resolved configuration in a folder. Raises ``ConfigError`` if another one is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = folder / "config.json"
    if saved.exists() and config_from_dict(json.loads(saved.read_bytes())) != config:
        raise ConfigError(
            "The output folder holds a training of another configuration. Expected a new folder or the same configuration."
        )
    saved.write_bytes(config_to_json(config))


def _judge(films: Bytes, labels: Array, spec: InputSpec, trainable: str) -> Judge:
    """Return what gives the validation patients' figure; with a frozen trunk, their features are computed once."""
    if not len(films):
        return lambda _network, _size: {}

    kept: dict[int, Array] = {}

    def judge(network: Network, size: int) -> dict[str, Any]:
        sized = replace(spec, height=size, width=size)
        if trainable != "head":
            logits = predict(network, shrink(films, size), sized)
        else:
            if size not in kept:
                kept[size] = film_features(network, films, sized, size)
            with torch.no_grad():
                pooled = torch.from_numpy(kept[size]).to(next(network.parameters()).device)
                logits = network.head.from_pooled(pooled).cpu().numpy()
        figure = mean_auroc(logits, labels)
        return {FIGURE: None if figure is None else round(figure, 4)}

    return judge
