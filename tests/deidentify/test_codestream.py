"""Comments go out of compressed frames, the picture stays bit for bit."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

from hilum.deidentify.codestream import blank_jpeg, blank_jpeg_2000
from sentinel import NAME, found_in, gradient, jpeg_comment, plain_film


def compressed(syntax: str) -> bytes:
    dataset = plain_film()
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(syntax)
    return get_frame(dataset.PixelData, 0, number_of_frames=1)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_loses_comments_exif_and_what_follows(progressive):
    """A comment, EXIF and bytes behind the end go; the samples are the same, also where scans are many."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x010E] = NAME
    film = Image.fromarray((gradient() >> 4).astype(np.uint8)).convert("RGB")
    film.save(file, "JPEG", exif=exif, comment=NAME, progressive=progressive, quality=95)
    frame = file.getvalue()
    clean = blank_jpeg(frame + NAME.encode())
    assert found_in(frame)
    assert not found_in(clean)
    assert len(clean) == len(frame)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(clean))), np.asarray(Image.open(io.BytesIO(frame))))


def test_a_comment_between_scans_is_found():
    """Behind a scan, where a marker must be told from the picture's own bytes."""
    film, file = Image.fromarray((gradient() >> 4).astype(np.uint8)), io.BytesIO()
    film.save(file, "JPEG", progressive=True)
    frame = file.getvalue()
    second = frame.index(b"\xff\xda", frame.index(b"\xff\xda") + 2)
    assert not found_in(blank_jpeg(frame[:second] + jpeg_comment(NAME.encode()) + frame[second:]))


def test_jpeg_ls_and_jpeg_2000_lose_their_comments():
    """In JPEG-LS after the start of image, in JPEG 2000 in the main header and in a tile part's."""
    frame = compressed(JPEGLSLossless)
    assert blank_jpeg(frame) == frame.rstrip(b"\0")
    assert not found_in(blank_jpeg(frame[:2] + jpeg_comment(NAME.encode()) + frame[2:]))
    plain = compressed(JPEG2000Lossless)
    comment = b"\xff\x64" + struct.pack(">HH", 4 + len(NAME), 1) + NAME.encode()
    tile = plain.index(b"\xff\x90")
    (length,) = struct.unpack_from(">I", plain, tile + 6)
    lengthened = struct.pack(">I", length + len(comment)) if length else bytes(4)
    told = (
        b"JP2 wrapper of CANARY"
        + plain[:tile]
        + comment
        + plain[tile : tile + 6]
        + lengthened
        + plain[tile + 10 : tile + 12]
        + comment
        + plain[tile + 12 :]
    )
    clean = blank_jpeg_2000(told)
    assert found_in(told)
    assert not found_in(clean)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(clean))), np.asarray(Image.open(io.BytesIO(plain))))


@pytest.mark.parametrize(
    "frame", [b"", b"nothing", b"\xff\xd8\xff\xfe\xff\xff", b"\xff\xd8\xff\xfe\x00\x01\x00\x00", b"\xff\xd8\xff\xfe"]
)
def test_what_is_no_jpeg_is_an_error(frame):
    """A segment that claims more than there is ends in an error, which the caller translates."""
    with pytest.raises((ValueError, struct.error)):
        blank_jpeg(frame)


@pytest.mark.parametrize(
    "frame",
    [b"", b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x51\x00\x04\x00\x00\xff\x90" + bytes(9), b"\xff\x4f\xff\x51\x00\x01"],
)
def test_what_is_no_jpeg_2000_is_an_error(frame):
    """So does JPEG 2000."""
    with pytest.raises((ValueError, struct.error)):
        blank_jpeg_2000(frame)
