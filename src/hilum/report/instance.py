"""What every DICOM object that hilum writes has in common: whose it is, what made it, and identifiers that repeat."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from io import BytesIO

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from hilum.images.study import KEYWORDS, StudyContext
from hilum.records import Analysis
from hilum.report.codes import ACQUISITION, PRIVATE, PRIVATE_OID, PROCESSING, Code, oid
from hilum.report.words import RESEARCH, model_line, software

# What the character set speaks of. Objects that need none go without: archives that lack UTF-8 can read them too.
_TEXT = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_OF_PATIENT = ("patient_name", "patient_id", "birth_date", "sex")
_OF_STUDY = ("accession_number", "study_id", "study_date", "study_time", "referring_physician")
_OPTIONAL = ("patient_id_issuer", "study_description")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that hilum writes."""

    name: str
    """Of the file's suffix and of the identifiers; never changes."""
    sop_class: str
    modality: str
    series_number: int
    """High, so that results stand behind the films of a study."""
    description: str


def result_identity(analysis: Analysis, study: StudyContext | None) -> tuple[str, ...]:
    """Return what makes two results one and the same: the film, the weights and how they were asked.

    The film is known by its SOP Instance UID, so that it counts as the same in another encoding; one that was not DICOM
    by its bytes. The time is not part of it: a result that is sent again is no second result.
    """
    film = analysis.source.sha256 if study is None else f"{study.sop_class} {study.sop_instance}"
    models = (
        f"{model.bundle} {model.version} {model.sha256} {model.precision}" for model in analysis.provenance.models
    )
    prevalence = (f"{one.name} {one.prevalence}" for one in sorted(analysis.findings, key=lambda one: one.name))
    reasons = (reason.code for reason in analysis.verdict.reasons)
    provenance = analysis.provenance
    return (
        film,
        provenance.software,
        provenance.policy,
        *models,
        *prevalence,
        str(analysis.verdict.accepted),
        *reasons,
    )


def anonymous_study(analysis: Analysis) -> StudyContext:
    """Return a study of its own for a film that was not DICOM: identifiers from its bytes, and no patient."""
    film = analysis.source.sha256
    return StudyContext(sop_class="", sop_instance="", series="", study=oid("study", film))


def device_uid(analysis: Analysis) -> str:
    """Return the UID of the observer: this software with these weights."""
    models = (f"{model.bundle} {model.sha256}" for model in analysis.provenance.models)
    return oid("device", analysis.provenance.software, *models)


def new_instance(kind: Kind, analysis: Analysis, study: StudyContext | None, now: datetime) -> Dataset:
    """Return an object with everything but its own content. The same result always has the same identifiers."""
    identity = result_identity(analysis, study)
    owner = anonymous_study(analysis) if study is None else study
    name, version = software(analysis)
    made = Dataset()
    made.SOPClassUID = kind.sop_class
    made.SOPInstanceUID = oid("instance", kind.name, *identity)
    made.InstanceCreationDate = made.ContentDate = made.SeriesDate = now.strftime("%Y%m%d")
    made.InstanceCreationTime = made.ContentTime = made.SeriesTime = now.strftime("%H%M%S")
    made.InstanceNumber = 1
    made.StudyInstanceUID = owner.study
    made.SeriesInstanceUID = oid("series", kind.name, *identity)
    made.SeriesNumber = kind.series_number
    made.SeriesDescription = f"{analysis.provenance.software}: {kind.description}. {RESEARCH}"
    made.Modality = kind.modality
    made.Manufacturer = name
    made.ManufacturerModelName = name
    made.DeviceSerialNumber = device_uid(analysis)
    made.SoftwareVersions = version
    for field in fields(owner):
        text = getattr(owner, field.name)
        if field.name in (*_OF_PATIENT, *_OF_STUDY) or (field.name in _OPTIONAL and text):
            copy_text(made, KEYWORDS[field.name], text)
    made.CodingSchemeIdentificationSequence = [_private_scheme()]
    made.ContributingEquipmentSequence = _equipment(analysis, owner, now)
    return made


def copy_text(dataset: Dataset, keyword: str, text: str) -> None:
    """Set an element to a text as it stood in the source: identity is copied exactly, even where it breaks DICOM's rules."""
    tag = tag_for_keyword(keyword)
    if tag is not None:
        dataset.add(DataElement(tag, dictionary_VR(tag), text, validation_mode=config.IGNORE))


def coded(code: Code) -> Dataset:
    """Return a code as the item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def image_reference(study: StudyContext) -> Dataset:
    """Return the film as the item of a sequence of references; of a film of several frames, the frame that was read."""
    item = Dataset()
    item.ReferencedSOPClassUID = study.sop_class
    item.ReferencedSOPInstanceUID = study.sop_instance
    if several_frames(study):
        item.ReferencedFrameNumber = 1
    return item


def several_frames(study: StudyContext) -> bool:
    """Say whether the film has frames beside the one that was read."""
    return study.frames.isdigit() and int(study.frames) > 1


def write_instance(made: Dataset) -> bytes:
    """Return an object as the bytes of a DICOM file, explicit VR little endian."""
    if not all(str(element.value).isascii() for element in made.iterall() if element.VR in _TEXT):
        made.SpecificCharacterSet = "ISO_IR 192"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.ImplementationClassUID = UID(oid("implementation"))
    made.file_meta.ImplementationVersionName = "HILUM"
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _private_scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE
    item.CodingSchemeUID = PRIVATE_OID
    item.CodingSchemeName = "hilum's own codes"
    item.CodingSchemeResponsibleOrganization = "hilum"
    return item


def _equipment(analysis: Analysis, owner: StudyContext, now: datetime) -> list[Dataset]:
    """Return what contributed (PS3.3 C.12.1.1.5): this software with its weights, and what took the film if it is known."""
    name, version = software(analysis)
    own = Dataset()
    own.PurposeOfReferenceCodeSequence = [coded(PROCESSING)]
    own.Manufacturer, own.ManufacturerModelName, own.SoftwareVersions = name, name, version
    own.DeviceSerialNumber = device_uid(analysis)
    own.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")
    own.ContributionDescription = "\r\n".join(map(model_line, analysis.provenance.models))[:1024]
    items = [own]
    if owner.manufacturer:
        acquisition = Dataset()
        acquisition.PurposeOfReferenceCodeSequence = [coded(ACQUISITION)]
        copy_text(acquisition, "Manufacturer", owner.manufacturer)
        if owner.manufacturer_model:
            copy_text(acquisition, "ManufacturerModelName", owner.manufacturer_model)
        items.append(acquisition)
    return items
