"""On what a training runs: one processor or GPU, or several processes that share each batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from hilum.errors import ConfigError
from hilum.training.schedule import Indices

PATIENCE = timedelta(hours=6)
"""How long the others wait while the first worker scores films."""


CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of a training. The first writes the files and judges; all hold the same weights."""

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    @property
    def leads(self) -> bool:
        """Is this the one that writes?"""
        return self.rank == 0

    def share(self, batch: Indices) -> Indices:
        """Return this worker's films of a batch: every ``count``-th."""
        return batch[self.rank :: self.count]

    def wait(self) -> None:
        """Return when every worker has come here."""
        if self.count > 1:
            distributed.barrier()

    def agree(self, figure: float) -> float:
        """Return the first worker's figure."""
        if self.count == 1:
            return figure
        value = torch.tensor([figure], dtype=torch.float64, device=self.device)
        distributed.broadcast(value, 0)
        return float(value)

    def together(self, module: nn.Module) -> nn.Module:
        """Return a module whose gradients are the mean over all workers."""
        return module if self.count == 1 else DistributedDataParallel(module)


ALONE = Worker()


@contextmanager
def joined(device: Literal["auto", "cpu", "cuda"]) -> Iterator[Worker]:
    """Join the other processes that ``torchrun`` started, if it did, and yield this one's place among them.

    Raises ``ConfigError`` where a GPU is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError('fit.device is "cuda", but torch finds no GPU here. Expected one, or "auto" or "cpu".')
    count = int(os.environ.get("WORLD_SIZE", "1"))
    place = CPU
    if device != "cpu" and torch.cuda.is_available():
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    if count == 1:
        yield Worker(device=place)
        return
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Worker(distributed.get_rank(), count, place)
    finally:
        distributed.destroy_process_group()
