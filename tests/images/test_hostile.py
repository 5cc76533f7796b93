"""Broken and hostile files end in an error of ours, soon, small, and silent about whom they show."""

from __future__ import annotations

import io
import logging
import struct
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from hilum.errors import HilumError, ImageTooLarge, InputError, UnreadableImage, UnsupportedSyntax
from hilum.images import DEFAULT_LIMITS, Limits, read_image

CANARY = "CANARY"
# Examples are cheap; the fixtures they share are never changed.
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def encode(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def check(data: bytes) -> None:
    """Read ``data``: a sound film or an error of ours that names nobody."""
    film = None
    try:
        film = read_image(data)
    except InputError as error:
        refused = error
    if film is None:
        assert CANARY not in str(refused)
        assert refused.__context__ is None
        return
    assert film.pixels.dtype == np.float32
    assert film.pixels.shape == (film.source.height, film.source.width)
    assert 0 <= film.pixels.min() <= film.pixels.max() <= 1
    assert 0 <= film.chroma <= 1
    assert CANARY not in repr(film.source)


@FUZZ
@given(data=st.binary(max_size=400))
def test_random_bytes_are_an_error(data: bytes) -> None:
    """No bytes whatever end in anything but a film or an error of ours."""
    check(data)


@FUZZ
@given(
    start=st.sampled_from(
        [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"BM", b"RIFF0000WEBPVP8 ", b"\x08\0\x05\0UI"]
    ),
    data=st.binary(max_size=400),
)
def test_random_bytes_behind_a_signature_are_an_error(start: bytes, data: bytes) -> None:
    """A right signature before random bytes changes nothing of that."""
    check(start + data)
    check(b"\0" * 128 + b"DICM" + data)


@FUZZ
@given(data=st.data())
def test_damaged_files_are_films_or_errors(real_files, data) -> None:
    """Real files, cut off and with flipped bits, end in a sound film or an error of ours."""
    name = data.draw(st.sampled_from(sorted(real_files)))
    damaged = bytearray(real_files[name])
    for _ in range(data.draw(st.integers(0, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    check(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]) if data.draw(st.booleans()) else bytes(damaged))


def test_every_real_file_is_read_and_no_half_is(real_files) -> None:
    """Each film of the fixture is read whole; its first half is an error, never a half-grey film."""
    for data in real_files.values():
        read_image(data)
        with pytest.raises(UnreadableImage):
            read_image(data[: len(data) // 2])


def test_an_empty_file_is_an_error() -> None:
    """No bytes at all are an error that says so."""
    with pytest.raises(UnreadableImage, match="empty"):
        read_image(b"")


@pytest.mark.parametrize("start", [b"%PDF-1.7", b"GIF89a", b"PK\x03\x04", b"\x89HDF\r\n"])
def test_known_formats_that_are_not_read_are_named(start) -> None:
    """A PDF or an archive is refused as what it is."""
    with pytest.raises(UnsupportedSyntax, match="Export the film as PNG"):
        read_image(start + b"\0" * 200)


def test_a_name_is_never_believed_nor_repeated(tmp_path, film) -> None:
    """A PNG named .jpg is a PNG; errors about paths do not repeat them."""
    path = tmp_path / "CANARY_Quentin_1950.jpg"
    path.write_bytes(encode(Image.fromarray(film), "PNG"))
    assert read_image(path).source.format == read_image(str(path)).source.format == "PNG"
    assert CANARY not in repr(read_image(path).source)
    broken = tmp_path / "CANARY.png"
    broken.write_bytes(b"nothing")
    for source in (tmp_path / "CANARY.dcm", tmp_path, broken, str(path) + "\0", "/dev/zero"):
        with pytest.raises(UnreadableImage) as caught:
            read_image(source)
        assert CANARY not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
        assert caught.value.__context__ is None


def test_bytes_are_limited_before_they_are_read(tmp_path) -> None:
    """A file above the limit is refused, and no more of it is read than the limit."""
    path = tmp_path / "film.png"
    with path.open("wb") as file:
        file.truncate(1 << 34)
    limits = Limits(max_bytes=1000)
    with pytest.raises(ImageTooLarge, match="1,000 bytes"):
        read_image(path, limits)
    with pytest.raises(ImageTooLarge, match="1,000 bytes"):
        read_image(bytes(1001), limits)


def huge_png(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10_000_000))), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def huge_tiff(side: int) -> bytes:
    tags = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 122), (277, 1), (278, side), (279, 100)]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(104)


def huge_webp(side: int) -> bytes:
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (side - 1).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


@pytest.mark.parametrize("make", [huge_png, huge_tiff, huge_webp])
@pytest.mark.parametrize("side", [16_000, 60_000])
def test_huge_sizes_are_refused_by_their_header(make, side) -> None:
    """An image that states a huge size is refused before anything of that size is made."""
    data = make(side)
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLarge, match="pixels"):
            read_image(data)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_huge_bmp_and_jpeg_are_refused_by_their_header(film) -> None:
    """So are a BMP and a JPEG whose headers were changed."""
    bmp = bytearray(encode(Image.fromarray((film // 16).astype(np.uint8)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 30_000, 30_000)
    jpeg = bytearray(encode(Image.fromarray((film // 16).astype(np.uint8)), "JPEG"))
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    for data in (bmp, jpeg):
        with pytest.raises(ImageTooLarge, match="pixels"):
            read_image(bytes(data))


def test_memory_is_limited_too(film) -> None:
    """An image within the pixels but beyond the memory is refused."""
    with pytest.raises(ImageTooLarge, match="memory"):
        read_image(encode(Image.fromarray(film), "PNG"), Limits(max_memory=10_000))


def test_a_deflate_bomb_is_refused(make_dicom) -> None:
    """A deflated data set that inflates beyond a quarter of the memory limit is given up there."""
    data = make_dicom(syntax=DeflatedExplicitVRLittleEndian)
    (length,) = struct.unpack_from("<I", data, 140)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(20)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLarge, match="deflated"):
            read_image(data[: 144 + length] + bomb, Limits(max_memory=16 << 20))
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


def test_an_rle_frame_too_short_for_its_size_is_refused(make_data_set, write) -> None:
    """An RLE frame that states 7,000 × 7,000 in a few bytes is refused unread."""
    frame = struct.pack("<16I", 2, 64, 66, *[0] * 13) + bytes(4)
    dataset = make_data_set(Rows=7000, Columns=7000, PixelData=encapsulate([frame]))
    dataset["PixelData"].is_undefined_length = True
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage, match="too short"):
            read_image(write(dataset, RLELossless))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_dicom_sizes_are_limited(make_dicom) -> None:
    """Rows and Columns beyond the limit are refused before the pixels are looked at."""
    with pytest.raises(ImageTooLarge, match="pixels"):
        read_image(make_dicom(Rows=16_000, Columns=16_000))


def test_an_rle_frame_that_overflows_is_an_error(make_data_set, write) -> None:
    """An RLE frame that holds more than its size, on which the decoder panics, is an error like any other."""
    segment = b"\x81\x00" * 64
    frame = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13) + segment * 2
    dataset = make_data_set(Rows=48, Columns=64, PixelData=encapsulate([frame]))
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableImage):
        read_image(write(dataset, RLELossless))


def test_a_jpeg_ls_frame_that_ends_early_is_refused_at_once(make_data_set, compress, write) -> None:
    """A JPEG-LS frame without its end, on which the decoder spins for seconds, is refused unread."""
    dataset = make_data_set()
    compress(dataset, JPEGLSLossless)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    begun = time.perf_counter()
    for length in range(60, 180, 7):
        dataset.PixelData = encapsulate([frame[:length]])
        with pytest.raises(UnreadableImage, match="no end marker"):
            read_image(write(dataset, JPEGLSLossless))
    assert time.perf_counter() - begun < 5


def test_a_broken_jpeg_lossless_frame_ends_only_its_own_process(make_data_set, write) -> None:
    """A JPEG lossless frame on which GDCM ends its process is an error in ours."""
    header = b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 11, 12, 48, 64, 1) + b"\x01\x11\x00"
    dataset = make_data_set()
    for scan in (b"", b"\xff\xda\x00\x08\x01\x01\x00\x07\x00\x00" + b"\xaa" * 500 + b"\xff\xd9", b"\xff\xc4\x00\x02"):
        dataset.PixelData = encapsulate([header + scan])
        dataset["PixelData"].is_undefined_length = True
        with pytest.raises(UnreadableImage):
            read_image(write(dataset, JPEGLosslessSV1))


def test_thousands_of_nested_sequences_are_an_error(make_dicom) -> None:
    """5,000 sequences inside one another are an error, not a crash."""
    data = make_dicom()
    nested = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    place = data.index(struct.pack("<HH2s", 0x0028, 0x0002, b"US"))
    with pytest.raises(UnreadableImage):
        read_image(data[:place] + nested * 5000)


def test_every_cut_of_a_dicom_file_is_an_error(make_dicom) -> None:
    """Wherever an uncompressed DICOM file is cut off, the rest is an error."""
    data = make_dicom()
    for length in range(0, len(data), 97):
        with pytest.raises((UnreadableImage, UnsupportedSyntax)):
            read_image(data[:length])


@pytest.fixture
def root_log():
    """Everything that reaches the process's own log, from DEBUG on."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def telling_files(make_data_set, write, film) -> list[bytes]:
    """Films with a name in every place that a decoder is known to quote, sound and broken."""
    codes = ("ViewPosition", "Modality", "PhotometricInterpretation", "VOILUTFunction", "PresentationLUTShape")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sound = write(
            make_data_set(film, SpecificCharacterSet=CANARY, PatientBirthDate=CANARY, StudyInstanceUID=CANARY)
        )
        files = [sound, sound[:-50], *(write(make_data_set(film, **{code: CANARY})) for code in codes)]
        numbers = write(make_data_set(film, WindowCenter="1.2345678", WindowWidth="10"))
        files.append(numbers.replace(b"1.2345678 ", b"CANARY^Qu "))
    info, exif = PngInfo(), Image.Exif()
    info.add_text("Comment", CANARY)
    exif[0x010E] = CANARY
    png = encode(Image.fromarray(film), "PNG", pnginfo=info, exif=exif)
    return [*files, png, png[:200], encode(Image.fromarray(film), "TIFF", exif=exif)]


def test_nothing_personal_is_said(telling_files, root_log, capfd) -> None:
    """Names in headers reach no message, note, warning, log record or output, in sound files and in broken ones."""
    assert all(CANARY.encode() in data for data in telling_files)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for data in telling_files:
            check(data)
    assert not said
    assert CANARY not in root_log.getvalue()
    assert CANARY not in "".join(capfd.readouterr())


def test_warnings_are_silent_only_inside(real_files) -> None:
    """Reading films in several threads leaves the process's warning filters as they were."""
    with warnings.catch_warnings():
        before = list(warnings.filters)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(check, list(real_files.values()) * 5))
        assert list(warnings.filters) == before
        with pytest.warns(UserWarning, match="heard"):
            warnings.warn("heard", UserWarning, stacklevel=1)


def test_interrupts_are_not_swallowed(film, monkeypatch) -> None:
    """What is no error, such as a keyboard interrupt, passes through the edge to the decoders."""

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    data = encode(Image.fromarray(film), "PNG")
    monkeypatch.setattr("hilum.images.raster.check_size", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_image(data)


def test_running_out_of_memory_is_said(film, monkeypatch) -> None:
    """Where there is no memory for an image, it is too large."""

    def exhausted(*args: object) -> None:
        raise MemoryError

    data = encode(Image.fromarray(film), "PNG")
    monkeypatch.setattr("hilum.images.raster.check_size", exhausted)
    with pytest.raises(ImageTooLarge, match="memory"):
        read_image(data)


def test_jpeg_baseline_without_its_end_is_an_error(make_data_set, write, film) -> None:
    """A JPEG frame inside DICOM that is cut off is an error, not a half-grey film."""
    frame = encode(Image.fromarray((film // 16).astype(np.uint8)), "JPEG")
    dataset = make_data_set((film // 16).astype(np.uint8), 8, PixelData=encapsulate([frame[: len(frame) // 2]]))
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableImage):
        read_image(write(dataset, JPEGBaseline8Bit))


def test_limits_are_stated() -> None:
    """The default limits hold the largest detectors' films and not much more."""
    assert Limits() == DEFAULT_LIMITS
    assert DEFAULT_LIMITS.max_pixels >= 20_000_000
    assert issubclass(ImageTooLarge, HilumError)
