"""DICOM CR, DX and secondary captures to stored values and their shades. The one place where polarity is inverted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.pixels.processing import apply_color_lut

from hilum.images.decoded import Decoded, Facts, Index
from hilum.images.edge import at_edge
from hilum.images.frame import decode_first
from hilum.images.grey import grey_of
from hilum.images.header import GREY, Header, read_header
from hilum.images.limits import Limits
from hilum.images.shades import Flags, Values, shades

_PROBLEM = "The DICOM object is broken or incomplete: it can't be decoded. Export the film again."


def decode(data: bytes, limits: Limits, enough: int | None = None) -> Decoded:
    """Decode the first frame of ``data``, in this process; with ``enough``, as ``read_image`` says.

    Raises UnreadableImage, UnsupportedSyntax or ImageTooLarge.
    """
    return at_edge(_PROBLEM, lambda: _decode(data, limits, enough))


def _decode(data: bytes, limits: Limits, enough: int | None) -> Decoded:
    header = read_header(data, limits)
    frame, photometric, divisor = decode_first(header, enough)
    chroma = 0.0
    if header.photometric in GREY:
        index, table, notes = _film(frame, header)
    else:
        index, table, chroma, notes = _colour_film(frame, photometric, header)
    if divisor > 1:
        notes = (*notes, f"decoded at 1/{divisor} of its resolution")
    if header.frames > 1:
        notes = ("the first of several frames", *notes)
    facts = Facts(header.bits, header.photometric, header.projection, notes, chroma, header.stated)
    return Decoded(index, table.astype(np.float32), facts)


def _film(frame: npt.NDArray[Any], header: Header) -> tuple[Index, Values, tuple[str, ...]]:
    """Turn stored grey values into a film. Each value's shade is worked out once, to be looked up for all pixels."""
    index = frame.view(f"u{frame.itemsize}")
    values = np.arange(1 << 8 * frame.itemsize, dtype=index.dtype).view(frame.dtype).astype(np.float64)
    seen = np.bincount(index.ravel(), minlength=len(values)) > 0
    padding = _padding(values, header)
    # A film that is nothing but padding has no padding.
    padding &= (seen & ~padding).any()
    padded = bool((seen & padding).any())
    table, words = shades(values, seen & ~padding, header.dataset)
    inverted = header.photometric == "MONOCHROME1" or header.dataset.get("PresentationLUTShape") == "INVERSE"
    if inverted:
        table = 1 - table
    table[padding] = 0
    notes = (words, *(("padding shown black",) if padded else ()), *(("polarity inverted",) if inverted else ()))
    return index, table, notes


def _padding(values: Values, header: Header) -> Flags:
    """Mark the stored values that mean "no detector here"."""
    first = header.dataset.get("PixelPaddingValue")
    if first is None:
        return np.zeros(len(values), dtype=bool)
    last = header.dataset.get("PixelPaddingRangeLimit")
    ends = (int(first), int(first if last is None else last))
    # Signed pixels, and an end that was written as an unsigned word.
    low, high = sorted(end - 65536 if end > values.max() and values.min() < 0 else end for end in ends)
    return (values >= low) & (values <= high)


def _colour_film(
    frame: npt.NDArray[Any], photometric: str, header: Header
) -> tuple[Index, Values, float, tuple[str, ...]]:
    bits = header.bits
    if photometric == "PALETTE COLOR":
        frame = apply_color_lut(frame, header.dataset)
        # Some writers put entries of 8 bits into words of 16.
        bits = 8 if frame.max() < 256 else 16
    # Colour is for pictures of films, never for films: 8 bits of it are enough.
    eight = (frame.view(f"u{frame.itemsize}") >> max(bits - 8, 0)).astype(np.uint8)
    grey = grey_of(Image.fromarray(np.ascontiguousarray(eight)))
    table = np.clip(np.arange(256) / ((1 << min(bits, 8)) - 1), 0, 1)
    return np.asarray(grey.image), table, grey.chroma, grey.notes
