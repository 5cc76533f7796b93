"""One film's bytes in, the same film without its patient out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from typing import Literal

from pydicom import dcmwrite, uid
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from hilum.deidentify.pixels import put_pixels
from hilum.deidentify.profile import EDITION
from hilum.deidentify.pseudonyms import Pseudonyms
from hilum.deidentify.rebuild import Plan, rebuild
from hilum.deidentify.regions import Region, Rule, regions_for
from hilum.deidentify.values import text_of
from hilum.errors import BurnedInText, UnreadableImage, UnsupportedSyntax
from hilum.images import DEFAULT_LIMITS, Limits
from hilum.images.edge import at_edge
from hilum.images.header import Header, read_data_set, read_header
from hilum.images.limits import check_bytes
from hilum.images.sniff import sniff

BurnedIn = Literal["no", "cleaned", "unknown"]

OPTIONS = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
}
"""What can be done, as DICOM's codes (PS3.16, CID 7050)."""

_CLASSES = (
    uid.ComputedRadiographyImageStorage,
    uid.DigitalXRayImageStorageForPresentation,
    uid.DigitalXRayImageStorageForProcessing,
    uid.SecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
)
_MODALITIES = ("CR", "DX", "RG", "SC", "OT")
_PROBLEM = "The DICOM object is broken or incomplete: it can't be de-identified. Export the film again."


@dataclass(frozen=True, slots=True)
class Deidentified:
    """A film without its patient, and what was done to it."""

    data: bytes
    """A DICOM file."""
    uid: str
    """Its new SOP Instance UID, which may name the file."""
    counts: Mapping[str, int]
    """Attributes by what became of them."""
    options: tuple[str, ...]
    """Keys of OPTIONS."""
    burned_in: BurnedIn
    """Whether text is burned into the picture, as far as the header and the rules say."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return hashlib.sha256(self.data).digest()


def deidentify(
    data: bytes,
    pseudonyms: Pseudonyms,
    *,
    rules: Iterable[Rule] = (),
    shift_dates: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Deidentified:
    """Return the film in ``data`` without its patient, by PS3.15 Annex E.

    ``rules``: where devices burn text in. ``shift_dates``: dates and times stay, moved by an offset of the patient's own.

    Raises BurnedInText where the header says that there is text in the picture and no rule says where; UnsupportedSyntax
    for what is no CR, DX or secondary capture object, UnreadableImage or ImageTooLarge. No message repeats what stands in
    the file.
    """
    check_bytes(len(data), limits)
    if (kind := sniff(data)) != "DICOM":
        raise UnsupportedSyntax(
            f"This is a {kind} image, which has no header that says whether text is burned in. Only DICOM is de-identified."
        )
    return at_edge(_PROBLEM, lambda: _deidentify(data, pseudonyms, tuple(rules), shift_dates, limits))


def _deidentify(
    data: bytes, pseudonyms: Pseudonyms, rules: tuple[Rule, ...], shift_dates: bool, limits: Limits
) -> Deidentified:
    header = read_header(data, limits)
    source, _ = read_data_set(data, limits)
    _check_identity(source)
    regions = _regions(source, header, rules)
    patient = _text(source, "PatientID") or _text(source, "StudyInstanceUID")
    offset = pseudonyms.offset(patient) if shift_dates else None
    plan = Plan(pseudonyms, offset, header.dataset.get("PixelRepresentation") == 1)
    new = rebuild(source, plan)
    new.PatientID = new.PatientName = pseudonyms.patient(patient)
    syntax = put_pixels(new, source, header, regions, limits)
    options = ("basic", *(("pixels",) if regions else ()), *(("dates",) if shift_dates else ()))
    if regions:
        new.BurnedInAnnotation = "NO"
    _say_what_was_done(new, options)
    burned_in: BurnedIn = "cleaned" if regions else "no" if new.get("BurnedInAnnotation") == "NO" else "unknown"
    return Deidentified(_written(new, syntax), str(new.SOPInstanceUID), dict(plan.counts), options, burned_in)


def _text(source: Dataset, keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    return "" if tag is None else text_of(source, tag)


def _check_identity(source: Dataset) -> None:
    """Refuse other objects, whose text is their content, and those that nothing could be keyed to."""
    if _text(source, "SOPClassUID") not in _CLASSES:
        raise UnsupportedSyntax(
            "Objects of this SOP class are not de-identified here. Expected computed or digital radiography, or a "
            "secondary capture."
        )
    if _text(source, "Modality") not in _MODALITIES:
        raise UnsupportedSyntax(f"This is no projection radiograph. Expected one of modality {', '.join(_MODALITIES)}.")
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not _text(source, keyword):
            raise UnreadableImage(f"The DICOM header lacks {keyword}. Export the film again.")


def _regions(source: Dataset, header: Header, rules: tuple[Rule, ...]) -> tuple[Region, ...]:
    names = _text(source, "Manufacturer"), _text(source, "ManufacturerModelName")
    regions = regions_for(rules, *names, header.height, header.width)
    if not regions and _text(source, "BurnedInAnnotation").upper() not in ("NO", ""):
        raise BurnedInText(
            "The header says that text is burned into the picture, and no rule says where. Look at the film, and write a "
            "rule for its device into the file of regions."
        )
    return regions


def _say_what_was_done(new: Dataset, options: tuple[str, ...]) -> None:
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = [f"hilum {version('hilum')}", f"DICOM PS3.15 {EDITION} Annex E"]
    new.DeidentificationMethodCodeSequence = Sequence([_code(*OPTIONS[option]) for option in options])
    new.LongitudinalTemporalInformationModified = "MODIFIED" if "dates" in options else "REMOVED"


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _written(new: Dataset, syntax: uid.UID) -> bytes:
    """Return a file with a preamble of zeros and file meta information of its own."""
    new.file_meta = FileMetaDataset()
    new.file_meta.TransferSyntaxUID = syntax
    new.file_meta.ImplementationVersionName = f"HILUM {version('hilum')}"[:16]
    new.preamble = bytes(128)
    file = BytesIO()
    dcmwrite(file, new, enforce_file_format=True)
    return file.getvalue()
