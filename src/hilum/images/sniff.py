"""Which format some bytes are in, by what they hold. Names and declared types are never looked at."""

from __future__ import annotations

from typing import Literal

from hilum.errors import UnreadableImage, UnsupportedSyntax

Format = Literal["PNG", "JPEG", "TIFF", "BMP", "WebP", "DICOM"]

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Known but not read: naming them helps more than "unknown" does.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\0\0\0\x0cjP  ", "a bare JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a bare JPEG 2000 codestream"),
    (b"\x89HDF", "an HDF5 file"),
)


def sniff(data: bytes) -> Format:
    """Return the format of ``data``. Raises UnreadableImage or, for a format known but not read, UnsupportedSyntax."""
    if not data:
        raise UnreadableImage("The file is empty. Expected a PNG, JPEG, TIFF, BMP, WebP or DICOM image.")
    # First, because a DICOM preamble of 128 bytes may hold anything, such as a TIFF header.
    if data[128:132] == b"DICM":
        return "DICOM"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(_TIFF):
        return "TIFF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if _is_bare_dicom(data):
        return "DICOM"
    if data.startswith(b"BM"):
        return "BMP"
    for magic, name in _OTHERS:
        if data.startswith(magic):
            raise UnsupportedSyntax(f"This is {name}. Export the film as PNG, JPEG, TIFF, BMP, WebP or DICOM.")
    raise UnreadableImage("Unknown format. Expected a PNG, JPEG, TIFF, BMP, WebP or DICOM image.")


def _is_bare_dicom(data: bytes) -> bool:
    """Say whether a DICOM data set begins at once: group 0002 or 0008, a low element, a value that fits."""
    return len(data) >= 16 and (_begins_data_set(data, "little") or _begins_data_set(data, "big"))


def _begins_data_set(data: bytes, order: Literal["little", "big"]) -> bool:
    group, element = int.from_bytes(data[0:2], order), int.from_bytes(data[2:4], order)
    if group not in (2, 8) or element > 0x70:
        return False
    explicit = data[4:6].isalpha() and data[4:6].isupper()
    return explicit or int.from_bytes(data[4:8], order) <= len(data)
