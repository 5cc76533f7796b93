"""The training loop: what is masked gives no gradient, and a run that was cut off ends as one that was not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hilum.errors import ConfigError
from hilum.records import InputSpec
from hilum.training.config import Augmentation, Fit, Phase
from hilum.training.fit import (
    CHECKPOINT,
    HISTORY,
    Films,
    Run,
    class_weights,
    distilled_loss,
    fit_network,
    masked_loss,
    one_cycle,
    predict,
)
from hilum.training.networks import Head, Network

SPEC = InputSpec(16, 16, 3, 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FIT = Fit(phases=(Phase(16, 2, 1e-2, 4), Phase(24, 1, 1e-3, 4)), checkpoint_seconds=0.0, threads=1)


def small_network() -> Network:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return Network(trunk, Head(8, 8, 2, 0.5))


def bright_or_dark(count: int = 13) -> Films:
    """Films whose first label is their brightness and whose second is mostly unknown."""
    generator = np.random.default_rng(0)
    bright = generator.integers(0, 2, count)
    pixels = (generator.integers(0, 100, (count, 20, 20)) + 150 * bright[:, None, None]).astype(np.uint8)
    second = np.where(generator.random(count) < 0.7, np.nan, bright)
    return Films(pixels, np.stack([bright, second], axis=1).astype(np.float32))


class CutOffError(Exception):
    pass


def run_to(folder: Path, stop_after: int | None = None) -> Network:
    """Train, or go on, in ``folder``; with ``stop_after``, break off in the judging after that many epochs."""
    folder.mkdir(exist_ok=True)
    run = Run(small_network(), small_network(), FIT)
    torch.manual_seed(FIT.seed)
    if (folder / CHECKPOINT).exists():
        run.load(folder / CHECKPOINT)
    judged = 0

    def judge(_network: Network, size: int) -> dict[str, float]:
        nonlocal judged
        judged += 1
        if judged == stop_after:
            raise CutOffError
        return {"size_seen": size}

    fit_network(run, bright_or_dark(), SPEC, FIT, Augmentation(), folder, judge)
    return run.averaged


def test_an_unknown_label_gives_no_gradient() -> None:
    """NaN labels change neither the loss nor the gradient."""
    logits = torch.tensor([[0.3, -2.0], [1.0, 5.0]], requires_grad=True)
    labels = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    loss = masked_loss(logits, labels, torch.ones(2))
    loss.backward()
    expected = nn.functional.binary_cross_entropy_with_logits(logits.detach()[:, 0], labels[:, 0])
    assert loss.item() == pytest.approx(expected.item())
    assert logits.grad is not None
    assert logits.grad[:, 1].abs().max() == 0


def test_nothing_known_is_no_loss() -> None:
    """A batch without a single known label costs nothing instead of dividing by zero."""
    labels = torch.full((2, 2), float("nan"))
    assert masked_loss(torch.randn(2, 2), labels, torch.ones(2)).item() == 0


def test_distillation_mixes_labels_and_teacher() -> None:
    """Weight 0 is the labels alone, weight 1 the teacher alone."""
    logits, labels, soft = torch.randn(3, 2), torch.ones(3, 2), torch.rand(3, 2)
    ones = torch.ones(2)
    assert distilled_loss(logits, labels, soft, ones, 0.0) == masked_loss(logits, labels, ones)
    assert distilled_loss(logits, labels, soft, ones, 1.0) == masked_loss(logits, soft, ones)


def test_rare_findings_weigh_more() -> None:
    """The weight of a positive is the root of negatives per positive among known labels."""
    labels = np.array([[1, 1], [0, np.nan], [0, np.nan], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(class_weights(labels), np.sqrt([4 / 2, 2 / 2]), rtol=1e-6)


def test_the_schedule_rises_and_falls() -> None:
    """One cycle: up to the peak in the first part, down to a hundredth at the end."""
    rates = [one_cycle(step, 100, 1.0) for step in range(100)]
    assert max(rates) == pytest.approx(1.0)
    assert int(np.argmax(rates)) == 14
    assert rates[-1] == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path: Path, stop_after: int) -> None:
    """Broken off anywhere and started again, the weights are equal to the last bit."""
    straight = run_to(tmp_path / "straight")
    with pytest.raises(CutOffError):
        run_to(tmp_path / "cut", stop_after)
    resumed = run_to(tmp_path / "cut")
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    history = [json.loads(line) for line in (tmp_path / "straight" / HISTORY).read_text().splitlines()]
    assert [line["size_seen"] for line in history] == [16, 16, 24]


def test_a_finished_run_changes_nothing_more(tmp_path: Path) -> None:
    """Started once more after its end, a training returns the same weights."""
    once, again = run_to(tmp_path / "run"), run_to(tmp_path / "run")
    assert all(torch.equal(a, b) for a, b in zip(once.state_dict().values(), again.state_dict().values(), strict=True))


def test_training_learns(tmp_path: Path) -> None:
    """The averaged network tells bright films from dark ones after a few epochs."""
    films = bright_or_dark(64)
    fit = Fit(phases=(Phase(16, 6, 2e-2, 8),), ema=0.9, threads=1)
    run = Run(small_network(), small_network(), fit)
    still = Augmentation(gamma=0, contrast=0)
    fit_network(run, films, SPEC, fit, still, tmp_path, lambda _network, _size: {})
    scores = predict(run.averaged, films.pixels, SPEC)[:, 0]
    bright = films.labels[:, 0] == 1
    assert scores[bright].mean() > scores[~bright].mean() + 0.5


def test_no_films_is_an_error(tmp_path: Path) -> None:
    """A table that leaves nothing to train on is refused with what to look at."""
    empty = Films(np.zeros((0, 16, 16), np.uint8), np.zeros((0, 2), np.float32))
    with pytest.raises(ConfigError, match=r"data\.sources"):
        fit_network(
            Run(small_network(), small_network(), FIT), empty, SPEC, FIT, Augmentation(), tmp_path, lambda _n, _s: {}
        )
