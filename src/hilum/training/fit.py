"""The training loop: masked loss, one-cycle schedule, averaged weights, checkpoints that resume exactly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from hilum.datasets.films import Bytes
from hilum.errors import ConfigError
from hilum.normalise import scale_pixels
from hilum.records import Array, InputSpec
from hilum.training.augment import augment
from hilum.training.config import Augmentation, Fit, Phase
from hilum.training.networks import Network

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.jsonl"
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Films N×H×W uint8 with labels N×K (1, 0, NaN unknown)."""

    pixels: Bytes
    labels: Array
    soft: Array | None = None
    """A teacher's scores N×K, 0–1; NaN where it has none."""
    soft_weight: float = 0.0


def to_input(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Return N×H×W pixels 0–1 as the network takes them, by the same function as serving."""
    return torch.from_numpy(scale_pixels(pixels.numpy(), spec)).contiguous(memory_format=torch.channels_last)


def class_weights(labels: Array) -> Tensor:
    """Return K weights for positives: the square root of negatives per positive, among the known labels."""
    positives = np.nansum(labels, axis=0)
    known = (~np.isnan(labels)).sum(axis=0)
    return torch.from_numpy(np.sqrt((known - positives + 1) / (positives + 1)).astype(np.float32))


def masked_loss(logits: Tensor, labels: Tensor, positive_weight: Tensor) -> Tensor:
    """Binary cross entropy over the known labels; NaN marks an unknown one and gives no gradient."""
    known = ~torch.isnan(labels)
    losses = functional.binary_cross_entropy_with_logits(
        logits, torch.nan_to_num(labels), pos_weight=positive_weight, reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp(min=1)


def distilled_loss(logits: Tensor, labels: Tensor, soft: Tensor, positive_weight: Tensor, soft_weight: float) -> Tensor:
    """Mix the masked loss on the labels with the one on a teacher's scores."""
    own = masked_loss(logits, labels, positive_weight)
    return (1 - soft_weight) * own + soft_weight * masked_loss(logits, soft, torch.ones_like(positive_weight))


def one_cycle(step: int, steps: int, peak: float, warm_up: float = 0.15) -> float:
    """Return the learning rate at a step: a linear rise to the peak, then a cosine to one hundredth of it."""
    rising = max(1, round(steps * warm_up))
    if step < rising:
        return peak * (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


class Run:
    """Everything that a checkpoint holds: network, averaged network, optimiser, random numbers and the place reached."""

    def __init__(self, network: Network, averaged: Network, fit: Fit) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = averaged
        self.averaged.load_state_dict(network.state_dict())
        self.averaged.eval().requires_grad_(False)
        decayed = [p for p in network.parameters() if p.ndim > 1]
        free = [p for p in network.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": fit.weight_decay}, {"params": free, "weight_decay": 0.0}]
        )
        self.phase, self.epoch, self.batch = 0, 0, 0
        self.generator = torch.Generator().manual_seed(fit.seed)

    def save(self, path: Path) -> None:
        """Write the checkpoint so that a crash leaves either the old one or the new one, whole."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "place": (self.phase, self.epoch, self.batch),
            "generator": self.generator.get_state(),
            "dropout": torch.get_rng_state(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same configuration."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.phase, self.epoch, self.batch = state["place"]
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["dropout"])


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch norm statistics towards the network's."""
    for target, value in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if target.is_floating_point():
            target.lerp_(value, 1 - decay)
        else:
            target.copy_(value)


def fit_network(
    run: Run,
    films: Films,
    spec: InputSpec,
    fit: Fit,
    augmentation: Augmentation,
    folder: Path,
    judge: Callable[[Network, int], dict[str, float]],
) -> None:
    """Train ``run`` to the end of its phases, from wherever it is.

    Writes ``checkpoint.pt`` every ``fit.checkpoint_seconds`` and one line an epoch to ``history.jsonl``. ``judge`` gets the
    averaged network and the input size, and returns figures on the validation patients.
    """
    if len(films.pixels) < 2:
        raise ConfigError(f"There are {len(films.pixels)} training films. Expected at least 2: look at data.sources.")
    weight = class_weights(films.labels)
    while run.phase < len(fit.phases):
        phase = fit.phases[run.phase]
        while run.epoch < phase.epochs:
            started = time.monotonic()
            loss = _epoch(run, films, spec, fit, phase, augmentation, weight, folder)
            run.epoch, run.batch = run.epoch + 1, 0
            figures = judge(run.averaged, phase.size)
            place = {
                "phase": run.phase,
                "epoch": run.epoch,
                "size": phase.size,
                "seconds": round(time.monotonic() - started),
            }
            with (folder / HISTORY).open("a", encoding="utf-8") as history:
                history.write(json.dumps({**place, "loss": round(loss, 4), **figures}) + "\n")
            run.save(folder / CHECKPOINT)
        run.phase, run.epoch = run.phase + 1, 0
    run.save(folder / CHECKPOINT)


def _epoch(
    run: Run,
    films: Films,
    spec: InputSpec,
    fit: Fit,
    phase: Phase,
    augmentation: Augmentation,
    weight: Tensor,
    folder: Path,
) -> float:
    batches = list(_batches(len(films.pixels), phase.batch, fit.seed + 1000 * run.phase + run.epoch))
    total, seen, saved = 0.0, 0, time.monotonic()
    run.network.train()
    bar = tqdm(
        total=len(batches),
        initial=run.batch,
        desc=f"phase {run.phase + 1} epoch {run.epoch + 1}",
        unit="batch",
        mininterval=5,
    )
    while run.batch < len(batches):
        chosen = batches[run.batch]
        step, steps = run.epoch * len(batches) + run.batch, phase.epochs * len(batches)
        for group in run.optimizer.param_groups:
            group["lr"] = one_cycle(step, steps, phase.learning_rate)
        pixels = augment(films.pixels[chosen], augmentation, phase.size, run.generator)
        total += _step(run, to_input(pixels, spec), _loss_of(films, chosen, weight), fit)
        # Early on the average must follow quickly, or it drags the starting weights along.
        average(run.averaged, run.network, min(fit.ema, (1 + step) / (10 + step)) if run.phase == 0 else fit.ema)
        run.batch += 1
        seen += 1
        bar.set_postfix(loss=f"{total / seen:.4f}", refresh=False)
        bar.update()
        if time.monotonic() - saved > fit.checkpoint_seconds:
            run.save(folder / CHECKPOINT)
            saved = time.monotonic()
    bar.close()
    return total / max(seen, 1)


def _loss_of(films: Films, chosen: Indices, weight: Tensor) -> Callable[[Tensor], Tensor]:
    labels = torch.from_numpy(films.labels[chosen])
    if films.soft is None:
        return lambda logits: masked_loss(logits, labels, weight)
    soft = torch.from_numpy(films.soft[chosen])
    return lambda logits: distilled_loss(logits, labels, soft, weight, films.soft_weight)


def _step(run: Run, inputs: Tensor, loss_of: Callable[[Tensor], Tensor], fit: Fit) -> float:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fit.precision == "bf16"):
        logits = run.network(inputs)
    loss = loss_of(logits.float())
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimizer.step()
    return float(loss.detach())


def _batches(count: int, size: int, seed: int) -> Iterator[Indices]:
    """Yield the epoch's batches of indices; the last is dropped where a single film would upset the batch norms."""
    order = np.random.default_rng(seed).permutation(count)
    for start in range(0, count, size):
        batch = order[start : start + size]
        if len(batch) > 1:
            yield batch


@torch.no_grad()
def predict(network: Network, pixels: Bytes, spec: InputSpec, batch: int = 32) -> Array:
    """Return logits N×K for films N×H×W uint8 that already have the network's input size."""
    network.eval()
    parts = [
        network(to_input(torch.from_numpy(pixels[start : start + batch]).float() / 255, spec)).numpy()
        for start in range(0, len(pixels), batch)
    ]
    return np.concatenate(parts).astype(np.float32)
