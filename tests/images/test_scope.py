"""What a DICOM header says against reading its film."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from hilum.images import read_image
from hilum.images.scope import LATERAL_CODES, OBLIQUE_CODES, OTHER_PARTS

CANARY = "SMITH"
# pydicom's, of terms that are written here on purpose as devices write them.
pytestmark = pytest.mark.filterwarnings("ignore:.*[Ii]nvalid value for VR:UserWarning")


def item(value: str) -> list[Dataset]:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", CANARY
    return [code]


@pytest.fixture
def said(make_dicom):
    """``said(**elements)`` → the codes of what a header with these elements says."""

    def read(**elements: object) -> list[str]:
        film = read_image(make_dicom(**elements))
        assert all(reason.basis == "header" and reason.message.endswith(".") for reason in film.stated)
        assert CANARY not in repr((film.source, film.stated))
        return [reason.code for reason in film.stated]

    return read


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", "SC", "OT", "", None])
def test_radiographs_and_captures_are_in_scope(said, modality):
    """CR, DX, digitised films, captures and a missing modality are not spoken against."""
    assert said(Modality=modality) == []


@pytest.mark.parametrize(("modality", "shown"), [("CT", "CT"), ("MR", "MR"), ("MG", "MG"), ("DOE", None)])
def test_another_modality_is_a_reason(make_dicom, modality, shown):
    """What is no projection radiograph is named by its modality where that is a known code, and only then."""
    (reason,) = read_image(make_dicom(Modality=modality)).stated
    assert reason.code == "wrong_modality"
    assert (f"is {modality};" in reason.message) == (shown is not None)
    assert shown is not None or modality not in reason.message


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({"BodyPartExamined": "CHEST"}, False),
        ({"BodyPartExamined": "Thorax pa"}, False),
        ({"BodyPartExamined": "MARY SMITH"}, False),
        ({"BodyPartExamined": "hand "}, True),
        ({"BodyPartExamined": "CSPINE"}, True),
        ({"AnatomicRegionSequence": item("816094009")}, False),
        ({"AnatomicRegionSequence": item("72696002")}, True),
        ({"AnatomicRegionSequence": item("T-D9200")}, True),
        ({"AnatomicRegionSequence": []}, False),
        ({"BodyPartExamined": "CHEST", "AnatomicRegionSequence": item("72696002")}, False),
    ],
)
def test_another_part_of_the_body_is_a_reason(said, elements, found):
    """A term or a code of another part is a reason; the chest, nothing, and words of somebody's own are none."""
    assert said(**elements) == (["not_chest"] if found else [])


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({"ViewPosition": "PA"}, False),
        ({"ViewPosition": "AP"}, False),
        ({"ViewPosition": "LLD"}, False),
        ({"ViewPosition": "LL"}, True),
        ({"ViewPosition": "Lateral "}, True),
        ({"ViewPosition": "RAO"}, True),
        ({"ViewPosition": None, "ViewCodeSequence": item("399173006")}, True),
        ({"ViewPosition": None, "ViewCodeSequence": item("R-10236")}, True),
        ({"ViewPosition": None, "ViewCodeSequence": item("399135007")}, True),
        ({"ViewPosition": None, "ViewCodeSequence": item("272479007")}, False),
        ({"ViewPosition": None, "PatientOrientation": ["A", "F"]}, True),
        ({"ViewPosition": None, "PatientOrientation": ["L", "F"]}, False),
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, False),
        ({"ViewPosition": None}, False),
    ],
)
def test_a_view_from_the_side_is_a_reason(said, elements, found):
    """A lateral or oblique view is a reason, by View Position, else its code, else how the film lies."""
    assert said(**elements) == (["lateral_view"] if found else [])


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({"PatientAge": "017Y"}, True),
        ({"PatientAge": "018Y"}, False),
        ({"PatientAge": "18Y"}, False),
        ({"PatientAge": "011M"}, True),
        ({"PatientAge": "000D"}, True),
        ({"PatientAge": "300M"}, False),
        ({"PatientAge": "000Y"}, False),
        ({"PatientAge": "000Y", "PatientBirthDate": "20100101", "StudyDate": "20200101"}, True),
        ({"PatientBirthDate": "20020102", "StudyDate": "20200101"}, True),
        ({"PatientBirthDate": "20020101", "StudyDate": "20200101"}, False),
        ({"PatientBirthDate": "2010.01.01", "StudyDate": "2020.01.01"}, True),
        ({"PatientBirthDate": "20210101", "StudyDate": "20200101"}, False),
        ({"PatientBirthDate": "20100101"}, False),
        ({"PatientAge": "young", "PatientBirthDate": "unknown", "StudyDate": "20200101"}, False),
    ],
)
def test_a_child_is_a_reason(said, elements, found):
    """An age under 18 is a reason, in whatever unit, and from two dates where it is not stated."""
    assert said(**elements) == (["paediatric"] if found else [])


def test_neither_age_nor_date_is_kept(make_dicom):
    """Of age, birth date and study date the film keeps the reason alone."""
    film = read_image(make_dicom(PatientAge="013Y", PatientBirthDate="20061231", StudyDate="20200202"))
    assert [reason.code for reason in film.stated] == ["paediatric"]
    kept = repr((replace(film.source, sha256=""), film.stated))
    assert not any(text in kept for text in ("13", "2006", "2020"))


@pytest.mark.parametrize(("intent", "found"), [("FOR PRESENTATION", False), ("FOR PROCESSING", True), (None, False)])
def test_raw_values_are_a_reason(said, intent, found):
    """What is meant for processing is no film yet."""
    assert said(**({} if intent is None else {"PresentationIntentType": intent})) == (["for_processing"] * found)


def test_every_reason_is_given(said):
    """A header that says everything wrong has all of it named, in a fixed order."""
    wrong = {"Modality": "CT", "BodyPartExamined": "KNEE", "ViewPosition": "LL", "PatientAge": "003Y"}
    assert said(**wrong, PresentationIntentType="FOR PROCESSING") == [
        "wrong_modality",
        "not_chest",
        "lateral_view",
        "paediatric",
        "for_processing",
    ]


def test_the_codes_are_the_standards():
    """Each code of a view or a body part stands in pydicom's table of the DICOM standard, and its older form means the same."""
    views = [getattr(codes.CID4010, name) for name in codes.CID4010.dir()]
    parts = [getattr(codes.CID4009, name) for name in codes.CID4009.dir()]
    tables = [(views, LATERAL_CODES.items()), (views, OBLIQUE_CODES.items()), (parts, OTHER_PARTS.values())]
    for known, pairs in tables:
        values = {code.value for code in known}
        for modern, older in pairs:
            assert modern in values, modern
            assert not older or Code(older, "SRT", "") == Code(modern, "SCT", ""), modern
