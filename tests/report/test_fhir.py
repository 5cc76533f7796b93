"""The FHIR bundle: valid R4 by structure and by value set, whole, and safe to send twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from fhir.resources.R4B.bundle import Bundle

from finished import ANALYSIS, NOW, REFUSED, STUDY
from hilum.report import to_fhir
from hilum.report.codes import SYSTEMS

CASES = {
    "accepted": (ANALYSIS, STUDY),
    "refused": (REFUSED, STUDY),
    "not DICOM": (ANALYSIS, None),
    "bare": (ANALYSIS, replace(STUDY, patient_id="", study_date="2026", modality="weird", frames="2")),
}
every_case = pytest.mark.parametrize(("analysis", "study"), CASES.values(), ids=CASES)

# Required bindings of FHIR R4 (4.0.1), which fhir.resources does not check, and the code systems used under others.
STATUS = {
    "DiagnosticReport": {"registered", "partial", "preliminary", "final", "amended", "cancelled", "unknown"},
    "Observation": {
        "registered",
        "preliminary",
        "final",
        "amended",
        "corrected",
        "cancelled",
        "entered-in-error",
        "unknown",
    },
    "ImagingStudy": {"registered", "available", "cancelled", "entered-in-error", "unknown"},
}
TERMINOLOGY = {
    "v2-0074": {"RAD"},
    "v2-0203": {"MR"},
    "observation-category": {"imaging"},
    "v3-ObservationInterpretation": {"POS", "NEG"},
    "data-absent-reason": {"unknown"},
}
DEVICE_NAME = {
    "udi-label-name",
    "user-friendly-name",
    "patient-reported-name",
    "manufacturer-name",
    "model-name",
    "other",
}


def bundle_of(analysis, study) -> dict[str, Any]:
    return json.loads(to_fhir(analysis, study, NOW))


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind]


def walk(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key of a document with its value."""
    for key, value in node.items() if isinstance(node, dict) else ((None, one) for one in node):
        if key is not None:
            yield key, value
        if isinstance(value, dict | list):
            yield from walk(value)


@every_case
def test_the_structure_is_valid(analysis, study):
    """Every resource has the elements and types that FHIR defines, and nothing is empty."""
    data = to_fhir(analysis, study, NOW)
    Bundle.model_validate_json(data)
    assert not [key for key, value in walk(json.loads(data)) if value in ("", [], {}, None)]


@every_case
def test_every_code_is_in_its_value_set(analysis, study):
    """Statuses, types and categories are codes of R4's value sets; units are UCUM; other codes come from known systems."""
    bundle = bundle_of(analysis, study)
    assert bundle["type"] == "transaction"
    for kind, allowed in STATUS.items():
        assert {one["status"] for one in resources(bundle, kind)} <= allowed
    for key, value in walk(bundle):
        if key == "coding":
            for code in value:
                system = code["system"].removeprefix("http://terminology.hl7.org/CodeSystem/")
                assert code["code"] in TERMINOLOGY.get(system, {code["code"]})
                assert system in TERMINOLOGY or system in SYSTEMS.values()
        elif key == "valueQuantity":
            assert (value["system"], value["code"]) == ("http://unitsofmeasure.org", "%")
        elif key == "deviceName":
            assert {one["type"] for one in value} <= DEVICE_NAME
        elif key == "modality":
            assert value["code"] in ("DX", "CR", "OT")


@every_case
def test_every_reference_is_in_the_bundle(analysis, study):
    """What a resource refers to by address is another entry; the patient alone is referred to by identifier."""
    bundle = bundle_of(analysis, study)
    urls = [one["fullUrl"] for one in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    assert {value for key, value in walk(bundle) if key == "reference"} <= set(urls)


@every_case
def test_sending_twice_makes_no_second_result(analysis, study):
    """A later clock changes no address and no identifier: entries are put by them, and the study only made if missing."""
    first, again = bundle_of(analysis, study), json.loads(to_fhir(analysis, study, NOW.replace(year=2030)))
    assert [one["request"] for one in first["entry"]] == [one["request"] for one in again["entry"]]
    for one in first["entry"]:
        request, identifier = one["request"], one["resource"]["identifier"][0]
        search = f"identifier={identifier['system']}|{identifier['value']}"
        if one["resource"]["resourceType"] == "ImagingStudy":
            assert (request["method"], request["ifNoneExist"]) == ("POST", search)
        else:
            assert request["method"] == "PUT"
            assert request["url"].endswith(f"?{search}")


def test_other_weights_make_another_result():
    """A second model's answer for one film does not replace the first one's."""
    models = (replace(ANALYSIS.provenance.models[0], sha256="99" * 32),)
    other = replace(ANALYSIS, provenance=replace(ANALYSIS.provenance, models=models))
    ours, theirs = ({one["request"]["url"] for one in bundle_of(each, STUDY)["entry"]} for each in (ANALYSIS, other))
    assert ours & theirs == {"ImagingStudy"}


def test_a_finding_without_an_operating_point_has_no_value():
    """Neither present nor absent is claimed where nothing decides it, and the confidence still stands."""
    (thickening,) = [
        one
        for one in resources(bundle_of(ANALYSIS, STUDY), "Observation")
        if one["code"]["text"] == "Pleural Thickening"
    ]
    assert "valueCodeableConcept" not in thickening
    assert "interpretation" not in thickening
    assert thickening["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert thickening["component"][0]["valueQuantity"]["value"] == 40.0


def test_a_refused_film_has_a_cancelled_report():
    """The report says why, and there is no Observation."""
    bundle = bundle_of(REFUSED, STUDY)
    (report,) = resources(bundle, "DiagnosticReport")
    assert report["status"] == "cancelled"
    assert report["conclusion"].startswith("This film was not read. The picture is in colour.")
    assert resources(bundle, "Observation") == []


def test_a_film_that_was_not_dicom_names_nobody():
    """There is no patient, no study and no date that nobody knows."""
    bundle = bundle_of(ANALYSIS, None)
    assert resources(bundle, "ImagingStudy") == []
    assert not {"subject", "effectiveDateTime", "derivedFrom", "imagingStudy"} & {key for key, _ in walk(bundle)}


def test_the_patient_is_known_by_id_alone():
    """The bundle holds the Patient ID with its issuer, and neither name nor date of birth."""
    text = to_fhir(ANALYSIS, STUDY, NOW).decode()
    assert "ID 0815" in text
    assert "TEST HOSPITAL" in text
    assert "TEST^PATIENT" not in text
    assert "1970" not in text


def test_the_narrative_is_xhtml():
    """Markup in a model's warning stays text."""
    changed = replace(ANALYSIS, conflicts=("<script>alert(1)</script> & more",))
    (report,) = resources(bundle_of(changed, STUDY), "DiagnosticReport")
    document = ElementTree.fromstring(report["text"]["div"])
    assert {one.tag.partition("}")[2] for one in document.iter()} == {"div", "p"}
    assert "<script>" in "".join(document.itertext())
