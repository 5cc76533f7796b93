"""The first frame of a DICOM image, decoded by a named plugin after its own header was compared with DICOM's."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy.typing as npt
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from hilum.errors import UnreadableImage, UnsupportedSyntax
from hilum.images.header import Header, whole
from hilum.images.jpeg_lossless import decode_lossless
from hilum.images.reduced import decode_reduced

_NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
_LOSSLESS = (uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
# By name: left alone, pydicom takes the first that is installed, which is 3 times slower for JPEG-LS.
_PLUGINS: dict[str, str] = {
    **dict.fromkeys(_NATIVE, ""),
    uid.RLELossless: "pylibjpeg",
    **dict.fromkeys(_JPEG, "pillow"),
    **dict.fromkeys(_LOSSLESS, ""),
    **dict.fromkeys(_JPEG_LS, "pyjpegls"),
    **dict.fromkeys(_JPEG_2000, "pylibjpeg"),
}
# A run of RLE is two bytes for at most 128.
_RLE_RATIO = 64
_END_OF_IMAGE = b"\xff\xd9"


class Codestream(NamedTuple):
    """What a compressed frame says of itself."""

    width: int
    height: int
    samples: int
    bits: int


class Frame(NamedTuple):
    """A decoded frame."""

    stored: npt.NDArray[Any]
    """H×W or H×W×3, integers of 8 or 16 bits."""
    photometric: str
    """Of what was decoded."""
    divisor: int = 1
    """Its resolution is the film's, divided by this."""


def decode_first(header: Header, enough: int | None = None) -> Frame:
    """Decode the first frame. With ``enough``, one of JPEG 2000 may have a shorter side of as few pixels.

    Raises UnsupportedSyntax, UnreadableImage, or whatever a decoder raises.
    """
    if header.syntax not in _PLUGINS:
        raise UnsupportedSyntax(
            "The pixels' transfer syntax is not read here. Expected uncompressed, deflated, RLE, JPEG (8 bit), JPEG "
            "lossless, JPEG-LS or JPEG 2000."
        )
    syntax = header.syntax
    if syntax not in _NATIVE:
        compressed, bits = _checked_frame(header)
        if enough is not None and syntax in _JPEG_2000:
            reduced = decode_reduced(compressed, bits, header, enough)
            if reduced is not None:
                return Frame(reduced[0], header.photometric, reduced[1])
        if syntax in _LOSSLESS:
            header.dataset.PixelData = _decode_lossless(compressed, header)
            header.dataset["PixelData"].VR = "OW"
            header.dataset.NumberOfFrames = 1
            header.dataset.file_meta.TransferSyntaxUID = syntax = uid.ExplicitVRLittleEndian
    # What lies below the stored bits is decoded with them, and then cut off.
    below = header.high_bit + 1 - header.bits
    if below and syntax not in (*_NATIVE, uid.RLELossless):
        raise UnsupportedSyntax("The stored bits do not end at the lowest bit of their word. Export the film again.")
    header.dataset.BitsStored = header.high_bit + 1
    frame, properties = get_decoder(syntax).as_array(header.dataset, index=0, decoding_plugin=_PLUGINS[syntax])
    if frame.shape[:2] != (header.height, header.width):
        raise UnreadableImage("The decoded frame is not of the size that the DICOM header states. Export it again.")
    return Frame(frame >> below if below else frame, str(properties["photometric_interpretation"]))


def _checked_frame(header: Header) -> tuple[bytes, int]:
    """Return the compressed frame and the bits that it states.

    Refuses one that can't be what the DICOM header says: it would decode to any size.
    """
    frame = get_frame(header.dataset.PixelData, 0, number_of_frames=header.frames)
    if header.syntax == uid.RLELossless:
        decoded = header.width * header.height * header.samples * (header.dataset.BitsAllocated // 8)
        if len(frame) * _RLE_RATIO < decoded:
            raise UnreadableImage("The RLE frame is too short for the size that the DICOM header states.")
        return frame, header.bits
    if header.syntax in _JPEG_LS and not frame.rstrip(b"\0").endswith(_END_OF_IMAGE):
        # CharLS spins for seconds on a stream that ends early, and fails at once on one that is closed.
        raise UnreadableImage("The JPEG-LS frame is incomplete: it has no end marker. Export the film again.")
    stream = _jpeg_2000_size(frame) if header.syntax in _JPEG_2000 else _jpeg_size(frame)
    if header.syntax in _JPEG and stream.bits != 8:
        raise UnsupportedSyntax(
            f"JPEG Extended with {stream.bits} bits is not read here. Export the film uncompressed or JPEG lossless."
        )
    if (stream.width, stream.height, stream.samples) != (header.width, header.height, header.samples):
        raise UnreadableImage("The compressed frame's own size is not the one that the DICOM header states.")
    if stream.bits > header.dataset.BitsAllocated:
        raise UnreadableImage("The compressed frame has more bits than the DICOM header states.")
    return frame, stream.bits


def _decode_lossless(frame: bytes, header: Header) -> bytes:
    """Return the samples of a JPEG lossless frame. Raises UnreadableImage."""
    dataset = header.dataset
    size: int = header.width * header.height * header.samples * dataset.BitsAllocated // 8
    signed, planar = whole(dataset, "PixelRepresentation", 0), whole(dataset, "PlanarConfiguration", 0)
    decoded = decode_lossless(
        frame, header.width, header.height, header.samples, dataset.BitsAllocated, header.bits, signed, planar
    )
    if len(decoded) != size:
        raise UnreadableImage("The JPEG lossless frame is broken or incomplete. Export the film again.")
    return decoded + b"\0" * (size % 2)


def _jpeg_size(frame: bytes) -> Codestream:
    """Read the start of frame segment of JPEG or JPEG-LS."""
    place = 2
    while True:
        marker, length = struct.unpack_from(">HH", frame, place)
        # C4, C8 and CC lie among the start of frame markers and are none; F7 is JPEG-LS.
        if (0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC)) or marker == 0xFFF7:
            bits, height, width, samples = struct.unpack_from(">BHHB", frame, place + 4)
            return Codestream(width, height, samples, bits)
        place += 2 + max(length, 2)


def _jpeg_2000_size(frame: bytes) -> Codestream:
    """Read the size segment of JPEG 2000, which comes first in the codestream; a JP2 wrapper is skipped."""
    start = frame.index(b"\xff\x4f\xff\x51")
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    (samples,) = struct.unpack_from(">H", frame, start + 40)
    return Codestream(right - left, bottom - top, samples, (frame[start + 42] & 0x7F) + 1)
