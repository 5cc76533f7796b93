"""PNG, JPEG, TIFF, BMP and WebP to a radiograph."""

from __future__ import annotations

import struct
import sys
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from hilum.errors import UnsupportedSyntax
from hilum.images.edge import at_edge
from hilum.images.grey import Grey, grey_of
from hilum.images.limits import Limits, check_size
from hilum.images.sniff import Format
from hilum.records import Array, Radiograph, Source

# Tags of TIFF; EXIF has the last one as well.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION = 258, 262, 274
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The classes are called instead of `Image.open`, which tries other formats and has its own opinion of sizes.
_READERS: dict[Format, type[ImageFile.ImageFile]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
    "WebP": WebPImageFile,
}
_COLOUR = ("P", "PA", "LA", "La", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")
_USED_BITS = (8, 10, 12, 14, 16)


def read_raster(data: bytes, kind: Format, sha256: str, limits: Limits, enough: int | None = None) -> Radiograph:
    """Decode the first frame of ``data``; ``enough``: see ``read_image``.

    Raises UnreadableImage, UnsupportedSyntax or ImageTooLarge.
    """
    problem = (
        f"The {kind} image can't be decoded: it is broken, incomplete or encoded in a way that is not read here. "
        "Export the film again, with 8 or 16 bits per sample."
    )
    return at_edge(problem, lambda: _read(data, kind, sha256, limits, enough))


def _read(data: bytes, kind: Format, sha256: str, limits: Limits, enough: int | None) -> Radiograph:
    if kind == "WebP":
        _check_webp_header(data, limits)
    image = _READERS[kind](BytesIO(data))
    bits, white_is_zero = _bits(image), _white_is_zero(image)
    # Decoded; for colour also its channels apart, and 16 bits of them.
    check_size(image.width, image.height, 28 if image.mode in _COLOUR and bits == 16 else 14, limits)
    notes: tuple[str, ...] = ("the first of several frames",) if getattr(image, "is_animated", False) else ()
    # Pillow turns a TIFF while it loads it and forgets the tag; a PNG's tag may stand behind its pixels.
    turn = image.getexif().get(_ORIENTATION, 1) if kind == "TIFF" else 1
    if isinstance(image, JpegImageFile) and enough is not None:
        notes += _reduce(image, enough)
    image.load()
    grey = _deep_grey(data, image) if bits == 16 and image.mode in ("RGB", "RGBA") else _to_grey(image, bits)
    upright = grey.image
    if kind != "TIFF":
        turn = _orientation(image)
        upright = upright.transpose(_TURNS[turn]) if turn in _TURNS else upright
    pixels, scaled = _scale(upright)
    if white_is_zero and pixels.size and image.mode.startswith("I;16"):
        # Pillow does this itself for 8 bits.
        pixels = 1 - pixels
    notes += grey.notes + scaled + (("polarity inverted",) if white_is_zero else ())
    notes += ("turned upright as its EXIF orientation says",) if turn in _TURNS else ()
    source = Source(kind, pixels.shape[1], pixels.shape[0], bits, sha256, notes=notes)
    return Radiograph(pixels, source, grey.chroma)


def _reduce(image: JpegImageFile, enough: int) -> tuple[str, ...]:
    """Let libjpeg decode a half, a quarter or an eighth of the resolution, the shorter side still ``enough`` pixels; say so.

    Of a film of 2500 × 2048, decoding takes 2 ms less, and all that is done with the film afterwards a quarter of the time.
    """
    divisor = max((d for d in (1, 2, 4, 8) if min(image.size) // d >= enough), default=1)
    if divisor == 1:
        return ()
    # Without a mode, or libjpeg would make the grey of a colour film itself and hide its chroma.
    image.draft(None, (image.width // divisor, image.height // divisor))
    return (f"decoded at 1/{divisor} of its resolution",)


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
    check_size(width, height, 14, limits)


def _bits(image: ImageFile.ImageFile) -> int:
    """Return the bits stored per sample."""
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    if isinstance(image, PngImageFile):
        _, _, depth = _raw_mode(image).partition(";")
        return int(depth.rstrip("BL") or 8) if image.mode != "1" else 1
    return 1 if image.mode == "1" else 8


def _white_is_zero(image: ImageFile.ImageFile) -> bool:
    return isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return Pillow's name for how the samples are stored, such as ``RGB;16B``; empty before none is known."""
    args = image.tile[0].args if image.tile else ""
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1–8; 1 where the EXIF data are broken, as viewers do."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (ValueError, TypeError, SyntaxError, KeyError, IndexError, OSError, struct.error):
        return 1


def _to_grey(image: Image.Image, bits: int) -> Grey:
    """Return the loaded image as ``L`` or ``I;16``."""
    if image.mode in ("L", "1") and "transparency" not in image.info:
        return Grey(image.convert("L"))
    if image.mode.startswith("I;16"):
        return Grey(image)
    if image.mode not in ("L", "1", *_COLOUR):
        raise UnsupportedSyntax(
            f"Samples of {bits} bits, of a kind without an agreed range of grey. "
            "Export the film with 8 or 16 bits per sample, as integers."
        )
    colour, flattened = _flatten(image)
    grey = grey_of(colour)
    return grey._replace(notes=flattened + grey.notes)


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


def _deep_grey(data: bytes, image: ImageFile.ImageFile) -> Grey:
    """Return 16-bit colour as ``I;16``.

    Pillow keeps the upper byte of such samples. Read with the other byte order named, the same file gives the lower.
    """
    low = type(image)(BytesIO(data))
    stored = _raw_mode(low)
    native = "L" if sys.byteorder == "little" else "B"
    swapped = {"L": "B", "B": "L", "N": "B" if native == "L" else "L"}.get(stored[-1:], "")
    if stored[:-1] not in ("RGB;16", "RGBA;16"):
        grey = _to_grey(image, 16)
        return grey._replace(notes=(*grey.notes, "16-bit samples read at 8 bits"))
    low.tile = [tile._replace(args=_swap(tile.args, stored[:-1] + swapped)) for tile in low.tile]
    low.load()
    deep = np.asarray(image).astype(np.uint16) << 8 | np.asarray(low)
    return _deep_luma(deep)


def _swap(args: tuple[object, ...] | str | None, raw_mode: str) -> tuple[object, ...] | str:
    return (raw_mode, *args[1:]) if isinstance(args, tuple) else raw_mode


def _deep_luma(deep: npt.NDArray[np.uint16]) -> Grey:
    """Return H×W×3 or H×W×4 (with alpha) as ``I;16`` (ITU-R 601 luma), what is transparent on black."""
    colour = deep[..., :3]
    luma: Array = colour.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    chroma = float(np.mean(colour.max(axis=2) - colour.min(axis=2), dtype=np.float64)) / 65535
    notes: tuple[str, ...] = ()
    if deep.shape[2] == 4 and deep[..., 3].min() < 65535:
        luma *= np.divide(deep[..., 3], np.float32(65535), dtype=np.float32)
        notes = ("transparent parts shown on black",)
    return Grey(Image.fromarray(np.rint(luma).astype(np.uint16)), chroma, notes)


def _scale(image: Image.Image) -> tuple[Array, tuple[str, ...]]:
    """Return ``L`` or ``I;16`` as float32 0–1, and a note where 16 bits hold fewer."""
    stored = np.asarray(image)
    if stored.dtype == np.uint8:
        return np.divide(stored, np.float32(255), dtype=np.float32), ()
    top = int(stored.max())
    bits = next(bits for bits in _USED_BITS if top < 1 << bits)
    pixels = np.divide(stored, np.float32((1 << bits) - 1), dtype=np.float32)
    return pixels, () if bits == 16 else (f"16-bit samples that use {bits} bits, scaled by those",)
