"""A JPEG 2000 frame at a lower resolution: its finest wavelet levels are left out, and with them most of the work.

The decoder that pydicom uses always decodes all of them. Pillow carries the same library, OpenJPEG, and lets it stop earlier.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from hilum.images.header import GREY, Header, whole

# How Pillow holds grey frames of up to 8 bits, and of more.
_MODES = {"L": 8, "I;16": 16}


def decode_reduced(frame: bytes, bits: int, header: Header, enough: int) -> tuple[npt.NDArray[Any], int] | None:
    """Return a frame at a half, a quarter … of its resolution, its shorter side still at least ``enough`` pixels, and the divisor.

    ``bits`` is what the frame's own header states. None where that can't be, or would change what a film looks like: its grey scale
    must not depend on single pixels (lowest, highest, padding), which are averaged here.
    """
    levels = (min(header.width, header.height) // enough).bit_length() - 1
    if levels < 1 or not _may_be_averaged(header):
        return None
    for level in range(levels, 0, -1):
        if (stored := _decode(frame, bits, level)) is not None:
            return stored, 1 << level
    return None


def _may_be_averaged(header: Header) -> bool:
    dataset = header.dataset
    scaled = bool(dataset.get("VOILUTSequence")) or dataset.get("WindowWidth") not in (None, "")
    unsigned = whole(dataset, "PixelRepresentation", 0) == 0
    return header.photometric in GREY and unsigned and scaled and dataset.get("PixelPaddingValue") is None


def _decode(frame: bytes, bits: int, level: int) -> npt.NDArray[Any] | None:
    """Return the frame without its ``level`` finest levels; None where Pillow can't, as where it has fewer."""
    image = Jpeg2KImageFile(BytesIO(frame))
    signed = frame[frame.index(b"\xff\x4f\xff\x51") + 42] & 0x80
    if signed or bits > _MODES.get(image.mode, 0):
        return None
    image.reduce = level
    try:
        image.load()
    except OSError:
        return None
    # Pillow moves samples of 9 to 15 bits to the top of their words.
    stored = np.asarray(image)
    return stored if bits <= 8 else stored >> (16 - bits)
