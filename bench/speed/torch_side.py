"""torch's side: the same three networks, as they were trained, in eager mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench.speed.contender import Jobs
from bench.speed.material import BATCH, FORMS, THREE
from bench.speed.preprocess import film_pixels, network_input


def jobs(folder: Path) -> Jobs:
    """Return name → job."""
    found: dict[str, Callable[[], Any]] = {
        "eager": partial(eager, folder, 1),
        "batch": partial(eager, folder, BATCH),
        "maps": partial(maps, folder),
        "densenet_map": partial(whole_backward, folder),
        "scores": partial(scores, folder),
    }
    return found | {f"film_{form}": partial(film, folder, form) for form in FORMS}


@cache
@torch.inference_mode(mode=False)
def networks(folder: Path) -> dict[str, Any]:
    """Return the three networks; they are saved the first time, so that a cold start loads them as torch's users do."""
    return {name: _network(folder, name) for name in THREE}


def _network(folder: Path, name: str) -> Any:
    from hilum.training import networks as builders

    saved = folder / f"{name}.pt"
    if not saved.is_file():
        from hilum.training.from_onnx import network_from_graph

        builder, network = network_from_graph((folder / f"{name}.onnx").read_bytes())
        torch.save((builder, network.head.logits.out_features, network.state_dict()), saved)
    builder, outputs, state = torch.load(saved, weights_only=True)
    network = builders.ALL_BUILDERS[builder](outputs)
    network.load_state_dict(state)
    return network.eval()


@cache
@torch.inference_mode(mode=False)
def tensors(folder: Path, count: int) -> dict[str, Any]:
    """Return what each network is given, N×3×224×224."""
    return {name: torch.from_numpy(np.load(folder / f"{name}.npy").repeat(count, axis=0)) for name in THREE}


@torch.inference_mode()
def eager(folder: Path, count: int) -> None:
    """Films through each network, as one batch."""
    for name, network in networks(folder).items():
        network(tensors(folder, count)[name])


@torch.inference_mode()
def film(folder: Path, form: str) -> None:
    """A file → logits of each network."""
    pixels = film_pixels((folder / FORMS[form]).read_bytes(), form)
    for name, network in networks(folder).items():
        network(torch.from_numpy(network_input(pixels, folder, name).transpose(0, 3, 1, 2).copy()))


@cache
def features(folder: Path) -> dict[str, Any]:
    """Return each network's last feature map."""
    with torch.no_grad():
        return {name: network.trunk(tensors(folder, 1)[name]) for name, network in networks(folder).items()}


def maps(folder: Path) -> None:
    """Grad-CAM of every output by autograd through the head, from the feature map that is there already."""
    for name, network in networks(folder).items():
        given = features(folder)[name].detach().requires_grad_()
        logits = network.head(given)
        for logit in logits[0]:
            (gradient,) = torch.autograd.grad(logit, given, retain_graph=True)
            torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * given.detach()).sum(1))


def whole_backward(folder: Path) -> None:
    """Grad-CAM of one output of DenseNet121 as libraries do it: forward, then backward through the whole network."""
    network = networks(folder)[THREE[0]]
    network.zero_grad()
    given = network.trunk(tensors(folder, 1)[THREE[0]])
    given.retain_grad()
    network.head(given)[0, 0].backward()
    torch.relu((given.grad.mean(dim=(2, 3), keepdim=True) * given.detach()).sum(1))


@torch.inference_mode()
def scores(folder: Path) -> dict[str, list[float]]:
    """Network → the sigmoid of its logits of the tensor."""
    return {
        name: torch.sigmoid(network(tensors(folder, 1)[name]))[0].tolist() for name, network in networks(folder).items()
    }
