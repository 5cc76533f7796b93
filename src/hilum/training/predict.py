"""Films through a network as training holds them: uint8 in memory, resampled and scaled by the same functions as serving."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from hilum.datasets.films import Bytes, quantise
from hilum.evaluation.metrics import auroc
from hilum.normalise import resample, scale_pixels
from hilum.records import Array, InputSpec
from hilum.training.networks import Network

BATCH = 32


def to_input(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Return N×H×W pixels 0–1 as the network takes them, by the same function as serving."""
    return torch.from_numpy(scale_pixels(pixels.numpy(), spec)).contiguous(memory_format=torch.channels_last)


def shrink(films: Bytes, size: int) -> Bytes:
    """Resample N×H×W films to size × size by the same function as serving."""
    spec = InputSpec(size, size, 1, 1.0, (0.0,), (1.0,))
    return np.stack([quantise(resample(film.astype(np.float32) / 255, spec)) for film in films])


def input_batches(films: Bytes, spec: InputSpec) -> Iterator[Tensor]:
    """Yield films N×H×W uint8, in order, as batches of a network's input."""
    for start in range(0, len(films), BATCH):
        yield to_input(torch.from_numpy(films[start : start + BATCH]).float() / 255, spec)


@torch.no_grad()
def predict(network: Network, films: Bytes, spec: InputSpec) -> Array:
    """Return logits N×K for films N×H×W uint8 that already have the network's input size."""
    network.eval()
    device = next(network.parameters()).device
    parts = [network(batch.to(device)).cpu().numpy() for batch in input_batches(films, spec)]
    return np.concatenate(parts).astype(np.float32)


def mean_auroc(logits: Array, labels: Array) -> float | None:
    """Return the mean AUROC over the outputs that have known positives and negatives; None where no output has."""
    values = []
    for scores, truth in zip(logits.T, labels.T, strict=True):
        known = ~np.isnan(truth)
        if 0 < truth[known].sum() < known.sum():
            values.append(auroc(scores[known], truth[known]))
    return float(np.mean(values)) if values else None
