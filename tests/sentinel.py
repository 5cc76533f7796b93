"""Films full of sentinels: names, numbers and dates that stand in every place where a film can hold them, and nowhere else."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

NAME = "CANARY^QUENTIN"
NUMBER = "8675309142"
DATE = "19371213"
SENTINELS = ("canary", "quentin", NUMBER, DATE)

_TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
_NEEDED = (
    "SpecificCharacterSet",
    "Modality",
    "PhotometricInterpretation",
    "SOPClassUID",
    "VOILUTFunction",
    "PresentationLUTShape",
    "BurnedInAnnotation",
    "RescaleType",
)
_SOP_CLASS = UID("1.2.840.10008.5.1.4.1.1.1.1")


def found_in(data: bytes | str) -> list[str]:
    """Return the sentinels that stand in some bytes, in any case, also in UTF-16."""
    raw = data.encode() if isinstance(data, str) else data
    lowered = raw.lower()
    return [name for name in SENTINELS if name.encode() in lowered or name.encode("utf-16-le") in lowered]


def gradient(rows: int = 96, columns: int = 80) -> npt.NDArray[np.uint16]:
    """Return an uneven 12-bit film that passes the gate."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    return np.rint(4000 * np.clip(0.3 + 0.4 * x + 0.2 * np.sin(9 * y), 0, 1)).astype(np.uint16)


def put(dataset: Dataset, tag: int, vr: str, value: bytes | str) -> None:
    """Put a value into a data set as it stands, however wrong it is."""
    data = value.encode() if isinstance(value, str) else value
    data += b"\0" * (len(data) % 2)
    dataset[Tag(tag)] = RawDataElement(Tag(tag), vr, len(data), data, 0, False, True)


def plain_film(stored: npt.NDArray[np.uint16] | None = None, **elements: object) -> Dataset:
    """Return a DX film with the identifiers that every film has."""
    stored = gradient() if stored is None else stored
    dataset = Dataset()
    dataset.SOPClassUID = _SOP_CLASS
    dataset.SOPInstanceUID = f"1.2.{NUMBER}.1"
    dataset.StudyInstanceUID = f"1.2.{NUMBER}.2"
    dataset.SeriesInstanceUID = f"1.2.{NUMBER}.3"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, "CANARY-1", DATE
    dataset.Modality, dataset.ViewPosition, dataset.BodyPartExamined = "DX", "PA", "CHEST"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def full_film() -> Dataset:
    """Return a film with a sentinel in every attribute of the dictionary that holds text, a UID, a date or items."""
    dataset = plain_film()
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if tag >> 16 < 8 or tag >> 16 in (0x7FE0, 0xFFFA, 0xFFFC, 0xFFFE) or keyword in _NEEDED:
            continue
        if vr in _TEXT and keyword not in ("ViewPosition", "BodyPartExamined"):
            put(dataset, tag, vr, NAME if vr == "PN" else "CANARY")
        elif vr == "UI" and keyword not in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            put(dataset, tag, vr, f"1.2.{NUMBER}.{tag}")
        elif vr in ("DA", "DT"):
            put(dataset, tag, vr, DATE)
        elif vr == "SQ" and "LUT" not in keyword:
            dataset[tag] = DataElement(tag, "SQ", Sequence([named()]))
    for tag in (0x00081140, 0x00082112, 0x00540220, 0x00082218, 0x00089215, 0x00101002, 0x00400275):
        dataset[tag] = DataElement(tag, "SQ", Sequence([item(), item()]))
    put(dataset, 0x60003000, "OW", b"CANARY^QUENTIN..")
    put(dataset, 0x60004000, "LT", NAME)
    put(dataset, 0x50000010, "US", NAME)
    put(dataset, 0x00090010, "LO", "CANARY")
    put(dataset, 0x00091001, "UN", NAME)
    dataset[0x00091002] = DataElement(0x00091002, "SQ", Sequence([item()]))
    dataset.VOILUTSequence = Sequence([lut()])
    return dataset


@cache
def full_film_bytes(syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return ``full_film`` as a file."""
    return written(full_film(), syntax)


def named() -> Dataset:
    """Return a sequence's item with no more than a name."""
    made = Dataset()
    put(made, 0x00100010, "PN", NAME)
    return made


def item(depth: int = 2) -> Dataset:
    """Return a sequence's item with a name, a code, a reference and private data, and others below it."""
    made = Dataset()
    made.PatientName, made.CodeMeaning, made.CodeValue, made.CodingSchemeDesignator = NAME, "CANARY", "CANARY", "DCM"
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = _SOP_CLASS, f"1.2.{NUMBER}.1"
    made.ContentDate = DATE
    put(made, 0x00090010, "LO", "CANARY")
    if depth:
        made.ReferencedImageSequence = Sequence([item(depth - 1)])
        made.PurposeOfReferenceCodeSequence = Sequence([item(depth - 1)])
        made.RequestAttributesSequence = Sequence([item(depth - 1)])
    return made


def lut() -> Dataset:
    """Return a VOI LUT whose explanation is a name."""
    made = Dataset()
    made.add_new(0x00283002, "US", [4096, 0, 16])
    made.LUTExplanation = "CANARY"
    made.add_new(0x00283006, "OW", np.arange(0, 65536, 16).astype("<u2").tobytes())
    return made


def written(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the file's bytes, with sentinels in its preamble and file meta information."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.ImplementationClassUID, meta.ImplementationVersionName = UID("1.2.3"), "CANARY"
    meta.SourceApplicationEntityTitle = "CANARY"
    dataset.file_meta = meta
    dataset.preamble = (NAME.encode() * 10)[:128]
    if syntax == ExplicitVRLittleEndian:
        dataset.set_original_encoding(False, True, "iso8859")  # what was put in as it stands is written as it stands
    file = io.BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def rasters() -> Iterator[tuple[str, bytes]]:
    """Yield PNG, JPEG and TIFF films with sentinels in text chunks, comments and EXIF."""
    film = Image.fromarray((gradient() >> 4).astype(np.uint8))
    info, exif = PngInfo(), Image.Exif()
    info.add_text("Patient", NAME)
    info.add_text("Comment", NAME, zip=True)
    info.add_itxt("Title", NAME)
    for tag in (0x010E, 0x013B, 0x8298, 0x9286):
        exif[tag] = NAME
    for kind, options in {
        "PNG": {"pnginfo": info, "exif": exif},
        "JPEG": {"comment": NAME, "exif": exif},
        "TIFF": {"exif": exif},
    }.items():
        file = io.BytesIO()
        film.save(file, kind, **options)
        yield kind.lower(), file.getvalue()


def jpeg_comment(text: bytes) -> bytes:
    """Return JPEG's comment segment."""
    return b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text
