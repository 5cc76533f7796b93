"""From a radiograph to what a network takes, and from the network's field back to the film's own pixels.

Serving and training both call this, so neither can drift from the other.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from hilum.records import Array, InputSpec, Radiograph

Box = tuple[float, float, float, float]


def field_of_view(width: int, height: int, spec: InputSpec) -> Box:
    """Return the part of a ``width`` × ``height`` film that the network sees: x, y, width, height in film pixels."""
    if spec.crop == "whole":
        return 0.0, 0.0, float(width), float(height)
    scale = min(width / spec.width, height / spec.height)
    seen_width, seen_height = spec.width * scale, spec.height * scale
    return (width - seen_width) / 2, (height - seen_height) / 2, seen_width, seen_height


def resample(pixels: Array, spec: InputSpec) -> Array:
    """Resample H×W pixels to the input's height × width, 0–1, with antialiasing (triangle filter)."""
    rows, columns = pixels.shape
    x, y, width, height = field_of_view(columns, rows, spec)
    film = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    resized = film.resize(
        (spec.width, spec.height), Image.Resampling.BILINEAR, box=(x, y, x + width, y + height), reducing_gap=2.0
    )
    return np.asarray(resized, dtype=np.float32)


def scale_pixels(pixels: Array, spec: InputSpec) -> Array:
    """Return ``(p * scale - mean) / std`` for pixels … × H × W in 0–1, as … × C × H × W (or … × H × W × C)."""
    axis = -3 if spec.layout == "NCHW" else -1
    shape = (spec.channels, 1, 1) if spec.layout == "NCHW" else (spec.channels,)
    mean = np.asarray(spec.mean, dtype=np.float32).reshape(shape)
    std = np.asarray(spec.std, dtype=np.float32).reshape(shape)
    return (np.expand_dims(pixels, axis) * np.float32(spec.scale) - mean) / std


def network_input(resampled: Array, spec: InputSpec) -> Array:
    """Return ``resample``'s pixels as the network takes them: float32, 1×C×H×W (``NCHW``) or 1×H×W×C (``NHWC``)."""
    return np.ascontiguousarray(scale_pixels(resampled[np.newaxis], spec), dtype=np.float32)


def normalise(image: Radiograph, spec: InputSpec) -> Array:
    """Return a film as the network takes it: ``resample``, then ``network_input``."""
    return network_input(resample(image.pixels, spec), spec)
