"""A DICOM file's header: only what a film needs, checked before a pixel is decoded. Names and numbers of patients stay unread."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from hilum.errors import ImageTooLarge, UnreadableImage, UnsupportedSyntax
from hilum.images.limits import Limits, check_size
from hilum.images.scope import PROJECTIONS, stated
from hilum.records import Reason

_KEYWORDS = (
    "Modality",
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "ViewPosition",
    "ViewCodeSequence",
    "PatientOrientation",
    "PatientAge",
    "PatientBirthDate",
    "StudyDate",
    "PresentationIntentType",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "ModalityLUTSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PresentationLUTShape",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "PixelData",
)
_TAGS = [tag for tag in map(tag_for_keyword, _KEYWORDS) if tag is not None]

GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PIECE = 1 << 18
# Of no use once their reasons are known, and personal.
_PERSONAL = ("PatientAge", "PatientBirthDate", "StudyDate")


@dataclass(frozen=True, slots=True)
class Header:
    """The checked header of an image."""

    dataset: Dataset
    """The elements of this module's list, and no other."""
    syntax: UID
    """How the pixels are encoded; deflated is already inflated."""
    width: int
    height: int
    samples: int
    bits: int
    """Stored per sample."""
    high_bit: int
    """Place of the highest of them in their word, 0 the lowest."""
    frames: int
    photometric: str
    projection: str | None
    stated: tuple[Reason, ...]
    """What it says against reading the film."""


def read_header(data: bytes, limits: Limits) -> Header:
    """Parse and check the header. Raises UnreadableImage, UnsupportedSyntax, ImageTooLarge, or what pydicom raises."""
    dataset, syntax = read_data_set(data, limits, _TAGS)
    if "PixelData" not in dataset or not dataset["PixelData"].value:
        raise UnreadableImage("The DICOM object holds no pixel data, or is cut off before them. Expected an image.")
    against = stated(dataset)
    for keyword in _PERSONAL:
        dataset.pop(keyword, None)
    samples, bits, allocated = (whole(dataset, name) for name in ("SamplesPerPixel", "BitsStored", "BitsAllocated"))
    width, height = whole(dataset, "Columns"), whole(dataset, "Rows")
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    _check_encoding(photometric, samples, bits, allocated)
    high_bit = whole(dataset, "HighBit", bits - 1)
    if not bits - 1 <= high_bit < allocated:
        raise UnreadableImage(
            "The DICOM header's High Bit does not fit its Bits Stored and Allocated. Export it again."
        )
    # Decoded, and once more while bits are put in order; an index of 8 bytes, or colours as three floats, twice.
    check_size(width, height, allocated // 4 + 8 if photometric in GREY else allocated // 4 * 3 + 24, limits)
    frames = max(1, whole(dataset, "NumberOfFrames", 1))
    view = str(dataset.get("ViewPosition", "")).strip().upper()
    projection = view if view in PROJECTIONS else None
    return Header(dataset, syntax, width, height, samples, bits, high_bit, frames, photometric, projection, against)


def whole(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """Return a whole number of the header. Raises UnreadableImage where it is negative, or absent without default."""
    value = dataset.get(keyword)
    if value is None or value == "":
        if default is None:
            raise UnreadableImage(f"The DICOM header lacks {keyword}. Export the film again.")
        return default
    number = int(value)
    if number < 0:
        raise UnreadableImage(f"The DICOM header's {keyword} is negative. Export the film again.")
    return number


def real(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value of a decimal element, None where absent. Raises UnreadableImage for NaN or infinity."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return None
    if isinstance(value, list) or hasattr(value, "__len__"):
        value = value[0]
    number = float(value)
    if not math.isfinite(number):
        raise UnreadableImage(f"The DICOM header's {keyword} is not a finite number. Export the film again.")
    return number


def read_data_set(data: bytes, limits: Limits, tags: list[int] | None = None) -> tuple[Dataset, UID]:
    """Parse a data set, of ``tags`` only where they are given; return it with its pixels' transfer syntax.

    Deflated is inflated. Raises ImageTooLarge, or what pydicom raises.
    """
    if (start := _deflated_start(data)) is not None:
        return read_dataset(_inflate(data, start, limits), False, True, specific_tags=tags), ExplicitVRLittleEndian
    # Force: a file without preamble or file meta information is read as well.
    dataset = dcmread(BytesIO(data), force=True, specific_tags=tags)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        implicit, little = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    return dataset, UID(syntax)


def _deflated_start(data: bytes) -> int | None:
    """Return where a deflated data set begins; None for any other transfer syntax."""
    place = 132 if data[128:132] == b"DICM" else 0
    deflated = False
    # File meta information is always explicit, little endian.
    while data[place : place + 2] == b"\x02\0":
        element, vr, length = struct.unpack_from("<H2sH", data, place + 2)
        place += 8
        if vr in (b"OB", b"UN"):
            (length,) = struct.unpack_from("<I", data, place)
            place += 4
        if element == 0x0010:
            deflated = data[place : place + length].rstrip(b"\0 ") == DeflatedExplicitVRLittleEndian.encode()
        place += length
    return place if deflated else None


def _inflate(data: bytes, start: int, limits: Limits) -> BytesIO:
    """Inflate a data set, at most a quarter of the memory limit: it is copied while it is parsed and decoded."""
    most = limits.max_memory // 4
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = BytesIO()
    # In pieces: asked for all at once, zlib holds everything twice.
    for place in range(start, len(data), _PIECE):
        piece = data[place : place + _PIECE]
        while piece and not inflater.eof:
            inflated.write(inflater.decompress(piece, 16 * _PIECE))
            piece = inflater.unconsumed_tail
            if inflated.tell() > most:
                raise ImageTooLarge(
                    f"The deflated data set is larger than {most:,} bytes. Send one film, not deflated."
                )
    inflated.seek(0)
    return inflated


def _check_encoding(photometric: str, samples: int, bits: int, allocated: int) -> None:
    if photometric not in GREY and photometric not in _COLOUR:
        raise UnsupportedSyntax(
            "The DICOM header's Photometric Interpretation is absent or not read here. "
            f"Expected one of {', '.join((*GREY, *_COLOUR))}."
        )
    if samples != (1 if photometric in (*GREY, "PALETTE COLOR") else 3):
        raise UnreadableImage(f"{samples} samples per pixel do not fit {photometric}. Export the film again.")
    if allocated not in (8, 16) or not 1 <= bits <= allocated:
        raise UnsupportedSyntax(f"{bits} bits stored in {allocated} are not read. Expected up to 8 in 8 or 16 in 16.")
