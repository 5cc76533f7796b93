"""The training loop: batches in a fixed order, one-cycle schedule, averaged weights, checkpoints that resume exactly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from hilum.datasets.films import Bytes
from hilum.errors import ConfigError
from hilum.records import Array, InputSpec
from hilum.training.augment import augment_and_tell
from hilum.training.boxes import BoxMasks, Drawn, Mapped, outside_loss
from hilum.training.checkpoint import CHECKPOINT, Run, average
from hilum.training.config import Augmentation, Fit, Phase
from hilum.training.frozen import kept_features, set_training
from hilum.training.history import Write, open_history
from hilum.training.loss import choose_losses, class_weights, distilled_loss, masked_loss
from hilum.training.networks import Network
from hilum.training.predict import to_input
from hilum.training.schedule import Indices, averaging, batch_seed, batches, one_cycle
from hilum.training.workers import ALONE, Worker

FIGURE = "validation_auroc"
"""What early stopping looks at."""
AHEAD = 3
"""Batches that are made ready while a GPU computes."""

Made = TypeVar("Made")
Draw = Callable[[Indices, torch.Generator], tuple[Tensor, Drawn | None]]
"""Films by index, and random numbers → what the trained part of the network takes, and these films' boxes."""
Judge = Callable[[Network, int], dict[str, Any]]
"""The averaged network and the input size → figures on the validation patients."""


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Films N×H×W uint8 with labels N×K (1, 0, NaN unknown)."""

    pixels: Bytes
    labels: Array
    soft: Array | None = None
    """A teacher's scores N×K, 0–1; NaN where it has none."""
    soft_weight: float = 0.0
    boxes: BoxMasks | None = None
    box_weight: float = 0.0


def fit_network(
    run: Run,
    films: Films,
    spec: InputSpec,
    fit: Fit,
    augmentation: Augmentation,
    folder: Path,
    judge: Judge,
    worker: Worker = ALONE,
) -> None:
    """Train ``run`` to the end of its phases, from wherever it is.

    Writes ``checkpoint.pt`` every ``fit.checkpoint_seconds`` and the history, one line an epoch. Raises ``ConfigError`` if there
    are fewer than 2 films a worker, or if early stopping gets no figure to look at.
    """
    if len(films.pixels) < 2 * worker.count:
        raise ConfigError(
            f"There are {len(films.pixels)} training films. Expected at least {2 * worker.count}: look at data.sources."
        )
    loop = _Loop(run, films, spec, fit, augmentation, folder, worker)
    module = worker.together(run.trained if films.boxes is None else Mapped(run.network))
    with open_history(folder, run.history) if worker.leads else nullcontext(_nowhere) as write:
        while run.phase < len(fit.phases):
            phase = fit.phases[run.phase]
            draw = loop.draws(phase)
            while run.epoch < phase.epochs and not (fit.patience and run.stale >= fit.patience):
                _epoch(loop, module, phase, draw, judge, write)
            run.end_phase()
            loop.save()
    worker.wait()


def _nowhere(line: dict[str, Any]) -> None:
    """Write no history: the first worker does."""


@dataclass(frozen=True, slots=True, eq=False)
class _Loop:
    """What stays the same from the first batch to the last."""

    run: Run
    films: Films
    spec: InputSpec
    fit: Fit
    augmentation: Augmentation
    folder: Path
    worker: Worker

    def save(self) -> None:
        if self.worker.leads:
            self.run.save(self.folder / CHECKPOINT)

    def draws(self, phase: Phase) -> Draw:
        """Return what makes a phase's inputs: augmented films, or pooled features where the whole trunk is frozen."""
        if self.run.trainable != "head":
            return partial(self._augmented, phase.size)
        kept = torch.from_numpy(
            kept_features(
                self.run.network,
                self.films.pixels,
                self.spec,
                self.fit,
                self.augmentation,
                phase.size,
                self.folder,
                self.worker,
            )
        )
        return lambda chosen, generator: (
            kept[torch.randint(len(kept), (len(chosen),), generator=generator), torch.from_numpy(chosen)],
            None,
        )

    def _augmented(self, size: int, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Drawn | None]:
        pixels, affine = augment_and_tell(self.films.pixels[chosen], self.augmentation, size, generator)
        boxes = self.films.boxes
        return to_input(pixels, self.spec), None if boxes is None else boxes.of(chosen, affine)


def _epoch(loop: _Loop, module: nn.Module, phase: Phase, draw: Draw, judge: Judge, write: Write) -> None:
    """Train for one epoch, or for what is left of it, judge, and save."""
    run, worker = loop.run, loop.worker
    started = time.monotonic()
    count = _steps(loop, module, phase, draw)
    loss, place = run.loss / max(count, 1), (run.phase, run.epoch + 1)
    run.epoch, run.batch, run.loss = run.epoch + 1, 0, 0.0
    figures = judge(run.averaged, phase.size) if worker.leads else {}
    if loop.fit.patience:
        figure = worker.agree(float("nan") if (value := figures.get(FIGURE)) is None else value)
        if figure != figure:
            raise ConfigError(
                "fit.patience needs validation patients with and without a finding. Expected data.validation to name such."
            )
        run.remember(figure)
    line = {"phase": place[0], "epoch": place[1], "size": phase.size, "seconds": round(time.monotonic() - started)}
    run.history.append({**line, "loss": round(loss, 4), **figures})
    loop.save()
    write(run.history[-1])


def _steps(loop: _Loop, module: nn.Module, phase: Phase, draw: Draw) -> int:
    """Take the steps that are left of an epoch, and return how many the whole epoch has."""
    run, fit, worker = loop.run, loop.fit, loop.worker
    order = list(
        batches(len(loop.films.pixels), phase.batch, fit.seed + 1000 * run.phase + run.epoch, 2 * worker.count)
    )
    weight = class_weights(loop.films.labels) if fit.class_balanced else torch.ones(loop.films.labels.shape[1])
    loss_of = _loss(loop.films, weight.to(run.device), fit)
    set_training(run.network, run.moving)
    saved = time.monotonic()
    bar = tqdm(
        total=len(order),
        initial=run.batch,
        desc=f"phase {run.phase + 1} epoch {run.epoch + 1}",
        unit="batch",
        mininterval=5,
        disable=not worker.leads,
    )
    with bar:
        for chosen, seed, drawn in _drawn(loop, order, draw):
            step, steps = run.epoch * len(order) + run.batch, phase.epochs * len(order)
            for group in run.optimizer.param_groups:
                group["lr"] = one_cycle(step, steps, phase.learning_rate)
            torch.manual_seed(seed)  # for dropout
            run.loss += _step(run, module, *drawn, chosen, loss_of, loop)
            average(run.averaged, run.network, averaging(step, fit.ema) if run.phase == 0 else fit.ema)
            run.batch += 1
            bar.set_postfix(loss=f"{run.loss / run.batch:.4f}", refresh=False)
            bar.update()
            if time.monotonic() - saved > fit.checkpoint_seconds:
                loop.save()
                saved = time.monotonic()
    return len(order)


def _drawn(loop: _Loop, order: list[Indices], draw: Draw) -> Iterator[tuple[Indices, int, tuple[Tensor, Drawn | None]]]:
    """Yield this worker's films, seed, and inputs with boxes of each batch that is left; for a GPU, some are drawn ahead."""
    run, worker = loop.run, loop.worker
    shares = [worker.share(batch) for batch in order]
    seeds = [batch_seed(loop.fit.seed, run.phase, run.epoch, batch, worker.rank) for batch in range(len(order))]

    def one(batch: int) -> tuple[Indices, int, tuple[Tensor, Drawn | None]]:
        generator = torch.Generator().manual_seed(seeds[batch])
        return shares[batch], seeds[batch], draw(shares[batch], generator)

    left = range(run.batch, len(order))
    if run.device.type == "cpu":
        yield from map(one, left)
        return
    yield from ahead(one, left)


def ahead(make: Callable[[int], Made], numbers: range, depth: int = AHEAD) -> Iterator[Made]:
    """Yield ``make(number)`` for each number, in order, the next ``depth`` being made meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        waiting: list[Future[Made]] = []
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > depth:
                yield waiting.pop(0).result()
        for made in waiting:
            yield made.result()


def _loss(films: Films, weight: Tensor, fit: Fit) -> Callable[[Tensor, Indices], Tensor]:
    """Return the loss of logits n×K for films by index."""
    losses = choose_losses(fit)

    def of(logits: Tensor, chosen: Indices) -> Tensor:
        labels = torch.from_numpy(films.labels[chosen]).to(logits.device)
        if films.soft is None:
            return masked_loss(logits, labels, weight, losses)
        soft = torch.from_numpy(films.soft[chosen]).to(logits.device)
        return distilled_loss(logits, labels, soft, weight, films.soft_weight, losses)

    return of


def _step(
    run: Run,
    module: nn.Module,
    inputs: Tensor,
    boxes: Drawn | None,
    chosen: Indices,
    loss_of: Callable[[Tensor, Indices], Tensor],
    loop: _Loop,
) -> float:
    """Take one step, and return its loss on the labels."""
    fit = loop.fit
    inputs = inputs.to(run.device, non_blocking=True)
    with torch.autocast(run.device.type, dtype=torch.bfloat16, enabled=fit.precision == "bf16"):
        if boxes is None:
            logits, outside = module(inputs), None
        else:
            boxes = boxes.to(run.device)
            logits, maps = module(inputs, boxes.films, boxes.outputs)
            outside = outside_loss(maps, boxes.masks)
    loss = loss_of(logits.float(), chosen)
    run.optimizer.zero_grad(set_to_none=True)
    whole = loss if outside is None else loss + loop.films.box_weight * outside
    whole.backward()  # type: ignore[no-untyped-call]
    if fit.clip:
        nn.utils.clip_grad_norm_((p for p in run.network.parameters() if p.requires_grad), fit.clip)
    run.optimizer.step()
    return float(loss.detach())
