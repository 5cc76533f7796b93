"""Random networks that see a difference between films: what random weights alone give is nearly the same for every film."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn


def pictures(count: int, channels: int, side: int, seed: int = 0) -> np.ndarray:
    """Return smooth pictures of different brightness and contrast, float32, N×C×side×side, about −2 to 2."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    waves = [
        np.sin(rng.uniform(2, 20) * y + rng.uniform(2, 20) * x + rng.uniform(0, 6)) for _ in range(count * channels)
    ]
    films = np.stack(waves).reshape(count, channels, side, side) * rng.uniform(0.2, 1.5, (count, 1, 1, 1))
    return np.asarray(films + rng.normal(0, 0.5, (count, 1, 1, 1)), dtype=np.float32)


@torch.no_grad()
def settle(network: Any, films: np.ndarray) -> Any:
    """Give batch norms uneven weights and the statistics of these films, as a training would, and return the network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            module.reset_running_stats()
            module.momentum = None
    network.train()
    network(torch.from_numpy(films))
    return network.eval()
