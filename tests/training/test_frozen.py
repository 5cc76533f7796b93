"""Frozen parts do not move, and a head on kept features is the head on the films."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hilum.training.config import Fit, Phase
from hilum.training.frozen import film_features, freeze, set_training, trunk_parts
from hilum.training.networks import BUILDERS
from hilum.training.predict import predict
from small_training import FIT, SPEC, bright_or_dark, run_to, same_weights, small_network


def moved(before: nn.Module, after: nn.Module) -> set[str]:
    """Return the names of weights and statistics that differ."""
    pairs = zip(before.state_dict().items(), after.state_dict().values(), strict=True)
    return {name for (name, one), other in pairs if not torch.equal(one, other)}


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        ("head", {"head"}),
        ("last:1", {"trunk.1", "head"}),
        ("last:9", {"trunk.0", "trunk.1", "head"}),
        ("all", {"trunk.0", "trunk.1", "head"}),
    ],
)
def test_only_what_is_trainable_moves(tmp_path: Path, trainable: str, expected: set[str]) -> None:
    """Weights and batch norms' statistics of frozen parts stay to the last bit; the others learn."""
    run = run_to(tmp_path / "run", trainable=trainable)
    names = moved(small_network(), run.network)
    assert {".".join(name.split(".")[: 2 if name.startswith("trunk") else 1]) for name in names} == expected


@pytest.mark.parametrize("architecture", sorted(BUILDERS))
def test_frozen_norms_are_fixed(architecture: str) -> None:
    """In training mode, only the batch norms of the parts that move take new statistics."""
    network = BUILDERS[architecture](2)
    moving = freeze(network, "last:3")
    set_training(network, moving)
    training = [module for module in network.trunk.modules() if isinstance(module, nn.BatchNorm2d) and module.training]
    inside = {id(module) for part in moving for module in part.modules()}
    assert training
    assert all(id(module) in inside for module in training)
    assert len(moving) == 3 < len(trunk_parts(network.trunk))
    assert all(
        p.requires_grad == any(p is q for part in moving for q in part.parameters()) for p in network.trunk.parameters()
    )


def test_kept_features_give_the_networks_logits() -> None:
    """A head on pooled features answers as the whole network does on the films."""
    network, films = small_network().eval(), bright_or_dark().pixels[:, :16, :16]
    pooled = film_features(network, films, SPEC, 16)
    with torch.no_grad():
        logits = network.head.from_pooled(torch.from_numpy(pooled))
    np.testing.assert_allclose(logits.numpy(), predict(network, films, SPEC), atol=1e-6)


def test_features_are_computed_once(tmp_path: Path) -> None:
    """A size's features are kept: one file a size, with as many variants as wanted, the first the film as it is."""
    fit = replace(FIT, variants=3)
    once = run_to(tmp_path / "run", fit=fit, trainable="head")
    kept = np.load(tmp_path / "run" / "features-16.npy")
    assert kept.shape == (3, 13, 8)
    np.testing.assert_allclose(kept[0], film_features(small_network(), bright_or_dark().pixels, SPEC, 16), atol=1e-6)
    assert np.abs(kept[1] - kept[0]).max() > 1e-3
    assert np.abs(kept[2] - kept[1]).max() > 1e-3
    assert sorted(path.name for path in (tmp_path / "run").glob("*.npy")) == ["features-16.npy", "features-24.npy"]
    np.save(tmp_path / "run" / "features-16.npy", kept + 1)
    assert same_weights(once.network, run_to(tmp_path / "run", fit=fit, trainable="head").network)


def test_a_head_learns(tmp_path: Path) -> None:
    """On the features of a random trunk, a head tells bright films from dark ones."""
    fit = Fit(phases=(Phase(16, 30, 5e-2, 8),), ema=0.9, threads=1)
    run = run_to(tmp_path / "run", fit=fit, trainable="head")
    films = bright_or_dark()
    scores = predict(run.averaged, films.pixels, SPEC)[:, 0]
    bright = films.labels[:, 0] == 1
    assert scores[bright].mean() > scores[~bright].mean() + 0.5
