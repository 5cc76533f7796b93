"""DICOM: polarity, rescale, windows, tables, padding, and every transfer syntax gives the same film."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

from hilum.errors import UnreadableImage, UnsupportedSyntax
from hilum.images import read_image

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def whole_range(film):
    return (film.astype(float) - film.min()) / (film.max() - film.min())


def table(entries, first: int, bits: int, count: int | None = None) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries) if count is None else count, first, bits]
    item.LUTData = [int(entry) for entry in entries]
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def jpeg(stored, **options) -> bytes:
    file = BytesIO()
    Image.fromarray(stored).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def test_a_film_has_its_facts(make_dicom, film) -> None:
    """Format, size, bits, photometric interpretation and projection are in the source; the pixels are float32 0–1."""
    read = read_image(make_dicom())
    np.testing.assert_allclose(read.pixels, whole_range(film), atol=1e-6)
    assert read.pixels.dtype == np.float32
    assert read.chroma == 0
    source = read.source
    assert (source.format, source.width, source.height, source.bits) == ("DICOM", 64, 48, 12)
    assert (source.photometric_interpretation, source.projection) == ("MONOCHROME2", "PA")


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
    ],
)
@pytest.mark.parametrize("window", [{}, {"WindowCenter": "2000", "WindowWidth": "3000"}])
def test_polarity_is_inverted_once(make_dicom, photometric, shape, inverted, window) -> None:
    """MONOCHROME1, INVERSE or both invert the film once, after the window; the source keeps what was stored."""
    shapes = {} if shape is None else {"PresentationLUTShape": shape}
    plain = read_image(make_dicom(**window))
    read = read_image(make_dicom(PhotometricInterpretation=photometric, **shapes, **window))
    np.testing.assert_allclose(read.pixels, 1 - plain.pixels if inverted else plain.pixels, atol=1e-6)
    assert read.source.photometric_interpretation == photometric
    assert ("polarity inverted" in read.source.notes) == inverted


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless]
)
def test_lossless_syntaxes_give_the_same_film(make_dicom, make_data_set, compress, film, syntax) -> None:
    """Uncompressed, deflated and RLE films are the same to the last bit."""
    data = compress(make_data_set(), syntax) if syntax == RLELossless else make_dicom(syntax=syntax)
    np.testing.assert_array_equal(read_image(data).pixels, read_image(make_dicom()).pixels)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [False, True])
def test_modern_lossless_syntaxes_give_the_same_film(make_dicom, make_data_set, compress, film, syntax, signed) -> None:
    """JPEG-LS and JPEG 2000 films are the same to the last bit, signed ones too."""
    stored = (film.astype(np.int16) - 2000) if signed else film
    plain = read_image(make_dicom(stored))
    np.testing.assert_array_equal(read_image(compress(make_data_set(stored), syntax)).pixels, plain.pixels)


@pytest.mark.parametrize("bits", [8, 12])
def test_jpeg_lossless_gives_the_same_film(make_dicom, film, lossless, bits) -> None:
    """JPEG lossless films are the same to the last bit."""
    data = make_dicom(film if bits == 12 else (film // 16).astype(np.uint8), bits)
    np.testing.assert_array_equal(read_image(lossless(data)).pixels, read_image(data).pixels)


def test_big_endian_gives_the_same_film(make_dicom, make_data_set, write, film) -> None:
    """A big-endian file is the same film, its look-up table too."""
    entries = np.linspace(0, 65535, 4096)
    tables = {"VOILUTSequence": [table(entries, 0, 16)]}
    swapped = make_data_set(film, **tables)
    swapped.PixelData = film.astype(">u2").tobytes()
    big = read_image(write(swapped, ExplicitVRBigEndian)).pixels
    np.testing.assert_array_equal(big, read_image(make_dicom(film, **tables)).pixels)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit])
def test_eight_bit_jpeg_is_read(make_data_set, write, film, syntax) -> None:
    """JPEG baseline, and Extended that holds 8 bits, give about the same film."""
    eight = (film // 16).astype(np.uint8)
    dataset = make_data_set(eight, 8)
    dataset.PixelData = encapsulate([jpeg(eight)])
    dataset["PixelData"].is_undefined_length = True
    np.testing.assert_allclose(read_image(write(dataset, syntax)).pixels, whole_range(eight), atol=0.15)


def test_twelve_bit_jpeg_is_refused_by_name(make_data_set, write, film) -> None:
    """12-bit JPEG Extended, which no permissive decoder reads, is named in the refusal."""
    frame = jpeg((film // 16).astype(np.uint8))
    place = frame.index(b"\xff\xc0") + 4
    dataset = make_data_set(film)
    dataset.PixelData = encapsulate([frame[:place] + b"\x0c" + frame[place + 1 :]])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnsupportedSyntax, match="JPEG Extended with 12 bits"):
        read_image(write(dataset, JPEGExtended12Bit))


def test_unknown_syntaxes_are_refused(make_dicom) -> None:
    """A transfer syntax that is not read, such as MPEG, is refused with those that are."""
    with pytest.raises(UnsupportedSyntax, match="JPEG-LS"):
        read_image(make_dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))


def test_a_file_without_preamble_or_meta_is_read(make_dicom, make_data_set) -> None:
    """A bare data set, implicit or explicit, is told by its first elements."""
    plain = read_image(make_dicom()).pixels
    np.testing.assert_array_equal(read_image(make_dicom()[132:]).pixels, plain)
    for implicit in (True, False):
        file = BytesIO()
        make_data_set().save_as(file, implicit_vr=implicit, little_endian=True)
        np.testing.assert_array_equal(read_image(file.getvalue()).pixels, plain)


@pytest.mark.parametrize("preamble", [b"MZ", b"<html><script>", b"II*\0", b"\x89PNG\r\n\x1a\n"])
def test_a_preamble_may_hold_anything(make_dicom, preamble) -> None:
    """What stands in the preamble is neither run nor believed: the file is DICOM."""
    data = make_dicom()
    assert read_image(preamble.ljust(128, b"\0") + data[128:]).source.format == "DICOM"


@pytest.mark.parametrize(
    ("function", "centre", "width", "expected"),
    [
        (None, 2000, 1000, lambda x: (x - 1999.5) / 999 + 0.5),
        ("LINEAR", 2000, 1000, lambda x: (x - 1999.5) / 999 + 0.5),
        ("LINEAR_EXACT", 2000, 1000, lambda x: (x - 2000) / 1000 + 0.5),
        ("SIGMOID", 2000, 1000, lambda x: 1 / (1 + np.exp(-4 * (x - 2000) / 1000))),
        ("LINEAR", 2000, 1, lambda x: (x > 1999.5) * 1.0),
    ],
)
def test_windows_follow_the_standard(make_dicom, function, centre, width, expected) -> None:
    """The three VOI LUT functions are PS3.3's formulas, after rescale, and the first of several windows is used."""
    functions = {} if function is None else {"VOILUTFunction": function}
    windows = {"WindowCenter": [str(2 * centre - 100), "7"], "WindowWidth": [str(2 * width), "7"]}
    if width == 1:
        windows = {"WindowCenter": [str(centre), "7"], "WindowWidth": ["1", "7"]}
        read = read_image(make_dicom(RAMP, **windows, **functions))
        np.testing.assert_allclose(read.pixels, expected(RAMP.astype(float)), atol=1e-5)
        return
    read = read_image(make_dicom(RAMP, RescaleSlope="2", RescaleIntercept="-100", **windows, **functions))
    values = 2 * RAMP.astype(float) - 100
    # The same formula at twice the scale: centre 2c − 100, width 2w.
    linear = (values - (2 * centre - 100.5)) / (2 * width - 1) + 0.5
    exact = expected((values + 100) / 2)
    np.testing.assert_allclose(read.pixels, np.clip(linear if function in (None, "LINEAR") else exact, 0, 1), atol=1e-5)


def test_a_voi_lut_goes_before_a_window(make_dicom) -> None:
    """The first VOI LUT is used where there is one, with the values beside it clipped to its ends."""
    entries = np.linspace(100, 4000, 1000).astype(int)
    read = read_image(make_dicom(RAMP, VOILUTSequence=[table(entries, 500, 12)], WindowCenter="2000", WindowWidth="10"))
    expected = entries[np.clip(RAMP.astype(int) - 500, 0, 999)] / 4095
    np.testing.assert_allclose(read.pixels, expected, atol=1e-6)
    assert "shown by its VOI LUT" in read.source.notes


def test_a_voi_lut_may_begin_below_zero(make_dicom) -> None:
    """A first mapped value that is negative, written as an unsigned word, is taken as negative."""
    entries = np.linspace(0, 65535, 4096).astype(int)
    stored = (RAMP.astype(int) - 2048).astype(np.int16)
    read = read_image(make_dicom(stored, VOILUTSequence=[table(entries, 65536 - 2048, 16)]))
    np.testing.assert_allclose(read.pixels, entries.reshape(64, 64) / 65535, atol=1e-6)


def test_a_modality_lut_is_applied(make_dicom) -> None:
    """A modality LUT comes before the window."""
    entries = 4095 - np.arange(4096)
    read = read_image(
        make_dicom(RAMP, ModalityLUTSequence=[table(entries, 0, 16)], WindowCenter="2048", WindowWidth="4096")
    )
    np.testing.assert_allclose(read.pixels, entries.reshape(64, 64) / 4095, atol=1e-3)


def test_a_table_shorter_than_it_says_is_refused(make_dicom) -> None:
    """A look-up table with fewer entries than its descriptor states is an error."""
    with pytest.raises(UnreadableImage, match="look-up table"):
        read_image(make_dicom(VOILUTSequence=[table([1, 2, 3], 0, 12, count=4096)]))


@pytest.mark.parametrize("window", [("100000", "10"), ("2000", "0"), ("2000", "-5")])
def test_a_window_that_shows_nothing_is_not_used(make_dicom, film, window) -> None:
    """A window beside all values, or of no width, gives the whole range instead of a blank film, and says so."""
    read = read_image(make_dicom(WindowCenter=window[0], WindowWidth=window[1]))
    np.testing.assert_allclose(read.pixels, whole_range(film), atol=1e-6)
    assert "lowest" in read.source.notes[0]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("value", [0, 4095])
def test_padding_is_black_and_does_not_count(make_dicom, photometric, value) -> None:
    """Padding is left out of the range and comes out black in either polarity."""
    stored = np.linspace(1000, 2000, 400).reshape(20, 20).astype(np.uint16)
    stored[:5] = value
    read = read_image(make_dicom(stored, PixelPaddingValue=value, PhotometricInterpretation=photometric))
    assert read.pixels[:5].max() == 0
    expected = (stored[5:].astype(float) - stored[5].min()) / (2000 - stored[5].min())
    inverted = photometric == "MONOCHROME1"
    np.testing.assert_allclose(read.pixels[5:], 1 - expected if inverted else expected, atol=1e-6)
    assert "padding shown black" in read.source.notes


def test_a_padding_range_is_black(make_dicom) -> None:
    """All values between padding value and range limit are padding."""
    stored = np.tile(np.array([0, 3, 7, 1000, 2000], dtype=np.uint16), (4, 1))
    read = read_image(make_dicom(stored, PixelPaddingValue=7, PixelPaddingRangeLimit=0))
    np.testing.assert_array_equal(read.pixels[0], [0, 0, 0, 0, 1])


def test_signed_padding_is_black(make_dicom) -> None:
    """A negative padding value is found among signed pixels."""
    stored = np.tile(np.array([-2000, -1000, 0, 1000], dtype=np.int16), (4, 1))
    read = read_image(make_dicom(stored, 16, PixelPaddingValue=-2000))
    np.testing.assert_allclose(read.pixels[0], [0, 0, 0.5, 1], atol=1e-6)


def test_unused_bits_do_not_reach_the_film(make_dicom, film) -> None:
    """Bits above those stored, where old devices keep overlays, are cut off."""
    np.testing.assert_array_equal(read_image(make_dicom(film | 0xF000)).pixels, read_image(make_dicom(film)).pixels)


def test_of_several_frames_the_first_is_read(make_dicom, film) -> None:
    """A multi-frame object gives its first frame and says so."""
    both = film.tobytes() + np.zeros_like(film).tobytes()
    read = read_image(make_dicom(NumberOfFrames=2, PixelData=both))
    np.testing.assert_array_equal(read.pixels, read_image(make_dicom()).pixels)
    assert "the first of several frames" in read.source.notes


def test_a_blank_film_is_read(make_dicom) -> None:
    """A film of one value is black, not a division by zero."""
    assert read_image(make_dicom(np.full((8, 8), 77, dtype=np.uint16))).pixels.max() == 0


def test_colour_captures_become_grey(make_dicom, make_data_set, write) -> None:
    """An RGB capture is its luma, with its chroma; a grey one has none."""
    stored = np.zeros((10, 10, 3), dtype=np.uint8)
    stored[:] = (200, 100, 50)
    read = read_image(make_dicom(stored, 8, Modality="OT"))
    assert read.chroma == pytest.approx(150 / 255)
    assert read.pixels[0, 0] == pytest.approx(124.2 / 255, abs=1 / 255)
    grey = np.repeat(np.arange(100, dtype=np.uint8).reshape(10, 10, 1), 3, axis=2)
    read = read_image(make_dicom(grey, 8, Modality="OT"))
    np.testing.assert_allclose(read.pixels, grey[..., 0] / 255, atol=1e-6)
    assert (read.chroma, read.source.notes) == (0, ())


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_rle.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_ybr_full_422_uncompressed.dcm"],
)
def test_other_writers_colours_agree(name) -> None:
    """pydicom's own colour captures, written by several toolkits, show the same red bar first."""
    path = get_testdata_file(name, download=False)
    read = read_image(str(path))
    assert read.pixels[5, 50] == pytest.approx(0.299, abs=0.02)
    assert read.chroma == pytest.approx(0.448, abs=0.01)


def test_a_projection_is_a_known_code_or_nothing(make_dicom) -> None:
    """View Position is taken where it is a defined term; free text is not repeated."""
    assert read_image(make_dicom(ViewPosition="LL ")).source.projection == "LL"
    assert read_image(make_dicom(ViewPosition="MR DOE")).source.projection is None


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"Rows": None}, "lacks Rows"),
        ({"Rows": 0}, "without pixels"),
        ({"PhotometricInterpretation": None}, "Photometric"),
        ({"PhotometricInterpretation": "CANARY"}, "Photometric"),
        ({"SamplesPerPixel": 3}, "samples per pixel"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 bits stored"),
        ({"HighBit": 10}, "High Bit"),
        ({"HighBit": 16}, "High Bit"),
        ({"RescaleSlope": "1e300"}, "rescale"),
        ({"Rows": 480}, "broken or incomplete"),
    ],
)
def test_headers_that_do_not_fit_are_refused(make_dicom, elements, message) -> None:
    """A header that lacks something or contradicts the pixels gives an error that says what."""
    with pytest.raises((UnreadableImage, UnsupportedSyntax), match=message):
        read_image(make_dicom(**elements))


def test_a_compressed_frame_of_another_size_is_refused(make_data_set, compress, write, film) -> None:
    """The compressed frame's own size must be the header's, whatever would come out of it."""
    other = compress(make_data_set(np.zeros((64, 32), dtype=np.uint16)), JPEG2000Lossless)
    frame = get_frame(dcmread(BytesIO(other)).PixelData, 0, number_of_frames=1)
    dataset = make_data_set(film)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableImage, match="own size"):
        read_image(write(dataset, JPEG2000Lossless))
