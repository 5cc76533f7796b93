"""How large an image may be. Everything here is checked on headers, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from hilum.errors import ImageTooLarge, UnreadableImage

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may cost."""

    max_bytes: int = 64 * _MIB
    """Of the file as given."""
    max_pixels: int = 64_000_000
    """Width × height. The largest flat-panel detectors have about 20 million."""
    max_memory: int = 1024 * _MIB
    """Bytes that decoding may take at its peak, as estimated from the header; a process that decodes DICOM is held to it."""
    max_seconds: int = 30
    """Of computing that decoding DICOM may take. The largest films take 10."""


DEFAULT_LIMITS = Limits()

# What a decoded image costs besides its own samples: the float32 film, and one more while it is being scaled.
_FILM_BYTES = 8


def check_bytes(size: int, limits: Limits) -> None:
    """Raise ImageTooLarge for a file of more than ``limits.max_bytes`` bytes."""
    if size > limits.max_bytes:
        raise ImageTooLarge(
            f"The file is larger than the {limits.max_bytes:,} bytes that one image may have. "
            "Send one film at a time, or raise the limit."
        )


def check_size(width: int, height: int, sample_bytes: int, limits: Limits) -> None:
    """Refuse an image by what its header states; ``sample_bytes`` is all samples of one pixel, decoded.

    Raises UnreadableImage for an empty image, ImageTooLarge beyond the limits.
    """
    if width < 1 or height < 1:
        raise UnreadableImage(
            "The header states an image without pixels (width or height is 0). Export the film again."
        )
    pixels = width * height
    if pixels > limits.max_pixels:
        raise ImageTooLarge(
            f"The header states {width} × {height} = {pixels:,} pixels; at most {limits.max_pixels:,} are read. "
            "Send the film at its own resolution, or raise the limit."
        )
    if pixels * (sample_bytes + _FILM_BYTES) > limits.max_memory:
        raise ImageTooLarge(
            f"Decoding {width} × {height} pixels of {sample_bytes} bytes would take more than the "
            f"{limits.max_memory:,} bytes of memory that one image may. Send a smaller image, or raise the limit."
        )
