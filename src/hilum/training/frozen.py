"""A trunk that is not trained, wholly or in part: which parts move, and its pooled features kept so that a head trains fast."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hilum.datasets.films import Bytes
from hilum.records import Array, InputSpec
from hilum.training.augment import augment
from hilum.training.config import Augmentation, Fit
from hilum.training.networks import Head, LinearHead, Network
from hilum.training.predict import BATCH, input_batches, shrink, to_input
from hilum.training.schedule import batch_seed
from hilum.training.timm_trunk import TimmTrunk
from hilum.training.workers import Worker


class OnlyHead(nn.Module):
    """A head that takes pooled features N×C instead of a feature map: logits N×K."""

    def __init__(self, head: Head | LinearHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, pooled: Tensor) -> Tensor:
        return self.head.from_pooled(pooled)


def freeze(network: Network, trainable: str) -> tuple[nn.Module, ...]:
    """Let only a part of the network be trained: ``all``, ``head`` or ``last:N``; return the trunk's parts that move.

    The trunk's parts are its blocks, and convolutions and norms that stand between them, in the order of the forward pass.
    """
    if trainable == "all":
        return (network.trunk,)
    network.trunk.requires_grad_(False)
    parts = trunk_parts(network.trunk)
    moving = () if trainable == "head" else tuple(parts[-int(trainable.removeprefix("last:")) :])
    for part in moving:
        part.requires_grad_(True)
    return moving


def trunk_parts(trunk: nn.Module) -> list[nn.Module]:
    """Return the parts of a trunk that hold weights, in order."""
    parts = trunk.parts() if isinstance(trunk, TimmTrunk) else trunk.children()
    return [part for part in parts if next(part.parameters(), None) is not None]


def set_training(network: Network, moving: tuple[nn.Module, ...]) -> None:
    """Switch to training, but leave what is frozen as it answers in serving: its batch norms keep their statistics."""
    network.train()
    network.trunk.eval()
    for part in moving:
        part.train()


@torch.no_grad()
def pooled_features(network: Network, inputs: Iterable[Tensor]) -> Array:
    """Return N×C: the globally averaged feature maps of batches of a network's inputs, n×3×H×W each."""
    network.eval()
    device = next(network.parameters()).device
    pooled = [network.head.pool(network.features(batch.to(device))).flatten(1).cpu() for batch in inputs]
    values: Array = torch.cat(pooled).numpy()
    return values


def film_features(network: Network, films: Bytes, spec: InputSpec, size: int) -> Array:
    """Return the pooled features, N×C, of films N×H×W as they are, at an input size."""
    return pooled_features(network, input_batches(shrink(films, size), spec))


def kept_features(
    network: Network,
    films: Bytes,
    spec: InputSpec,
    fit: Fit,
    augmentation: Augmentation,
    size: int,
    folder: Path,
    worker: Worker,
) -> Array:
    """Return variants × N × C: each film's pooled features as it is, then ``fit.variants`` - 1 times augmented.

    The first worker computes them and keeps them in ``folder``, so that a training that goes on need not wait for them.
    """
    path = folder / f"features-{size}.npy"
    if worker.leads and not path.exists():
        variants = [film_features(network, films, spec, size)]
        for number in range(1, fit.variants):
            generator = torch.Generator().manual_seed(batch_seed(fit.seed, number))
            parts = (films[start : start + BATCH] for start in range(0, len(films), BATCH))
            variants.append(
                pooled_features(
                    network, (to_input(augment(part, augmentation, size, generator), spec) for part in parts)
                )
            )
        partial = path.with_suffix(".partial.npy")
        np.save(partial, np.stack(variants))
        partial.replace(path)
    worker.wait()
    return np.asarray(np.load(path), dtype=np.float32)
