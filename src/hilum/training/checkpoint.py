"""All that a training is at one moment, and the file that it goes on from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hilum.training.config import Fit
from hilum.training.frozen import OnlyHead, freeze
from hilum.training.history import read_history
from hilum.training.networks import Network
from hilum.training.workers import CPU

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The averaged weights with the best validation figure of a phase so far."""

    figure: float
    weights: dict[str, Tensor]


class Run:
    """Everything that a checkpoint holds: network, averaged network, optimiser, the place reached and what was seen on the way.

    Random numbers are not part of it: each batch draws its own from the seed and its place.
    """

    def __init__(
        self,
        network: Network,
        averaged: Network,
        fit: Fit,
        trainable: str = "all",
        device: torch.device = CPU,
    ) -> None:
        self.network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = averaged.to(device)
        self.averaged.load_state_dict(network.state_dict())
        self.averaged.eval().requires_grad_(False)
        self.trainable = trainable
        self.moving = freeze(self.network, trainable)
        trained = [p for p in network.parameters() if p.requires_grad]
        decayed = [p for p in trained if p.ndim > 1]
        free = [p for p in trained if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": fit.weight_decay}, {"params": free, "weight_decay": 0.0}]
        )
        self.device = device
        self.phase, self.epoch, self.batch = 0, 0, 0
        self.loss = 0.0
        """Sum over the epoch's batches so far."""
        self.stale = 0
        """Epochs of this phase since the best one."""
        self.best: Best | None = None
        self.history: list[dict[str, Any]] = []
        """One entry an epoch, as ``history.jsonl`` has them."""

    @property
    def trained(self) -> nn.Module:
        """What the batches go through: the network, or only its head where its trunk is frozen."""
        return OnlyHead(self.network.head) if self.trainable == "head" else self.network

    def remember(self, figure: float) -> None:
        """Keep the averaged weights if they are the phase's best so far."""
        if self.best is not None and figure <= self.best.figure:
            self.stale += 1
            return
        self.best = Best(figure, {name: value.clone() for name, value in self.averaged.state_dict().items()})
        self.stale = 0

    def end_phase(self) -> None:
        """Go on to the next phase, from the best averaged weights where they were kept."""
        if self.best is not None:
            self.averaged.load_state_dict(self.best.weights)
            self.network.load_state_dict(self.best.weights)
        self.phase, self.epoch, self.stale, self.best = self.phase + 1, 0, 0, None

    def save(self, path: Path) -> None:
        """Write the checkpoint so that a crash leaves either the old one or the new one, whole."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "place": (self.phase, self.epoch, self.batch),
            "loss": self.loss,
            "stale": self.stale,
            "best": None if self.best is None else (self.best.figure, self.best.weights),
            "history": self.history,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same configuration."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.phase, self.epoch, self.batch = state["place"]
        if "history" not in state:  # as version 0.1.0 wrote it
            self.history = read_history(path.parent)
            return
        self.loss, self.stale, self.history = state["loss"], state["stale"], state["history"]
        self.best = None if state["best"] is None else Best(*state["best"])


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch norm statistics towards the network's."""
    for target, value in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if target.is_floating_point():
            target.lerp_(value, 1 - decay)
        else:
            target.copy_(value)
