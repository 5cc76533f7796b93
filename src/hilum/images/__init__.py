"""Bytes to a radiograph: the only door through which an image enters."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from hilum.errors import UnreadableImage
from hilum.images.apart import decode_apart
from hilum.images.limits import DEFAULT_LIMITS, Limits, check_bytes
from hilum.images.raster import read_raster
from hilum.images.sniff import sniff
from hilum.records import Radiograph

__all__ = ["DEFAULT_LIMITS", "ENOUGH", "Limits", "read_bytes", "read_image"]

ENOUGH = 1024
"""Pixels of a film's shorter side that networks and screens have no use for more of."""


def read_image(source: str | Path | bytes, limits: Limits = DEFAULT_LIMITS, enough: int | None = None) -> Radiograph:
    """Read one film, from its bytes or from the file at a path: float32, H×W, 0–1, bright = dense.

    With ``enough``, a film may come at a half, a quarter … of its resolution, its shorter side still at least so many pixels, where
    that saves much: of JPEG, and of DICOM in JPEG 2000 with a window. Its notes say so, and its size is the one it came in.

    Its format is told by its content, never by its name. DICOM is decoded in another process. Raises UnreadableImage,
    UnsupportedSyntax or ImageTooLarge, whose messages neither name the file nor repeat what stands in it, and Busy where no
    process can be started.
    """
    data = source if isinstance(source, bytes) else read_bytes(Path(source), limits)
    check_bytes(len(data), limits)
    kind = sniff(data)
    sha256 = hashlib.sha256(data).hexdigest()
    if kind == "DICOM":
        return decode_apart(data, limits, enough).film(sha256)
    return read_raster(data, kind, sha256, limits, enough)


def read_bytes(path: Path, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return a regular file's bytes, at most one more than the limit allows. Raises UnreadableImage, without its name."""
    problem = "The file can't be read. Check that it exists and may be read."
    try:
        # A pipe or a device would block or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            problem = "This is not a regular file. Expected one image file."
        else:
            with path.open("rb") as file:
                return file.read(limits.max_bytes + 1)
    except (OSError, ValueError):
        # ValueError: a zero byte in the path. The error's own text names the path, which may name a patient.
        pass
    raise UnreadableImage(problem)
