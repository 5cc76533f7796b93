"""PNG, JPEG, TIFF, BMP and WebP: every kind of sample ends as one film."""

from __future__ import annotations

import hashlib
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hilum.errors import UnsupportedSyntax
from hilum.images import read_image


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(samples: npt.NDArray[Any], colour_type: int) -> bytes:
    """Write a 16-bit PNG of H×W×C samples, which Pillow can't for colour."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows, columns = samples.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in samples)
    header = struct.pack(">IIBBBBB", columns, rows, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def tiff(samples: npt.NDArray[Any], photometric: int, order: str = "<", deflated: bool = False) -> bytes:
    """Write a TIFF of H×W or H×W×C samples, in one strip."""
    rows, columns = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    bits = 8 * samples.itemsize
    strip = samples.astype(samples.dtype.newbyteorder(order)).tobytes()  # type: ignore[arg-type]
    strip = zlib.compress(strip) if deflated else strip
    extra = 8 + 2 + 9 * 12 + 4
    tags = [
        (256, 4, 1, columns),
        (257, 4, 1, rows),
        (258, 3, channels, extra if channels > 2 else bits),
        (259, 3, 1, 8 if deflated else 1),
        (262, 3, 1, photometric),
        (273, 4, 1, extra + 2 * channels),
        (277, 3, 1, channels),
        (278, 4, 1, rows),
        (279, 4, 1, len(strip)),
    ]
    file = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, kind, count, value in tags:
        field = "I" if kind == 4 or count > 1 else "H2x"
        file += struct.pack(f"{order}HHI{field}", tag, kind, count, value)
    file += struct.pack(f"{order}I{channels}H", 0, *[bits] * channels)
    return file + strip


@pytest.fixture
def eight(film: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """The gradient with 8 bits."""
    return (film // 16).astype(np.uint8)


@pytest.mark.parametrize(
    ("kind", "name", "options", "tolerance"),
    [
        ("PNG", "PNG", {}, 0.0),
        ("BMP", "BMP", {}, 0.0),
        ("TIFF", "TIFF", {}, 0.0),
        ("TIFF", "TIFF", {"compression": "tiff_lzw"}, 0.0),
        ("TIFF", "TIFF", {"compression": "tiff_deflate"}, 0.0),
        ("TIFF", "TIFF", {"compression": "packbits"}, 0.0),
        ("WebP", "WEBP", {"lossless": True}, 0.0),
        ("WebP", "WEBP", {"quality": 95}, 0.1),
        ("JPEG", "JPEG", {"quality": 95}, 0.1),
        ("JPEG", "JPEG", {"quality": 95, "progressive": True}, 0.1),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_format_gives_the_same_film(eight, mode, kind, name, options, tolerance) -> None:
    """A grey film of 8 bits comes out of each format as value / 255, with its format, size, bits and hash."""
    data = encode(Image.fromarray(eight).convert(mode), name, **options)
    film = read_image(data)
    np.testing.assert_allclose(film.pixels, eight / 255, atol=tolerance + 1e-7)
    assert (film.pixels.dtype, film.source.format, film.source.bits) == (np.float32, kind, 8)
    assert (film.source.width, film.source.height) == (64, 48)
    assert film.source.sha256 == hashlib.sha256(data).hexdigest()
    assert film.chroma < 0.01
    assert film.source.notes == ()


@pytest.mark.parametrize(
    ("mode", "name"), [("P", "PNG"), ("P", "BMP"), ("LA", "PNG"), ("RGBA", "PNG"), ("CMYK", "TIFF")]
)
def test_every_kind_of_sample_gives_the_same_film(eight, mode, name) -> None:
    """Palettes, opaque alpha and inks that all mean the same grey come out as that grey."""
    film = read_image(encode(Image.fromarray(eight).convert(mode), name))
    np.testing.assert_allclose(film.pixels, eight / 255, atol=1e-6)
    assert film.source.notes == ()


def test_sixteen_bits_keep_their_steps(film) -> None:
    """A 16-bit PNG and TIFF keep more steps than 8 bits could hold."""
    full = film.astype(np.uint16) * 16
    for data in (encode(Image.fromarray(full), "PNG"), encode(Image.fromarray(full), "TIFF"), tiff(full, 1, ">")):
        read = read_image(data)
        np.testing.assert_allclose(read.pixels, full / 65535, atol=1e-6)
        assert (read.source.bits, read.source.notes) == (16, ())
        assert len(np.unique(read.pixels)) > 1000


@pytest.mark.parametrize(("top", "bits"), [(255, 8), (1023, 10), (4095, 12), (10000, 14)])
def test_sixteen_bit_files_of_fewer_bits_are_not_black(top, bits) -> None:
    """A 16-bit file that uses fewer bits is scaled by the bits it uses, and says so."""
    stored = np.linspace(0, top, 600).reshape(20, 30).astype(np.uint16)
    read = read_image(encode(Image.fromarray(stored), "PNG"))
    assert read.pixels.max() == pytest.approx(top / (2**bits - 1))
    assert read.source.notes == (f"16-bit samples that use {bits} bits, scaled by those",)


@pytest.mark.parametrize(
    "write",
    [
        lambda deep: png(deep, 2),
        lambda deep: tiff(deep, 2),
        lambda deep: tiff(deep, 2, ">"),
        lambda deep: tiff(deep, 2, deflated=True),
    ],
)
def test_sixteen_bit_colour_keeps_its_steps(film, write) -> None:
    """16-bit RGB is read with all its bits, not with the upper eight only."""
    deep = np.repeat(film[..., np.newaxis].astype(np.uint16) * 16 + 1, 3, axis=2)
    read = read_image(write(deep))
    np.testing.assert_allclose(read.pixels, deep[..., 0] / 65535, atol=2e-5)
    assert (read.source.bits, read.chroma) == (16, 0.0)


def test_sixteen_bit_alpha_is_shown_on_black(film) -> None:
    """The transparent half of a 16-bit RGBA film is black."""
    deep = np.full((10, 10, 4), 65535, dtype=np.uint16)
    deep[:, :5, 3] = 0
    read = read_image(png(deep, 6))
    assert read.pixels[:, :5].max() == 0
    assert read.pixels[:, 5:].min() == 1
    assert "transparent parts shown on black" in read.source.notes


def test_alpha_is_shown_on_black(eight) -> None:
    """What is transparent is black, whatever colour stands under it, and the film says so."""
    for mode in ("LA", "RGBA"):
        image = Image.new("L", (64, 48), 255).convert(mode)
        image.putalpha(Image.fromarray(np.where(np.arange(64) < 32, 0, 255).astype(np.uint8)[np.newaxis].repeat(48, 0)))
        read = read_image(encode(image, "PNG"))
        assert read.pixels[:, :32].max() == 0
        assert read.pixels[:, 32:].min() == 1
        assert read.source.notes == ("transparent parts shown on black",)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_turns_the_film_upright(eight, name, orientation) -> None:
    """For each of the eight orientations the film comes out as EXIF says it is to be seen."""
    upright = Image.fromarray(eight)
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if name == "WEBP" else {}
    read = read_image(encode(stored, name, exif=exif, **options))
    np.testing.assert_allclose(read.pixels, eight / 255, atol=0.13 if name == "JPEG" else 1e-6)
    assert (read.source.width, read.source.height) == (64, 48)
    assert bool(read.source.notes) == (orientation > 1)


def test_broken_exif_does_not_lose_the_film(eight) -> None:
    """A film with EXIF data that can't be parsed is read as it is stored."""
    data = encode(Image.fromarray(eight), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    np.testing.assert_allclose(read_image(data).pixels, eight / 255, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_of_several_frames_the_first_is_read(eight, name, options) -> None:
    """An animated or paged image gives its first frame and says so."""
    first = Image.fromarray(eight).convert("RGB")
    other = Image.new("RGB", first.size, (255, 0, 0))
    read = read_image(encode(first, name, save_all=True, append_images=[other, other], **options))
    np.testing.assert_allclose(read.pixels, eight / 255, atol=1e-6)
    assert read.source.notes == ("the first of several frames",)


def test_chroma_tells_a_photograph_from_a_film(eight) -> None:
    """Chroma is 0 for grey, the mean spread of the channels for colour, and the film is its luma."""
    colour = Image.merge("RGB", [Image.new("L", (9, 9), value) for value in (200, 100, 50)])
    read = read_image(encode(colour, "PNG"))
    assert read.chroma == pytest.approx(150 / 255)
    assert read.pixels[0, 0] == pytest.approx((0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255, abs=1 / 255)
    assert read.source.notes == ("colour turned to grey",)
    assert read_image(encode(Image.fromarray(eight).convert("RGB"), "PNG")).chroma == 0


@pytest.mark.parametrize("deflated", [False, True])
def test_white_is_zero_is_inverted_once(eight, deflated) -> None:
    """A TIFF in which 0 is white comes out as the film that it shows, with 8 and with 16 bits, and says so."""
    for stored, top in ((255 - eight, 255), (65535 - eight.astype(np.uint16) * 257, 65535)):
        read = read_image(tiff(stored, 0, deflated=deflated))
        np.testing.assert_allclose(read.pixels, eight / 255, atol=1e-6)
        assert read.source.notes == ("polarity inverted",)
        assert read.source.bits == top.bit_length()


def test_one_bit_is_read() -> None:
    """A bilevel image is 0 and 1."""
    stored = np.arange(64).reshape(8, 8) % 3 == 0
    read = read_image(encode(Image.fromarray(stored), "PNG"))
    np.testing.assert_array_equal(read.pixels, stored.astype(np.float32))
    assert read.source.bits == 1


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_samples_without_a_range_are_refused(dtype) -> None:
    """Floats and 32-bit integers have no agreed white, so they are refused by name."""
    with pytest.raises(UnsupportedSyntax, match="32 bits"):
        read_image(encode(Image.fromarray(np.ones((8, 8), dtype=dtype)), "TIFF"))
