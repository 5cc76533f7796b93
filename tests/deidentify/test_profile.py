"""The table of the standard, and the list of what may stay."""

from __future__ import annotations

import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag, repeater_has_tag, tag_for_keyword

from hilum.deidentify.profile import EDITION, by_tag, kept, table

RULES = ("number", "uid", "words", "orientation", "items", "code", "empty")


def test_the_table_is_whole():
    """Edition 2026c names 655 attributes, two repeating groups among them, each once."""
    assert EDITION == "2026c"
    assert len(table()) == len({row.tag for row in table()}) == 655
    assert [row.tag for row in table() if "x" in row.tag] == ["50xxxxxx", "60xx3000", "60xx4000"]
    assert {row.code for row in table()} == {"D", "Z", "X", "U", "X/Z", "X/D", "X/Z/D", "Z/D", "X/Z/U*"}
    assert sum(row.modified_dates for row in table()) == 165


def test_each_tag_has_the_keyword_of_the_dictionary():
    """Tag and keyword are a pair that pydicom knows; what is newer than its dictionary is removed, whatever it is."""
    for tag, row in by_tag().items():
        known = keyword_for_tag(tag)
        assert known == row.keyword or (not known and row.action == "X"), row
    assert repeater_has_tag(0x60003000)


@pytest.mark.parametrize(
    ("keyword", "code", "action"),
    [
        ("PatientName", "Z", "Z"),
        ("PatientID", "Z/D", "Z"),
        ("PatientBirthDate", "Z", "Z"),
        ("StudyInstanceUID", "U", "U"),
        ("StudyDescription", "X", "X"),
        ("ContentDate", "Z/D", "Z"),
        ("AcquisitionDate", "X/Z", "X"),
        ("InstitutionName", "X/Z/D", "X"),
        ("StationName", "X/Z/D", "X"),
        ("DeviceSerialNumber", "X/Z/D", "X"),
        ("AcquisitionContextSequence", "X/Z", "Z"),
        ("ReferencedImageSequence", "X/Z/U*", "U*"),
        ("ClinicalTrialSubjectID", "D", "D"),
        ("ContentCreatorName", "Z/D", "Z"),
        ("InstitutionCodeSequence", "X/Z/D", "X"),
    ],
)
def test_compound_actions_follow_the_type(keyword, code, action):
    """An attribute of type 1 gets a dummy, of type 2 is emptied, of type 3 or none removed, as far as its code lets it."""
    row = by_tag()[tag_for_keyword(keyword)]
    assert (row.keyword, row.code, row.action) == (keyword, code, action)


def test_what_may_stay_is_not_in_the_table():
    """The two lists are apart, and each attribute that may stay is one that the dictionary knows."""
    assert not set(kept()) & set(by_tag())
    assert len(kept()) > 100
    assert all(keyword_for_tag(tag) == row.keyword for tag, row in kept().items())


def test_no_free_text_may_stay():
    """What may stay is a number, a term, a table, a well-known UID or a sequence of such; text is held to terms."""
    for tag, row in kept().items():
        vr = dictionary_VR(tag)
        assert row.rule in RULES or "|" in row.rule, row
        if vr in ("LO", "SH", "LT", "ST", "UT", "UC", "CS"):
            assert "|" in row.rule or row.rule in ("empty", "orientation"), row
        assert vr not in ("PN", "DA", "TM", "DT", "AS", "AE", "UR", "OB", "UN"), row
        assert row.type in ("1", "2", "3")
        assert (vr == "SQ") == (row.rule in ("items", "code"))
