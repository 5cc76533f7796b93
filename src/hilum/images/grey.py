"""Colour to grey, and how colourful it was."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image, ImageChops, ImageStat

# Lossy encoders give grey films a trace of colour.
_TRACE = 1 / 255


class Grey(NamedTuple):
    """A grey image with the chroma, 0–1, of the colours it was made of."""

    image: Image.Image
    """``L`` or ``I;16``."""
    chroma: float = 0.0
    notes: tuple[str, ...] = ()


def grey_of(image: Image.Image) -> Grey:
    """Return an ``RGB`` image as ``L`` (ITU-R 601 luma) with its chroma.

    Chroma is the mean over pixels of (max − min over R, G, B) / 255, 0–1. Equal channels come out unchanged.
    """
    red, green, blue = image.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        return Grey(red)
    high = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    low = ImageChops.darker(ImageChops.darker(red, green), blue)
    chroma = ImageStat.Stat(ImageChops.subtract(high, low)).mean[0] / 255
    return Grey(image.convert("L"), chroma, ("colour turned to grey",) if chroma > _TRACE else ())
