"""PNG, JPEG, TIFF, BMP and WebP to a radiograph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from hilum.errors import UnsupportedSyntax
from hilum.images.edge import at_edge
from hilum.images.grey import grey_of
from hilum.images.limits import Limits, check_size
from hilum.images.sniff import Format
from hilum.records import Array, Radiograph, Source

_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The classes are called instead of `Image.open`, which tries other formats and warns about sizes by itself.
_READERS: dict[Format, type[ImageFile.ImageFile]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
    "WebP": WebPImageFile,
}
_WIDTHS = (8, 10, 12, 14, 16)
# Lossy encoders give grey films a trace of colour.
_GREY = 1 / 255


@dataclass(frozen=True, slots=True)
class _Grey:
    """An image as ``L`` or ``I;16``, with what was found on the way."""

    image: Image.Image
    chroma: float = 0.0
    notes: tuple[str, ...] = ()


def read_raster(data: bytes, kind: Format, sha256: str, limits: Limits) -> Radiograph:
    """Decode the first frame of ``data``. Raises UnreadableImage, UnsupportedSyntax or ImageTooLarge."""
    problem = f"The {kind} image is broken or incomplete: it can't be decoded. Export the film again."
    return at_edge(problem, lambda: _read(data, kind, sha256, limits))


def _read(data: bytes, kind: Format, sha256: str, limits: Limits) -> Radiograph:
    if kind == "WebP":
        _check_webp_header(data, limits)
    image = _READERS[kind](BytesIO(data))
    check_size(image.width, image.height, 4, limits)
    bits = _bits(image)
    notes = ("the first of several frames",) if getattr(image, "is_animated", False) else ()
    # Pillow turns a TIFF while it loads it and forgets the tag; elsewhere the tag may only be found by loading.
    turn = image.getexif().get(_ORIENTATION, 1) if kind == "TIFF" else 1
    image.load()
    grey = _to_grey(image, bits)
    if kind != "TIFF":
        turn = image.getexif().get(_ORIENTATION, 1)
        grey = replace(grey, image=grey.image.transpose(_TURNS[turn])) if turn in _TURNS else grey
    pixels, scaled = _scale(grey.image)
    turned = ("turned upright as its EXIF orientation says",) if turn in _TURNS else ()
    notes = (*notes, *grey.notes, *scaled, *turned)
    return Radiograph(pixels, Source(kind, grey.image.width, grey.image.height, bits, sha256, notes=notes), grey.chroma)


def _check_webp_header(data: bytes, limits: Limits) -> None:
    """Refuse a huge canvas before the decoder is made, which allocates it at once."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif chunk == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        height = int.from_bytes(data[28:30], "little") & 0x3FFF
    # Two canvases of four bytes, and the frame that is copied out of them.
    check_size(width, height, 12, limits)


def _bits(image: ImageFile.ImageFile) -> int:
    """Return the bits stored per sample."""
    if isinstance(image, TiffImageFile):
        stored = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
        return int(max(stored))
    rawmode = image.tile[0].args if image.tile else ""
    name = rawmode if isinstance(rawmode, str) else str(rawmode[0] if rawmode else "")
    _, _, depth = name.partition(";")
    digits = "".join(char for char in depth if char.isdigit())
    if digits and isinstance(image, PngImageFile):
        return int(digits)
    return 1 if image.mode == "1" else 8


def _to_grey(image: ImageFile.ImageFile, bits: int) -> _Grey:
    """Return the image as ``L`` or ``I;16``."""
    if image.mode in ("L", "1") and "transparency" not in image.info:
        return _Grey(image.convert("L"))
    if image.mode.startswith("I;16"):
        return _Grey(image)
    if image.mode not in ("L", "1", "P", "RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "PA", "CMYK", "YCbCr"):
        raise UnsupportedSyntax(
            f"Pixels of {bits} bits in Pillow's mode {image.mode!r} have no agreed range of grey. "
            "Export the film with 8 or 16 bits per sample."
        )
    notes = ("16-bit colour read at 8 bits",) if bits == 16 else ()
    colour, flattened = _flatten(image)
    grey, chroma = grey_of(colour)
    return _Grey(
        grey, chroma, (*notes, *flattened, "colour turned to grey") if chroma > _GREY else (*notes, *flattened)
    )


def _flatten(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the image as ``RGB``, what is transparent on black."""
    if not image.has_transparency_data:
        return image.convert("RGB"), ()
    full = image.convert("RGBA")
    alpha = full.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return full.convert("RGB"), ()
    black = Image.new("RGB", full.size)
    black.paste(full.convert("RGB"), mask=alpha)
    return black, ("transparent parts shown on black",)


def _scale(image: Image.Image) -> tuple[Array, tuple[str, ...]]:
    """Return ``L`` or ``I;16`` as float32 0–1, and a note where 16 bits hold fewer."""
    stored = np.asarray(image)
    if stored.dtype == np.uint8:
        return np.divide(stored, np.float32(255), dtype=np.float32), ()
    top = int(stored.max())
    bits = next(bits for bits in _WIDTHS if top < 1 << bits)
    pixels = np.divide(stored, np.float32((1 << bits) - 1), dtype=np.float32)
    return pixels, () if bits == 16 else (f"16-bit samples that use {bits} bits, scaled by those",)
