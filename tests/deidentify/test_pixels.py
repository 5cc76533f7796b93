"""Pictures in encodings that films seldom come in."""

from __future__ import annotations

import io
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import MPEG2MPML, JPEGBaseline8Bit, JPEGLosslessSV1

from hilum.deidentify import Pseudonyms, Rule, deidentify
from hilum.deidentify.regions import Region
from hilum.errors import UnreadableImage, UnsupportedSyntax
from sentinel import NAME, found_in, gradient, plain_film, written

KEYED = Pseudonyms(b"k" * 32)
CORNER = (Rule((Region(0, 0, 40, 8),)),)
EIGHT = (gradient() >> 4).astype(np.uint8)


def read(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def lossless(data: bytes, folder: Path) -> bytes:
    """Return the file with its pixels as JPEG lossless."""
    before, after = folder / "before.dcm", folder / "after.dcm"
    before.write_bytes(data)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(before))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(after))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return after.read_bytes()


def eight_bit(pixels: bytes, **elements: object) -> pydicom.Dataset:
    film = plain_film(BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=pixels, **elements)
    film["PixelData"].VR = "OB"
    return film


def in_jpeg(**elements: object) -> bytes:
    """Return a film of JPEG baseline, as encoders write it: with a comment and EXIF."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x010E] = NAME
    Image.fromarray(EIGHT).save(file, "JPEG", comment=NAME, exif=exif, quality=95)
    film = eight_bit(encapsulate([file.getvalue()]), **elements)
    film["PixelData"].is_undefined_length = True
    return written(film, JPEGBaseline8Bit)


def test_jpeg_lossless_is_blanked_or_left(tmp_path):
    """GDCM, which ends its process over broken frames, decodes in another; where no region is blanked, nothing is decoded."""
    data = lossless(written(plain_film()), tmp_path)
    assert read(data).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    expected = gradient()
    expected[:8, :40] = 0
    assert np.array_equal(pixel_array(read(deidentify(data, KEYED, rules=CORNER).data)), expected)
    left = read(deidentify(data, KEYED).data)
    frames = [get_frame(film.PixelData, 0, number_of_frames=1).rstrip(b"\0") for film in (read(data), left)]
    assert frames[0] == frames[1]
    broken = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    with pytest.raises(UnreadableImage):
        deidentify(broken, KEYED, rules=CORNER)


def test_jpeg_stays_but_for_its_words():
    """A lossy film is not compressed a second time; comment and EXIF go."""
    data = in_jpeg()
    done = deidentify(data, KEYED)
    assert found_in(data)
    assert not found_in(done.data)
    assert read(done.data).file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert np.array_equal(pixel_array(read(done.data)), pixel_array(read(data)))
    blanked = pixel_array(read(deidentify(data, KEYED, rules=CORNER).data))
    assert blanked[:8, :40].max() == 0
    assert np.array_equal(blanked[8:], pixel_array(read(data))[8:])


def test_a_palette_stays():
    """Indices into a palette are blanked as they are; the palette is a table, and stays."""
    film = eight_bit(EIGHT.tobytes(), PhotometricInterpretation="PALETTE COLOR")
    for tag in (0x00281101, 0x00281102, 0x00281103):
        film.add_new(tag, "US", [256, 0, 16])
        film.add_new(tag + 0x100, "OW", np.arange(0, 65536, 256).astype("<u2").tobytes())
    new = read(deidentify(written(film), KEYED, rules=CORNER).data)
    assert new.PhotometricInterpretation == "PALETTE COLOR"
    assert pixel_array(new)[:8, :40].max() == 0
    assert np.array_equal(pixel_array(new)[8:], EIGHT[8:])
    assert len(new.RedPaletteColorLookupTableData) == 512


def test_video_is_refused():
    """An encoding whose words are not known is not passed on."""
    film = eight_bit(encapsulate([NAME.encode()]))
    film["PixelData"].is_undefined_length = True
    with pytest.raises(UnsupportedSyntax, match="transfer syntax"):
        deidentify(written(film, MPEG2MPML), KEYED)
