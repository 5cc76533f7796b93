"""How a script without hilum would read a film: the usual library for each format, all pixels decoded, one resize."""

from __future__ import annotations

import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from bench.speed.material import SIZE
from PIL import Image


def film_pixels(data: bytes, form: str) -> Any:
    """Return a file's film as 224×224 pixels, float32, 0–1."""
    if form in ("dicom", "j2k"):
        import pydicom

        dataset = pydicom.dcmread(BytesIO(data))
        pixels = dataset.pixel_array.astype(np.float32) / (2**dataset.BitsStored - 1)
        picture = Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return np.asarray(picture)
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR), dtype=np.float32) / 255


@cache
def scaling(folder: Path, name: str) -> tuple[Any, Any, Any]:
    """Return scale, mean and standard deviation of a network's input."""
    spec = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return spec["scale"], np.float32(spec["mean"]), np.float32(spec["std"])


def network_input(pixels: Any, folder: Path, name: str) -> Any:
    """Return pixels as a network takes them, 1×224×224×3."""
    scale, mean, std = scaling(folder, name)
    return ((pixels[..., np.newaxis] * scale - mean) / std)[np.newaxis].astype(np.float32)
