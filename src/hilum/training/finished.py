"""A training's folder, read back."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from hilum.errors import ConfigError
from hilum.training.architecture import new_network
from hilum.training.checkpoint import CHECKPOINT
from hilum.training.config import TrainingConfig, config_from_dict
from hilum.training.networks import Network


def load_run(folder: Path) -> tuple[TrainingConfig, Network]:
    """Return a training's configuration and its averaged network, as far as it got. Raises ``ConfigError`` if there is none."""
    config = read_run_config(folder)
    network = new_network(config.network.architecture, len(config.network.trained_outputs))
    network.load_state_dict(torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["averaged"])
    return config, network.eval()


def read_run_config(folder: Path) -> TrainingConfig:
    """Return a training's resolved configuration. Raises ``ConfigError`` if there is no training."""
    if not (folder / CHECKPOINT).is_file():
        raise ConfigError("There is no training in the folder given. Expected config.json and checkpoint.pt.")
    return config_from_dict(json.loads((folder / "config.json").read_bytes()))
