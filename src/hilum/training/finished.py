"""A training's folder, read back."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from hilum.errors import ConfigError
from hilum.training.config import TrainingConfig, config_from_dict
from hilum.training.fit import CHECKPOINT
from hilum.training.networks import BUILDERS, Network


def load_run(folder: Path) -> tuple[TrainingConfig, Network]:
    """Return a training's configuration and its averaged network, as far as it got. Raises ``ConfigError`` if there is none."""
    if not (folder / CHECKPOINT).is_file():
        raise ConfigError("There is no training in the folder given. Expected config.json and checkpoint.pt.")
    config = config_from_dict(json.loads((folder / "config.json").read_bytes()))
    network = BUILDERS[config.network.architecture](len(config.network.trained_outputs))
    network.load_state_dict(torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["averaged"])
    return config, network.eval()
