"""Compressed frames without what encoders and viewers write beside the picture: comments, EXIF, thumbnails.

The bytes are overwritten with zeros where they stand, so the picture's own bytes and all offsets stay as they are; what
follows the end of the picture is cut off. Raises ValueError or struct.error for a frame that is not what it should be.
"""

from __future__ import annotations

import re
import struct

_START = b"\xff\xd8"
# In a scan: a byte of 255 that begins a marker, in JPEG (where 0 follows one of the picture) and in JPEG-LS (below 128).
# Restart markers belong to the scan.
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]", re.DOTALL)
# What decoders need to know the colours by: Adobe's transform, HP's for JPEG-LS, and JFIF without a thumbnail.
_NEEDED = ((0xE0, b"JFIF\0", 14), (0xEE, b"Adobe", 12), (0xE8, b"mrfx", 5))
_JPEG_2000 = b"\xff\x4f\xff\x51"


def blank_jpeg(frame: bytes) -> bytes:
    """Return a frame of JPEG or JPEG-LS with its comments and application segments blanked."""
    if not frame.startswith(_START):
        raise ValueError("no start of image")
    out, place = bytearray(frame), 2
    while (found := _MARKER.search(out, place)) is not None:
        marker, start = out[found.start() + 1], found.end()
        if marker == 0xD9:
            return bytes(out[:start])
        (length,) = struct.unpack_from(">H", out, start)
        place = start + length
        if length < 2 or place > len(out):
            raise ValueError("a segment beyond the end of the frame")
        if marker == 0xFE or (0xE0 <= marker <= 0xEF and not _is_needed(marker, out[start + 2 : place])):
            out[start + 2 : place] = bytes(length - 2)
    return bytes(out)


def _is_needed(marker: int, payload: bytearray) -> bool:
    return any(
        marker == wanted and payload.startswith(name) and len(payload) == length for wanted, name, length in _NEEDED
    )


def blank_jpeg_2000(frame: bytes) -> bytes:
    """Return the codestream of a JPEG 2000 frame, out of a file format around it, with its comments blanked."""
    out = bytearray(frame[frame.index(_JPEG_2000) :])
    place = _blank_header(out, 2, 0xFF90)
    while (marker := out[place : place + 2]) == b"\xff\x90":
        (length,) = struct.unpack_from(">I", out, place + 6)
        end = place + length if length else len(out)
        if end <= place + 12 or end > len(out):
            raise ValueError("a tile part beyond the end of the frame")
        _blank_header(out, place + 12, 0xFF93)
        place = end
    return bytes(out[: place + 2]) if marker == b"\xff\xd9" else bytes(out)


def _blank_header(out: bytearray, place: int, last: int) -> int:
    """Blank the comments of a header that begins at ``place``; return where its ``last`` marker stands."""
    while True:
        (marker,) = struct.unpack_from(">H", out, place)
        if marker == last:
            return place
        (length,) = struct.unpack_from(">H", out, place + 2)
        if marker < 0xFF00 or length < 2 or place + 2 + length > len(out):
            raise ValueError("a segment beyond the end of the header")
        if marker == 0xFF64:
            out[place + 6 : place + 2 + length] = bytes(max(0, length - 4))
        place += 2 + length
