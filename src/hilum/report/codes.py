"""Codes for what hilum says: a published one where a source confirms it, a private one of our own where not."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from hilum.findings import NORMAL
from hilum.levels import NO_READING
from hilum.records import Finding
from hilum.report.numbers import percent, share_percent

NAMESPACE = uuid.UUID("6f1c5d1e-6a52-5d0c-9c55-8d6b3f0a7e11")
"""What all our deterministic identifiers are derived below. Never changes."""


def oid(*parts: str) -> str:
    """Return the OID below 2.25 (PS3.5 B.2) that always belongs to these words."""
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(0).join(parts)).int}"


PRIVATE = "99HILUM"
"""Designator of the private coding scheme."""
PRIVATE_OID = oid("coding scheme")
SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    PRIVATE: f"urn:oid:{PRIVATE_OID}",
}
"""Coding scheme designator → FHIR's system."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme designator, meaning (at most 64 characters)."""

    value: str
    scheme: str
    meaning: str


def _own(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE, meaning)


# Confirmed by DICOM PS3.16 as pydicom's dictionary holds it, unless another source stands behind:
#   AIR: value set AIRLesionType of the IHE AI Results community (github.com/xmiao/AI.interoperability)
#   LT:  value set incidental-finding of HL7 Lithuania's lung cancer screening guide (build.fhir.org/ig/HL7LT/ig-lt-lung)
#   MII: concept map mii-cm-onko-nebenwirkung-meddra-sct of the German Medical Informatics Initiative, whose targets were
#        checked against SNOMED CT International 2025-07-01
#   SANER: HL7's Situational Awareness for Novel Epidemic Response guide, example of test case 9b
FINDING_CODES: dict[str, Code] = {
    "Atelectasis": Code("46621007", "SCT", "Atelectasis"),  # MII
    "Cardiomegaly": Code("8186001", "SCT", "Cardiomegaly"),  # AIR
    "Consolidation": Code("95436008", "SCT", "Lung consolidation"),  # LT
    "Edema": Code("19242006", "SCT", "Pulmonary edema"),
    "Effusion": Code("60046008", "SCT", "Pleural effusion"),
    "Emphysema": Code("87433001", "SCT", "Pulmonary emphysema"),  # LT
    "Fibrosis": Code("51615001", "SCT", "Pulmonary fibrosis"),  # MII
    "Fracture": Code("125605004", "SCT", "Fracture of bone"),  # MII
    # ChestX-ray14's Hernia is of the diaphragm, but which kind is not said: no published code means just that.
    "Hernia": _own("hernia", "Hernia on a chest radiograph"),
    "Infiltration": Code("112121", "DCM", "Infiltrate"),
    "Lesion": Code("52988006", "SCT", "Lesion"),
    "Nodule": Code("27925004", "SCT", "Nodule"),
    "Opacity": Code("112001", "DCM", "Opacity"),
    # Sources contradict each other.
    "Pleural Thickening": _own("pleural-thick", "Pleural thickening"),
    "Pneumonia": Code("233604007", "SCT", "Pneumonia"),  # SANER
    "Pneumothorax": Code("36118008", "SCT", "Pneumothorax"),
    "Tuberculosis": Code("154283005", "SCT", "Pulmonary tuberculosis"),  # LT
    # SNOMED CT's "Normal" would say more than "none of the findings that this data set lists".
    NORMAL: _own("none-listed", "None of the listed findings"),
}
"""Finding → code. Those of the private scheme have no published code that means the same."""

CONFIDENCE = Code("111012", "DCM", "Certainty of Finding")
PROBABILITY = Code("122157", "DCM", "Probability")
COMMENT = Code("121106", "DCM", "Comment")
THRESHOLD = _own("operating-point", "Operating point (confidence)")
SENSITIVITY = _own("sensitivity", "Sensitivity at the operating point")
SPECIFICITY = _own("specificity", "Specificity at the operating point")
PREVALENCE = _own("prevalence", "Prevalence behind the probability")
SPREAD = _own("spread", "Spread of the members' confidences")
ENSEMBLE = _own("ensemble-confid", "Confidence of the top finding")
LEVEL = _own("level", "Clinical confidence level")
VERDICT = _own("verdict", "Fitness of the film")
READ = _own("read", "Read")
REFUSED = _own("refused", "Refused, not read")
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
UNDETERMINED = Code("373068000", "SCT", "Undetermined")
CHEST = Code("816094009", "SCT", "Chest")
PERCENT = Code("%", "UCUM", "Percent")
REPORT = Code("126000", "DCM", "Imaging Measurement Report")
IMAGING_REPORT = Code("18748-4", "LN", "Diagnostic imaging study")
PROCESSING = Code("109102", "DCM", "Processing Equipment")
ACQUISITION = Code("109101", "DCM", "Acquisition Equipment")
AI = Code("123110", "DCM", "Artificial Intelligence")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")

LEVELS = {name: _own(name.lower(), name) for name in ("High", "Moderate-High", "Moderate", "Low-Moderate", "Low")}
LEVELS[NO_READING] = _own("no-reading", NO_READING)


def finding_code(name: str) -> Code:
    """Return the code of a finding; one that a user's own model names gets a private code that is always the same."""
    known = FINDING_CODES.get(name)
    return known or _own(f"other-{uuid.uuid5(NAMESPACE, name).hex[:10]}", name[:64])


def presence(positive: bool | None) -> Code:
    """Return present, absent or undetermined: at or above the operating point, below it, or without one."""
    return {True: PRESENT, False: ABSENT, None: UNDETERMINED}[positive]


def coded_numbers(finding: Finding) -> tuple[tuple[Code, float], ...]:
    """Return a finding's known numbers in percent, each with what it is, in the order that every document gives them."""
    numbers = (
        (CONFIDENCE, percent(finding.confidence)),
        (THRESHOLD, percent(finding.threshold)),
        (SENSITIVITY, share_percent(finding.sensitivity)),
        (SPECIFICITY, share_percent(finding.specificity)),
        (PROBABILITY, share_percent(finding.probability)),
        (PREVALENCE, share_percent(finding.prevalence)),
        (SPREAD, percent(finding.spread)),
    )
    return tuple((code, value) for code, value in numbers if value is not None)
