"""No code is made up: a published one is confirmed, and a private one is marked as such."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts

from hilum.findings import OUTPUTS
from hilum.levels import LEVELS, NO_READING
from hilum.report import codes
from hilum.report.codes import FINDING_CODES, PRIVATE, Code, finding_code

CITED = {"46621007", "8186001", "95436008", "87433001", "51615001", "125605004", "233604007", "154283005"}
"""SNOMED CT codes that stand behind the sources named in the module, since DICOM does not use them."""
EVERY = [
    *FINDING_CODES.values(),
    *codes.LEVELS.values(),
    *(value for value in vars(codes).values() if isinstance(value, Code)),
]


def meanings(code: Code) -> set[str]:
    """Return what pydicom's dictionary, which is generated from DICOM PS3.16, says that a code means."""
    known = concepts.get(code.scheme, {})
    return {entry[code.value][0].lower() for entry in known.values() if code.value in entry}


@pytest.mark.parametrize("code", EVERY, ids=lambda code: f"{code.scheme} {code.value}")
def test_a_code_is_confirmed_or_private(code):
    """Each code is in DICOM's dictionary, or is cited, or is one of ours; and fits into a code sequence."""
    assert len(code.value) <= 16
    assert len(code.meaning) <= 64
    if code.scheme != PRIVATE:
        assert meanings(code) or (code.scheme == "SCT" and code.value in CITED)


def test_the_codes_of_dicom_mean_what_they_say():
    """Where DICOM's dictionary has the code, its meaning is ours, but for LOINC's own name of its document."""
    ours = {code for code in EVERY if code.scheme in ("SCT", "DCM", "UCUM") and code.value not in CITED}
    assert all(code.meaning.lower() in meanings(code) for code in ours)
    assert len(ours) >= 18
    assert "diagnostic imaging report" in meanings(codes.IMAGING_REPORT)


def test_what_only_a_citation_confirms_is_named():
    """The list of cited codes is exact, so that a new one needs a source."""
    assert {code.value for code in FINDING_CODES.values() if code.scheme == "SCT" and not meanings(code)} == CITED


def test_everything_that_is_said_has_a_code():
    """Every finding and every level has a code, and no two share one."""
    assert FINDING_CODES.keys() == set(OUTPUTS)
    assert codes.LEVELS.keys() == {*(name for _, name, _ in LEVELS), NO_READING}
    assert len({(code.scheme, code.value) for code in FINDING_CODES.values()}) == len(OUTPUTS)


def test_identifiers_never_change():
    """The OID of the private scheme stands in archives for good."""
    assert codes.PRIVATE_OID == "2.25.114653334705308464685138624294898136370"
    assert codes.oid("a", "b") != codes.oid("ab")


def test_every_code_is_documented():
    """The table of the reference has each finding with its code and meaning, and says who confirms it."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "dicom-objects.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\w ]+) \| (\S+), (\w+) \| ([^|]+?) \| (\w*) ?\|$", page, re.MULTILINE)
    assert {name: Code(value, scheme, meaning) for name, value, scheme, meaning, _ in rows} == FINDING_CODES
    confirmed = {value: source for _, value, _, _, source in rows}
    assert {value for value, source in confirmed.items() if source not in ("", "DICOM")} == CITED
    assert {value for value, source in confirmed.items() if not source} == {
        code.value for code in FINDING_CODES.values() if code.scheme == PRIVATE
    }
    assert codes.PRIVATE_OID in page


def test_a_models_own_finding_has_a_private_code():
    """A finding outside of the vocabulary gets a private code that fits, and always the same."""
    name = "Enlarged Cardiomediastinum, as this model's makers understand it, to the letter"
    code = finding_code(name)
    assert code == finding_code(name) != finding_code("Another")
    assert code.scheme == PRIVATE
    assert len(code.value) == 16
    assert len(code.meaning) == 64
