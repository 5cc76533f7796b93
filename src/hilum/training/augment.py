"""Random changes to training films, so that neither position nor blur nor exposure gives an answer away."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from hilum.datasets.films import Bytes
from hilum.training.config import Augmentation


def augment(films: Bytes, limits: Augmentation, size: int, generator: torch.Generator) -> Tensor:
    """Return N × size × size float32, 0–1, from N × H × W uint8; every random number comes from ``generator``."""
    return augment_and_tell(films, limits, size, generator)[0]


def augment_and_tell(
    films: Bytes, limits: Augmentation, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return what ``augment`` does, and how each film was turned, scaled and shifted: N×2×3, for ``move``."""
    films = _recompress(films, limits.jpeg, generator)
    affine = _affine(len(films), limits, generator)
    pixels = move(torch.from_numpy(films).float().div_(255), affine).unsqueeze(1)
    pixels = functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    pixels = _expose(pixels, limits, generator)
    pixels = _blur(pixels, limits.blur, generator)
    noise = torch.randn(pixels.shape, generator=generator) * _uniform(len(films), 0, limits.noise, generator)
    return (pixels + noise).clamp_(0, 1).squeeze(1), affine


def move(pictures: Tensor, affine: Tensor) -> Tensor:
    """Return N×H×W pictures turned, scaled and shifted by N×2×3 matrices; what comes in from outside is 0."""
    pictures = pictures.unsqueeze(1)
    grid = functional.affine_grid(affine, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="zeros", align_corners=False).squeeze(1)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return count × 1 × 1 × 1 numbers, one for each film."""
    return torch.rand((count, 1, 1, 1), generator=generator) * (high - low) + low


def _affine(count: int, limits: Augmentation, generator: torch.Generator) -> Tensor:
    def draw(limit: float) -> Tensor:
        return _uniform(count, -limit, limit, generator).flatten()

    angle, scale = draw(math.radians(limits.rotation)), 1 + draw(limits.scale)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    # The grid runs from −1 to 1, so a shift of a share of the side is twice that share.
    top = torch.stack([cos, -sin, draw(2 * limits.shift)], dim=1)
    bottom = torch.stack([sin, cos, draw(2 * limits.shift)], dim=1)
    return torch.stack([top, bottom], dim=1)


def _expose(pixels: Tensor, limits: Augmentation, generator: torch.Generator) -> Tensor:
    gamma = torch.exp(_uniform(len(pixels), -limits.gamma, limits.gamma, generator))
    contrast = 1 + _uniform(len(pixels), -limits.contrast, limits.contrast, generator)
    brightness = _uniform(len(pixels), -limits.contrast, limits.contrast, generator) / 2
    changed = pixels.clamp(1e-4, 1).pow(gamma)
    middle = changed.mean(dim=(2, 3), keepdim=True)
    return ((changed - middle) * contrast + middle + brightness).clamp(0, 1)


def _blur(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Shrink and enlarge a share of the batch, all by one random factor: what a small original looks like."""
    chosen = torch.rand(len(pixels), generator=generator) < share
    side = max(8, round(pixels.shape[-1] * float(torch.rand(1, generator=generator)) * 0.65 + 0.35 * pixels.shape[-1]))
    if not chosen.any():
        return pixels
    small = functional.interpolate(pixels[chosen], (side, side), mode="bilinear", antialias=True)
    pixels[chosen] = functional.interpolate(small, pixels.shape[-2:], mode="bilinear", align_corners=False)
    return pixels


def _recompress(films: Bytes, share: float, generator: torch.Generator) -> Bytes:
    chosen = torch.rand(len(films), generator=generator) < share
    qualities = torch.randint(30, 91, (len(films),), generator=generator)
    films = films.copy()
    for index in chosen.nonzero().flatten().tolist():
        buffer = io.BytesIO()
        Image.fromarray(films[index]).save(buffer, "JPEG", quality=int(qualities[index]))
        films[index] = np.asarray(Image.open(buffer))
    return films
