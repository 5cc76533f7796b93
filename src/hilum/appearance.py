"""What a picture looks like: a chest radiograph, or one of the things that people send by mistake.

A member's last feature map, pooled, goes through one linear layer (softmax over kinds) and is measured against the radiographs that
the members learnt from (a Mahalanobis distance in their principal directions; Lee et al. 2018). Costs two small products.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from hilum.arrays import read_arrays
from hilum.errors import Incompatible
from hilum.normalise import resample
from hilum.records import Appearance, Array, Heatmap, InputSpec, Look

FILM = "film"
"""The kind that is accepted: one frontal chest radiograph of an adult, upright, bright = dense, whole, fit to be read."""
TURNS = {"turned_left": 3, "upside_down": 2, "turned_right": 1}
"""Kind → quarter turns against the clock that set it right."""
INVERTED = "inverted_grey"
SIDE = 256
"""Pixels on each side of the copy that detail is measured on."""
COARSE, FINE = (16, 32), (36, 56)
"""Waves across the film. A film of 64 pixels holds none above 32."""
_WINDOW = np.outer(np.hanning(SIDE), np.hanning(SIDE)).astype(np.float32)
_WAVES = np.hypot(np.fft.fftfreq(SIDE)[:, np.newaxis], np.fft.rfftfreq(SIDE)) * SIDE
_ARRAYS = ("mean", "scale", "weight", "bias", "basis", "spread", "limits")


def look(features: Array, pixels: Array, appearance: Appearance) -> Look:
    """Return what a picture looks like, by a member's last feature map C×h×w and by its own pixels H×W, 0–1."""
    (shares,), (distance,) = measure(features.mean(axis=(1, 2))[np.newaxis], appearance)
    film = appearance.kinds.index(FILM)
    best = int(np.where(np.arange(len(shares)) == film, -1, shares).argmax())
    return Look(
        kind=appearance.kinds[best],
        share=float(shares[best]),
        film=float(shares[film]),
        distance=float(distance) / appearance.distance_limit,
        film_limit=appearance.film_limit,
        detail=detail(pixels),
    )


def detail(pixels: Array) -> float:
    """Return how much fine structure pixels H×W, 0–1, hold beside coarse: log10 of the ratio of their spectral densities.

    The spectrum of a radiograph falls off evenly; that of one that was enlarged from a thumbnail, or moved, breaks off.
    """
    small = resample(pixels, InputSpec(SIDE, SIDE, 1, 1.0, (0.0,), (1.0,)))
    density = np.abs(np.fft.rfft2((small - small.mean()) * _WINDOW)) ** 2
    coarse, fine = (density[(low <= _WAVES) & (high > _WAVES)].mean() for low, high in (COARSE, FINE))
    return float(np.log10(max(fine, 1e-12) / max(coarse, 1e-12)))


def measure(pooled: Array, appearance: Appearance) -> tuple[Array, Array]:
    """Return the shares of the kinds N×K, and the squared distance from films (N,), of pooled features N×C."""
    standard = (pooled - appearance.mean) / appearance.scale
    logits = standard @ appearance.weight + appearance.bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    distances = (((standard @ appearance.basis) / appearance.spread) ** 2).mean(axis=1)
    return powers / powers.sum(axis=1, keepdims=True), distances


def set_right(pixels: Array, kind: str) -> Array | None:
    """Return a turned or inverted picture as it should be; None for a kind that can't be set right."""
    if kind == INVERTED:
        return np.asarray(1 - pixels, dtype=np.float32)
    return np.ascontiguousarray(np.rot90(pixels, TURNS[kind])) if kind in TURNS else None


def turn_back(heatmap: Heatmap, kind: str, width: int, height: int) -> Heatmap:
    """Return a heat map of a film that was set right, on the film as it was given, ``width`` × ``height`` pixels."""
    if kind not in TURNS:
        return heatmap
    # The network's field is centred, so turning the film leaves its middle where it was.
    _, _, across, down = heatmap.box
    if TURNS[kind] % 2:
        across, down = down, across
    box = (width - across) / 2, (height - down) / 2, across, down
    return replace(heatmap, values=np.ascontiguousarray(np.rot90(heatmap.values, -TURNS[kind])), box=box)


def to_npz(appearance: Appearance) -> bytes:
    """Return the record as an .npz file's bytes, weights as float16."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        kinds=np.array(appearance.kinds),
        mean=appearance.mean,
        scale=appearance.scale,
        weight=appearance.weight.astype(np.float16),
        bias=appearance.bias,
        basis=appearance.basis.astype(np.float16),
        spread=appearance.spread,
        limits=np.array([appearance.film_limit, appearance.distance_limit], dtype=np.float32),
    )
    return buffer.getvalue()


def from_npz(content: bytes) -> Appearance:
    """Read what ``to_npz`` wrote; nothing stored is run. Raises ``Incompatible``."""
    named, *stored = read_arrays(content, "gate's record", "kinds", *_ARRAYS)
    if named.ndim != 1 or any(one.dtype.kind not in "fiu" or not one.ndim for one in stored):
        raise Incompatible("The gate's record has something else than numbers in it. Expected a file of hilum's.")
    kinds = tuple(str(kind) for kind in named)
    mean, scale, weight, bias, basis, spread, limits = (one.astype(np.float32) for one in stored)
    size, directions = len(mean), len(spread)
    shapes = (scale.shape, weight.shape, bias.shape, basis.shape, limits.shape)
    if FILM not in kinds or shapes != ((size,), (size, len(kinds)), (len(kinds),), (size, directions), (2,)):
        raise Incompatible("The gate's record has arrays that do not fit each other. Expected a file of hilum's.")
    return Appearance(kinds, mean, scale, weight, bias, basis, spread, float(limits[0]), float(limits[1]))
