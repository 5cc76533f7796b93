"""JPEG and JPEG 2000 at a lower resolution: only where it can't change what a film looks like."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, RLELossless

from hilum.errors import UnreadableImage
from hilum.images import ENOUGH, read_image

WINDOW = {"WindowCenter": "2000", "WindowWidth": "4000"}


def film(rows: int = 256, columns: int = 200) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns]
    return (2000 + 900 * np.sin(x / 23) + 900 * np.cos(y / 31)).astype(np.uint16)


@pytest.mark.parametrize(("enough", "divisor"), [(ENOUGH, 1), (101, 1), (100, 2), (51, 2), (50, 4), (25, 8), (None, 1)])
@pytest.mark.parametrize("bits", [12, 15, 16])
def test_the_shorter_side_stays_long_enough(make_data_set, compress, enough, divisor, bits):
    """The film is halved as often as its shorter side allows, says so, and shows the same."""
    data = compress(make_data_set(film(), bits, **WINDOW), JPEG2000Lossless)
    read, whole = read_image(data, enough=enough), read_image(data)
    assert read.pixels.shape == (256 // divisor, 200 // divisor)
    assert (read.source.height, read.source.width) == read.pixels.shape
    assert (f"decoded at 1/{divisor} of its resolution" in read.source.notes) == (divisor > 1)
    np.testing.assert_allclose(read.pixels, whole.pixels[::divisor, ::divisor], atol=0.02 * divisor)


def test_eight_bits_are_halved_too(make_data_set, compress):
    """A film of 8 bits comes out at half its resolution."""
    eight = (film() >> 4).astype(np.uint8)
    data = compress(make_data_set(eight, 8, WindowCenter="128", WindowWidth="256"), JPEG2000Lossless)
    read = read_image(data, enough=100)
    np.testing.assert_allclose(read.pixels, read_image(data).pixels[::2, ::2], atol=0.04)


def test_a_size_that_does_not_divide_is_halved_less_often(make_data_set, compress):
    """Where a quarter can't be decoded, half is."""
    data = compress(make_data_set(film(257, 201), **WINDOW), JPEG2000Lossless)
    assert read_image(data, enough=50).pixels.shape == (129, 101)


@pytest.mark.parametrize(
    "elements",
    [{}, {**WINDOW, "PixelPaddingValue": 0}, {**WINDOW, "WindowWidth": ""}, {**WINDOW, "PixelRepresentation": 1}],
)
def test_a_film_whose_grey_scale_hangs_on_single_pixels_is_not(make_data_set, compress, elements):
    """Without a window, with padding or with a sign, the film keeps its resolution."""
    data = compress(make_data_set(film(), **elements), JPEG2000Lossless)
    assert read_image(data, enough=50).pixels.shape == (256, 200)


def test_other_syntaxes_keep_their_resolution(make_data_set, make_dicom, compress):
    """Only JPEG 2000 has levels to leave out."""
    for data in (make_dicom(film(), **WINDOW), compress(make_data_set(film(), **WINDOW), RLELossless)):
        assert read_image(data, enough=50).pixels.shape == (256, 200)


def test_half_a_codestream_is_an_error(make_data_set, compress):
    """A frame that is cut off is an error at a lower resolution too."""
    data = compress(make_data_set(film(), **WINDOW), JPEG2000Lossless)
    with pytest.raises(UnreadableImage):
        read_image(data[: len(data) // 2], enough=50)


def jpeg(picture: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


@pytest.mark.parametrize(("enough", "divisor"), [(ENOUGH, 1), (101, 1), (100, 2), (50, 4), (25, 8), (3, 8), (None, 1)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_is_halved_too(enough, divisor, options):
    """A JPEG's shorter side stays long enough, libjpeg halves three times at most, and the film shows the same."""
    data = jpeg((film() >> 4).astype(np.uint8), **options)
    read, whole = read_image(data, enough=enough), read_image(data)
    assert read.pixels.shape == (256 // divisor, 200 // divisor)
    assert (read.source.height, read.source.width) == read.pixels.shape
    assert read.source.notes == ((f"decoded at 1/{divisor} of its resolution",) if divisor > 1 else ())
    means = whole.pixels.reshape(256 // divisor, divisor, 200 // divisor, divisor).mean(axis=(1, 3))
    np.testing.assert_allclose(read.pixels, means, atol=0.02)


def test_a_halved_photograph_is_still_one():
    """A JPEG in colour keeps its chroma, and one that lies on its side is turned as EXIF says."""
    colour = np.zeros((240, 200, 3), dtype=np.uint8)
    colour[..., 0] = 200
    turned = Image.Exif()
    turned[274] = 6
    read = read_image(jpeg(colour, exif=turned), enough=100)
    assert read.chroma > 0.7
    assert read.pixels.shape == (100, 120)
