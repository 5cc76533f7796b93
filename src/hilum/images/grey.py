"""Colour to grey, and how colourful it was."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageStat


def grey_of(image: Image.Image) -> tuple[Image.Image, float]:
    """Return an ``RGB`` image as ``L`` (ITU-R 601 luma) with its chroma.

    Chroma is the mean over pixels of (max − min over R, G, B) / 255, 0–1. Equal channels come out unchanged.
    """
    red, green, blue = image.split()
    high = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    low = ImageChops.darker(ImageChops.darker(red, green), blue)
    return image.convert("L"), ImageStat.Stat(ImageChops.subtract(high, low)).mean[0] / 255
