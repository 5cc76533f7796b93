"""The training loop: a run that was cut off, killed even, ends as one that was not; early stopping keeps the best."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hilum.errors import ConfigError
from hilum.training.checkpoint import CHECKPOINT, Run
from hilum.training.config import Augmentation, Fit, Phase
from hilum.training.fit import FIGURE, Films, ahead, fit_network
from hilum.training.history import CURVES, HISTORY
from hilum.training.networks import Network
from hilum.training.predict import predict
from small_training import FIT, SPEC, bright_or_dark, run_to, same_weights, small_network

TESTS = Path(__file__).parents[1]


class CutOffError(Exception):
    pass


def history(folder: Path) -> list[dict[str, object]]:
    """Return a training's epochs, but for the seconds that they took."""
    lines = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path: Path, stop_after: int) -> None:
    """Broken off anywhere and started again, weights are equal to the last bit, and so is the history."""
    judged = 0

    def judge(_network: Network, size: int) -> dict[str, float]:
        nonlocal judged
        judged += 1
        if judged == stop_after:
            raise CutOffError
        return {"size_seen": size}

    straight = run_to(tmp_path / "straight")
    with pytest.raises(CutOffError):
        run_to(tmp_path / "cut", judge)
    resumed = run_to(tmp_path / "cut")
    assert same_weights(straight.averaged, resumed.averaged)
    assert same_weights(straight.network, resumed.network)
    assert [line["size_seen"] for line in history(tmp_path / "straight")] == [16, 16, 24]
    assert history(tmp_path / "cut") == history(tmp_path / "straight")


def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """After SIGKILL in the middle of a training, in another process, the weights are equal to the last bit."""
    code = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from small_training import run_to, slow
run_to(Path({str(tmp_path / "killed")!r}), slow)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while not (tmp_path / "killed" / CHECKPOINT).exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached = Run(small_network(), small_network(), FIT)
    reached.load(tmp_path / "killed" / CHECKPOINT)
    assert (reached.phase, reached.epoch) < (2, 0)
    resumed, straight = run_to(tmp_path / "killed"), run_to(tmp_path / "straight")
    assert same_weights(straight.averaged, resumed.averaged)
    assert history(tmp_path / "killed") == history(tmp_path / "straight")


def test_a_finished_run_changes_nothing_more(tmp_path: Path) -> None:
    """Started once more after its end, a training returns the same weights and keeps its history."""
    once = run_to(tmp_path / "run")
    told = history(tmp_path / "run")
    again = run_to(tmp_path / "run")
    assert same_weights(once.averaged, again.averaged)
    assert history(tmp_path / "run") == told


def test_a_checkpoint_of_the_first_version_goes_on(tmp_path: Path) -> None:
    """A finished training of version 0.1.0, whose checkpoint held less, loads and keeps its history."""
    run_to(tmp_path / "run")
    told = history(tmp_path / "run")
    state = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    torch.save(
        {name: state[name] for name in ("network", "averaged", "optimizer", "place")}, tmp_path / "run" / CHECKPOINT
    )
    assert len(run_to(tmp_path / "run").history) == 3
    assert history(tmp_path / "run") == told


def test_curves_are_written_for_tensorboard(tmp_path: Path) -> None:
    """A folder of event files holds loss and figures, and no more than one file however often a training is started."""
    for _ in range(2):
        run_to(tmp_path / "run", lambda _network, _size: {FIGURE: 0.75, "unknown": None})
    (events,) = (tmp_path / "run" / CURVES).iterdir()
    content = events.read_bytes()
    assert b"loss" in content
    assert content.count(FIGURE.encode()) == 3


@pytest.mark.parametrize("loss", ["bce", "focal", "asymmetric"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns(tmp_path: Path, loss: str, precision: str) -> None:
    """By any loss and in either precision, the averaged network tells bright films from dark ones after a few epochs."""
    films = bright_or_dark(64)
    fit = Fit(phases=(Phase(16, 6, 2e-2, 8),), ema=0.9, threads=1, loss=loss, precision=precision, clip=0)
    run = Run(small_network(), small_network(), fit)
    still = Augmentation(gamma=0, contrast=0)
    fit_network(run, films, SPEC, fit, still, tmp_path, lambda _network, _size: {})
    scores = predict(run.averaged, films.pixels, SPEC)[:, 0]
    bright = films.labels[:, 0] == 1
    assert scores[bright].mean() > scores[~bright].mean() + 0.3


def test_clipping_bounds_a_step(tmp_path: Path) -> None:
    """With a tiny norm allowed, the first moments that AdamW holds stay tiny."""
    fit = replace(FIT, clip=1e-6)
    state = run_to(tmp_path / "run", fit=fit).optimizer.state_dict()["state"]
    assert max(float(moments["exp_avg"].abs().max()) for moments in state.values()) <= 1e-6


def test_early_stopping_keeps_the_best(tmp_path: Path) -> None:
    """A phase ends after so many epochs without a better figure, and its best averaged weights come out."""
    figures = iter([0.6, 0.8, 0.7, 0.7, 0.9])
    seen = []

    def judge(network: Network, _size: int) -> dict[str, float]:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return {FIGURE: next(figures)}

    run = run_to(tmp_path / "run", judge, Fit(phases=(Phase(16, 9, 1e-2, 4),), patience=2, threads=1))
    assert [line[FIGURE] for line in history(tmp_path / "run")] == [0.6, 0.8, 0.7, 0.7]
    assert all(torch.equal(value, seen[1][name]) for name, value in run.averaged.state_dict().items())
    assert same_weights(run.network, run.averaged)


def test_early_stopping_resumes(tmp_path: Path) -> None:
    """Broken off while it waits for a better figure, a training remembers the best and how long it has waited."""
    fit = Fit(phases=(Phase(16, 9, 1e-2, 4), Phase(24, 2, 1e-3, 4)), patience=2, threads=1)
    given = [0.6, 0.8, 0.7, 0.7, 0.5, 0.6]

    def judge(numbers: list[float]):
        left = iter(numbers)

        def next_figure(_network: Network, _size: int) -> dict[str, float]:
            try:
                return {FIGURE: next(left)}
            except StopIteration:
                raise CutOffError from None

        return next_figure

    straight = run_to(tmp_path / "straight", judge(given), fit)
    with pytest.raises(CutOffError):
        run_to(tmp_path / "cut", judge(given[:3]), fit)
    resumed = run_to(tmp_path / "cut", judge(given[3:]), fit)
    assert same_weights(straight.averaged, resumed.averaged)
    assert history(tmp_path / "cut") == history(tmp_path / "straight")


def test_early_stopping_needs_a_figure(tmp_path: Path) -> None:
    """Where the validation patients give no figure, patience is refused instead of never being lost."""
    with pytest.raises(ConfigError, match=r"fit\.patience needs validation patients"):
        run_to(tmp_path / "run", lambda _network, _size: {FIGURE: None}, replace(FIT, patience=1))


def test_batches_made_ahead_keep_their_order() -> None:
    """What is made in another thread arrives in order and whole."""
    assert list(ahead(lambda number: number**2, range(3, 9), depth=2)) == [9, 16, 25, 36, 49, 64]
    assert list(ahead(lambda number: number, range(0))) == []


def test_no_films_is_an_error(tmp_path: Path) -> None:
    """A table that leaves nothing to train on is refused with what to look at."""
    empty = Films(np.zeros((0, 16, 16), np.uint8), np.zeros((0, 2), np.float32))
    run = Run(small_network(), small_network(), FIT)
    with pytest.raises(ConfigError, match=r"data\.sources"):
        fit_network(run, empty, SPEC, FIT, Augmentation(), tmp_path, lambda _n, _s: {})
