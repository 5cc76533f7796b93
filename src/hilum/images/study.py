"""Whose film it is: what stands in a DICOM header of patient, study and instance, for results that go back to them.

This is patient data. It is read apart from the film, passed beside the analysis to the writers that need it, and put
into nothing else: no log line, no error, no file name.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from hilum.images.edge import at_edge
from hilum.images.header import read_data_set
from hilum.images.limits import DEFAULT_LIMITS, Limits
from hilum.images.sniff import sniff

_PROBLEM = "The DICOM header is broken or incomplete: it can't be read. Export the film again."

KEYWORDS: dict[str, str] = {
    "sop_class": "SOPClassUID",
    "sop_instance": "SOPInstanceUID",
    "series": "SeriesInstanceUID",
    "study": "StudyInstanceUID",
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "patient_id_issuer": "IssuerOfPatientID",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "study_description": "StudyDescription",
    "referring_physician": "ReferringPhysicianName",
    "orientation": "PatientOrientation",
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "manufacturer_model": "ManufacturerModelName",
    "frames": "NumberOfFrames",
    "burned_in": "BurnedInAnnotation",
}
"""Field of ``StudyContext`` → DICOM keyword."""


@dataclass(frozen=True, slots=True, repr=False)
class StudyContext:
    """What a header says of patient, study and instance. Texts as they stand there; empty where nothing does.

    Several values of one element are joined by a backslash, as DICOM writes them. There is no ``repr`` of the values on
    purpose: one that slips into a log would carry the patient's name.
    """

    sop_class: str
    sop_instance: str
    series: str
    study: str
    patient_name: str = ""
    patient_id: str = ""
    patient_id_issuer: str = ""
    birth_date: str = ""
    """YYYYMMDD, like ``study_date``."""
    sex: str = ""
    accession_number: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    referring_physician: str = ""
    orientation: str = ""
    """Patient Orientation, such as ``L\\F``."""
    modality: str = ""
    manufacturer: str = ""
    manufacturer_model: str = ""
    frames: str = ""
    burned_in: str = ""


def read_study(data: bytes, limits: Limits = DEFAULT_LIMITS) -> StudyContext | None:
    """Return whose film the bytes of a DICOM file are; None for another format, and where the film has no valid UIDs.

    Without UIDs nothing can refer to it. Raises UnreadableImage or ImageTooLarge, whose messages hold nothing of the header.
    """
    if sniff(data) != "DICOM":
        return None
    return at_edge(_PROBLEM, lambda: _read(data, limits))


def _read(data: bytes, limits: Limits) -> StudyContext | None:
    tags = [tag for tag in map(tag_for_keyword, (*KEYWORDS.values(), "SpecificCharacterSet")) if tag is not None]
    dataset, _ = read_data_set(data, limits, tags)
    found = {field: _text(dataset, keyword) for field, keyword in KEYWORDS.items()}
    for field in ("sop_class", "sop_instance", "series", "study"):
        if not UID(found[field]).is_valid:
            return None
    return StudyContext(**found)


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    values = value if isinstance(value, MultiValue) else [value]
    return "\\".join(str(one) for one in values).strip(" \0")
