"""The documents of one film by their names, as command line and service give them out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from hilum.records import Analysis, Radiograph

if TYPE_CHECKING:
    from hilum.images.study import StudyContext

Kind = Literal["html", "pdf", "sr", "sc", "dicom-pdf", "fhir"]


@dataclass(frozen=True, slots=True)
class Form:
    """What a kind of document is outside."""

    suffix: str
    """What its file's name ends with."""
    media_type: str


FORMS: dict[Kind, Form] = {
    "html": Form(".html", "text/html; charset=utf-8"),
    "pdf": Form(".pdf", "application/pdf"),
    "sr": Form(".sr.dcm", "application/dicom"),
    "sc": Form(".sc.dcm", "application/dicom"),
    "dicom-pdf": Form(".pdf.dcm", "application/dicom"),
    "fhir": Form(".fhir.json", "application/fhir+json"),
}


def render(kind: Kind, analysis: Analysis, image: Radiograph, study: StudyContext | None, now: datetime) -> bytes:
    """Return one document of one film. Raises InputError where the film can't have it, ConfigError without its extra."""
    from hilum import report

    if kind == "html":
        return report.to_html(analysis, image)
    if kind == "sr":
        return report.to_sr(analysis, study, now)
    if kind == "fhir":
        return report.to_fhir(analysis, study, now)
    write = {"pdf": report.to_pdf, "sc": report.to_sc, "dicom-pdf": report.to_dicom_pdf}[kind]
    return write(analysis, image, study, now)
