"""The analysis as a FHIR R4 transaction: a DiagnosticReport, an Observation a finding, ImagingStudy and Device."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from html import escape
from typing import Any

from hilum.images.study import StudyContext
from hilum.levels import DISCLAIMER
from hilum.records import Analysis, Finding
from hilum.report import codes
from hilum.report.codes import NAMESPACE, SYSTEMS, Code, coded_numbers, finding_code, presence
from hilum.report.instance import device_uid, result_identity, several_frames
from hilum.report.numbers import percent
from hilum.report.words import RESEARCH, advice, conclusion, label, not_assessed, numbers, software, warnings

Resource = dict[str, Any]
URI = "urn:ietf:rfc:3986"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_INTERPRETATION = {True: ("POS", "Positive"), False: ("NEG", "Negative")}


def to_fhir(analysis: Analysis, study: StudyContext | None, now: datetime) -> bytes:
    """Return the analysis as UTF-8 JSON: a Bundle that a server takes as one transaction.

    Every entry but the study is put by its identifier, so that a result that is sent again replaces itself; the study is
    made only where there is none. The patient is a logical reference by Patient ID: the server has its own Patient.

    A film that was not DICOM (``study`` None) has neither patient nor ImagingStudy. A film that was refused has a
    cancelled report and no Observation. ``now`` needs a time zone.
    """
    device, imaging = _device(analysis), _imaging_study(study)
    observations = [_observation(finding, analysis, study) for finding in analysis.findings]
    report = _report(analysis, study, now, [_url(one) for one in observations])
    resources = [report, *observations, device, *([imaging] if imaging is not None else [])]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": now.isoformat(timespec="seconds"),
        "entry": [_entry(resource) for resource in resources],
    }
    return json.dumps(bundle, ensure_ascii=False, allow_nan=False, indent=1).encode()


def _entry(resource: Resource) -> Resource:
    kind, identifier = resource["resourceType"], resource["identifier"][0]
    search = f"identifier={identifier['system']}|{identifier['value']}"
    request = {"method": "PUT", "url": f"{kind}?{search}"}
    if kind == "ImagingStudy":
        # The study is the archive's, not ours: what the server knows of it already must stay.
        request = {"method": "POST", "url": kind, "ifNoneExist": search}
    return {"fullUrl": _url(resource), "resource": resource, "request": request}


def _url(resource: Resource) -> str:
    """Return the address of a resource within its bundle."""
    identifier = resource["identifier"][0]
    return f"urn:uuid:{uuid.uuid5(NAMESPACE, identifier['value'])}"


def _identifier(kind: str, analysis: Analysis, study: StudyContext | None) -> Resource:
    words = chr(0).join(("fhir", kind, *result_identity(analysis, study)))
    return {"system": URI, "value": f"urn:uuid:{uuid.uuid5(NAMESPACE, words)}"}


def coding(code: Code) -> Resource:
    """Return a code as FHIR's Coding."""
    return {"system": SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}


def _concept(code: Code, text: str | None = None) -> Resource:
    return {"coding": [coding(code)], "text": text or code.meaning}


def _term(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": f"{TERMINOLOGY}/{system}", "code": code, "display": display}]}


def _report(analysis: Analysis, study: StudyContext | None, now: datetime, results: list[str]) -> Resource:
    words = (
        conclusion(analysis),
        advice(analysis),
        *warnings(analysis),
        not_assessed(analysis),
        f"{RESEARCH}. {DISCLAIMER}",
    )
    said = [text for text in words if text]
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in said)
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>'},
        "identifier": [_identifier("report", analysis, study)],
        "status": "preliminary" if analysis.verdict.accepted else "cancelled",
        "category": [_term("v2-0074", "RAD", "Radiology")],
        "code": _concept(codes.IMAGING_REPORT, "Chest radiograph, read by software"),
        **_subject(study),
        **_taken(study),
        "issued": now.isoformat(timespec="seconds"),
        "conclusion": " ".join(said),
    }
    if results:
        report["result"] = [{"reference": url} for url in results]
    if (imaging := _imaging_study(study)) is not None:
        report["imagingStudy"] = [{"reference": _url(imaging)}]
    return report


def _observation(finding: Finding, analysis: Analysis, study: StudyContext | None) -> Resource:
    observation: Resource = {
        "resourceType": "Observation",
        "identifier": [_identifier(f"observation {finding.name}", analysis, study)],
        "status": "preliminary",
        "category": [_term("observation-category", "imaging", "Imaging")],
        "code": _concept(finding_code(finding.name), label(finding)),
        **_subject(study),
        **_taken(study),
        "bodySite": _concept(codes.CHEST),
        "device": {"reference": _url(_device(analysis))},
        "note": [{"text": f"{RESEARCH}. Confidence {percent(finding.confidence):.1f} of 100, {numbers(finding)}."}],
        "component": _components(finding),
    }
    if finding.positive is None:
        observation["dataAbsentReason"] = _term("data-absent-reason", "unknown", "Unknown")
    else:
        observation["valueCodeableConcept"] = _concept(presence(finding.positive))
        observation["interpretation"] = [_term("v3-ObservationInterpretation", *_INTERPRETATION[finding.positive])]
    if (imaging := _imaging_study(study)) is not None:
        observation["derivedFrom"] = [{"reference": _url(imaging)}]
    return observation


def _components(finding: Finding) -> list[Resource]:
    return [
        {"code": _concept(code), "valueQuantity": {"value": value, "unit": "%", "system": SYSTEMS["UCUM"], "code": "%"}}
        for code, value in coded_numbers(finding)
    ]


def _device(analysis: Analysis) -> Resource:
    """Return the software with its weights: each model is one entry of ``version``, with the hash of its bundle."""
    name, version = software(analysis)
    models = [
        {
            "type": {"text": model.name},
            "component": {"value": model.bundle},
            "value": f"{model.version}, {model.precision}, sha256 {model.sha256}",
        }
        for model in analysis.provenance.models
    ]
    return {
        "resourceType": "Device",
        "identifier": [{"system": URI, "value": f"urn:oid:{device_uid(analysis)}"}],
        "manufacturer": name,
        "modelNumber": version,
        "deviceName": [{"name": analysis.provenance.software, "type": "user-friendly-name"}],
        "type": {"coding": [coding(codes.AI)], "text": "Ensemble of trained networks for chest radiographs"},
        "version": [{"type": {"text": "software"}, "value": version}, *models],
        "note": [{"text": f"{RESEARCH}. Operating points: {analysis.provenance.policy}."}],
    }


def _imaging_study(study: StudyContext | None) -> Resource | None:
    """Return the study with the one film that was read; None for a film that was not DICOM."""
    if study is None:
        return None
    instance: Resource = {"uid": study.sop_instance, "sopClass": {"system": URI, "code": f"urn:oid:{study.sop_class}"}}
    if several_frames(study):
        instance["title"] = "frame 1"
    modality = {"system": SYSTEMS["DCM"], "code": study.modality if study.modality in ("CR", "DX") else "OT"}
    return {
        "resourceType": "ImagingStudy",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study.study}"}],
        "status": "available",
        "subject": _subject(study).get("subject", {"display": "not named in the film"}),
        **({"started": taken} if (taken := _date(study.study_date)) else {}),
        "series": [{"uid": study.series, "modality": modality, "instance": [instance]}],
    }


def _subject(study: StudyContext | None) -> Resource:
    if study is None or not study.patient_id:
        return {}
    identifier: Resource = {"type": _term("v2-0203", "MR", "Medical record number"), "value": study.patient_id}
    if study.patient_id_issuer:
        identifier["assigner"] = {"display": study.patient_id_issuer}
    return {"subject": {"type": "Patient", "identifier": identifier}}


def _taken(study: StudyContext | None) -> Resource:
    taken = None if study is None else _date(study.study_date)
    return {"effectiveDateTime": taken} if taken else {}


def _date(text: str) -> str | None:
    """Return a DICOM date as FHIR writes it; None where it is no date."""
    try:
        return datetime.strptime(text, "%Y%m%d").date().isoformat()
    except ValueError:
        return None
