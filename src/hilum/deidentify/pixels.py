"""The picture: left compressed as it is, or decoded, blanked where text is burned in, and written uncompressed."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

from hilum.deidentify.codestream import blank_jpeg, blank_jpeg_2000
from hilum.deidentify.regions import Region
from hilum.deidentify.values import tags_of
from hilum.errors import UnreadableImage, UnsupportedSyntax
from hilum.images.apart import decode_apart
from hilum.images.frame import decode_first
from hilum.images.header import Header
from hilum.images.limits import Limits, check_size

Frame = npt.NDArray[Any]

_FRAMES, _PIXELS = 0x00280008, 0x7FE00010

_LITTLE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
_LOSSLESS = (uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG = (
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    *_LOSSLESS,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
)
_JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)


def put_pixels(new: Dataset, source: Dataset, header: Header, regions: tuple[Region, ...], limits: Limits) -> uid.UID:
    """Put the picture of ``source`` and its description into ``new``; return the transfer syntax that it is in.

    Raises UnsupportedSyntax, UnreadableImage, ImageTooLarge, or whatever a decoder raises.
    """
    if header.high_bit != header.bits - 1:
        raise UnsupportedSyntax("The stored bits do not end at the lowest bit of their word. Export the film again.")
    if not (regions or _needs_decoding(source, header)):
        if header.syntax in _LITTLE:
            _describe(new, header, header.photometric)
            _put_native(new, _native(header), header)
            return uid.ExplicitVRLittleEndian
        frames = [_scrubbed(frame, header.syntax) for frame in _compressed(header)]
        _describe(new, header, header.photometric)
        new.PixelData = encapsulate(frames)
        new["PixelData"].VR = "OB"
        new["PixelData"].is_undefined_length = True
        return header.syntax
    check_size(header.width, header.height * header.frames, header.samples * header.dataset.BitsAllocated // 8, limits)
    decoded = [_decoded(one, limits) for one in _one_by_one(header)]
    for frame, photometric in decoded:
        _blank(frame, regions, photometric, header)
    _describe(new, header, decoded[0][1])
    if header.samples > 1:
        new.PlanarConfiguration = 0
    _put_native(new, np.stack([frame for frame, _ in decoded]), header)
    return uid.ExplicitVRLittleEndian


def _needs_decoding(source: Dataset, header: Header) -> bool:
    """Say whether the picture can't be passed on as it is: in an old encoding, or with an overlay among its bits."""
    if header.syntax in _LITTLE:
        return header.photometric == "YBR_FULL_422"
    return header.syntax == uid.ExplicitVRBigEndian or _overlaid(source)


def _overlaid(source: Dataset) -> bool:
    """Say whether an overlay stands in the pixels' unused bits, as it could until 2004."""
    planes = {tag.group for tag in tags_of(source) if tag.group >> 8 == 0x60 and not tag.is_private}
    return any((group, 0x3000) not in source for group in planes)


def _describe(new: Dataset, header: Header, photometric: str) -> None:
    """Write the pixels' description as it was checked, not as it was found."""
    new.Rows, new.Columns, new.SamplesPerPixel = header.height, header.width, header.samples
    new.BitsAllocated, new.BitsStored, new.HighBit = header.dataset.BitsAllocated, header.bits, header.bits - 1
    new.PixelRepresentation = int(_signed(header))
    new.PhotometricInterpretation = photometric
    if header.samples == 1 and "PlanarConfiguration" in new:
        del new.PlanarConfiguration
    if header.frames > 1:
        new.NumberOfFrames = header.frames


def _signed(header: Header) -> bool:
    return bool(header.dataset.get("PixelRepresentation") == 1)


def _native(header: Header) -> Frame:
    """Return all samples of an uncompressed picture, in stored order, without what follows them."""
    kind = f"<{'i' if _signed(header) else 'u'}{header.dataset.BitsAllocated // 8}"
    count = header.width * header.height * header.samples * header.frames
    data: bytes = header.dataset.PixelData
    if len(data) < count * header.dataset.BitsAllocated // 8:
        raise UnreadableImage("The pixel data are shorter than the DICOM header states. Export the film again.")
    return np.frombuffer(data, kind, count)


def _put_native(new: Dataset, samples: Frame, header: Header) -> None:
    """Write samples, their unused bits filled as the standard says: an overlay could stand there."""
    unused = 8 * samples.itemsize - header.bits
    # Shifted up and down again: zeros above an unsigned sample, copies of the sign above a signed one.
    clean = (samples << unused) >> unused if unused else samples
    data = clean.astype(clean.dtype.newbyteorder("<")).tobytes()
    new.PixelData = data + b"\0" * (len(data) % 2)
    new["PixelData"].VR = "OB" if samples.itemsize == 1 else "OW"


def _compressed(header: Header) -> list[bytes]:
    data = header.dataset.PixelData
    return [get_frame(data, index, number_of_frames=header.frames) for index in range(header.frames)]


def _scrubbed(frame: bytes, syntax: uid.UID) -> bytes:
    if syntax in _JPEG:
        return blank_jpeg(frame)
    if syntax in _JPEG_2000:
        return blank_jpeg_2000(frame)
    if syntax == uid.RLELossless:
        return frame  # holds nothing but runs
    raise UnsupportedSyntax(
        "The pixels' transfer syntax can't be de-identified here. Expected uncompressed, deflated, RLE, JPEG, JPEG "
        "lossless, JPEG-LS or JPEG 2000."
    )


def _one_by_one(header: Header) -> list[Header]:
    """Return a header for each frame, as for a film of its own."""
    if header.frames == 1:
        return [header]
    if header.syntax.is_encapsulated:
        parts = [encapsulate([frame]) for frame in _compressed(header)]
    else:
        data: bytes = header.dataset.PixelData
        size = len(data) // header.frames
        parts = [data[index * size : (index + 1) * size] for index in range(header.frames)]
    return [replace(header, dataset=_with_pixels(header.dataset, part), frames=1) for part in parts]


def _with_pixels(dataset: Dataset, pixels: bytes) -> Dataset:
    """Return a copy of a data set, which shares no element that a decoder changes, with these pixels as its only frame."""
    one = Dataset()
    one.update({tag: dataset.get_item(tag) for tag in tags_of(dataset) if tag not in (_PIXELS, _FRAMES)})
    one.file_meta = copy(getattr(dataset, "file_meta", None)) or FileMetaDataset()
    one.PixelData = pixels
    one["PixelData"].VR = "OW"
    one.NumberOfFrames = 1
    return one


def _decoded(header: Header, limits: Limits) -> tuple[Frame, str]:
    """Return the stored values of a film of one frame, and their photometric interpretation.

    Grey is decoded in another process, as all that is read here; colour is not, since that process makes it grey. Raises
    UnsupportedSyntax for colour in an encoding whose decoder ends its own process over broken frames.
    """
    if header.samples == 1:
        index = decode_apart(_file_of(header), limits).index.copy()
        if header.syntax == uid.ExplicitVRBigEndian:
            index = index.byteswap()  # an index into a table of shades may be in the file's order of bytes
        return index.view(f"i{index.itemsize}") if _signed(header) else index, header.photometric
    if header.syntax in _LOSSLESS:
        raise UnsupportedSyntax("Colour in JPEG lossless can't be blanked here. Export the film uncompressed.")
    frame, photometric, _ = decode_first(header)
    return frame.copy(), photometric


def _file_of(header: Header) -> bytes:
    """Return a file of nothing but a picture's samples and what describes them; the values of a palette are samples too."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = header.syntax
    film.SOPClassUID, film.SOPInstanceUID = uid.SecondaryCaptureImageStorage, "2.25.0"
    _describe(film, header, "MONOCHROME2")
    film.add(header.dataset["PixelData"])
    film["PixelData"].is_undefined_length = header.syntax.is_encapsulated
    file = BytesIO()
    dcmwrite(file, film, enforce_file_format=True)
    return file.getvalue()


def _blank(frame: Frame, regions: tuple[Region, ...], photometric: str, header: Header) -> None:
    """Blank rectangles, in place: with the value that is shown black."""
    low = -(1 << header.bits - 1) if frame.dtype.kind == "i" else 0
    black = low + (1 << header.bits) - 1 if photometric == "MONOCHROME1" else low
    for region in regions:
        frame[region.y : region.y + region.height, region.x : region.x + region.width] = black
