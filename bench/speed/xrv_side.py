"""torchxrayvision's side: its DenseNet121 as its README runs it.

Its weights can't be had without a download, so they are seeded random numbers: that changes what it answers, not how long it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import skimage.io
import torch
import torchvision
import torchxrayvision as xrv
from bench.speed.contender import Jobs
from bench.speed.material import FORMS


def jobs(folder: Path) -> Jobs:
    """Return name → job."""
    found: dict[str, Callable[[], Any]] = {
        f"film_{form}": partial(film, folder / FORMS[form]) for form in ("jpeg", "png")
    }
    return found | {"tensor": tensor}


@cache
def network() -> Any:
    """Return the network."""
    torch.manual_seed(0)
    return xrv.models.DenseNet().eval()


@cache
def _noise() -> Any:
    torch.manual_seed(1)
    return torch.rand(1, 1, 224, 224) * 2048 - 1024


def tensor() -> None:
    """A tensor through the network."""
    network()(_noise())


def film(path: Path) -> None:
    """The README's lines."""
    img = skimage.io.imread(path)
    img = xrv.datasets.normalize(img, 255)
    img = img[None, ...] if img.ndim == 2 else img.mean(2)[None, ...]
    transform = torchvision.transforms.Compose([xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(224)])
    img = torch.from_numpy(transform(img))
    network()(img[None, ...])
