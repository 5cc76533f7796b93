"""Whose film it is, read from its header."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest

from finished import STUDY, dicom_film
from hilum.errors import UnreadableImage
from hilum.images.study import read_study


def test_a_study_is_read_as_it_stands():
    """Every field is what the header says, in whatever letters."""
    study = read_study(dicom_film())
    assert study is not None
    assert study == STUDY


def test_several_values_keep_their_backslash():
    """An element of several values is joined as DICOM writes it; absent and empty ones are empty texts."""
    study = read_study(dicom_film(PatientID=["one", "two"], StudyDate=None, NumberOfFrames=3))
    assert study == replace(STUDY, patient_id="one\\two", study_date="", frames="3")


def test_another_character_set_is_read():
    """A name in Latin-1 comes out in its own letters."""
    data = dicom_film(SpecificCharacterSet="ISO_IR 100", PatientName="TÄST^PÁTIENT")
    assert read_study(data).patient_name == "TÄST^PÁTIENT"


def test_other_formats_have_no_study(film_png):
    """A PNG names nobody."""
    assert read_study(film_png) is None


@pytest.mark.parametrize("uid", ["", "../../etc/passwd", "1.2.", "<b>"])
def test_a_film_without_valid_uids_has_no_study(uid):
    """What can't be referred to is treated like a film that was not DICOM."""
    data = dicom_film().replace(b"2.25.13", uid.encode()[:7].ljust(7, b"\0"))
    assert read_study(data) is None


def test_a_deflated_film_is_limited():
    """A deflated data set is inflated within the limits, and what is broken is refused in words without its header."""
    plain = dicom_film()
    body = plain.index(b"\x08\0\x05\0CS")
    meta = plain[:body].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    length = meta.index(b"\x02\0\x10\0UI") + 6
    meta = meta[:length] + (22).to_bytes(2, "little") + meta[length + 2 :]
    deflated = meta + squeezer.compress(plain[body:]) + squeezer.flush()
    assert read_study(deflated) == STUDY
    with pytest.raises(UnreadableImage) as caught:
        read_study(meta + b"TEST^PATIENT" * 9)
    assert "TEST" not in str(caught.value)


def test_a_study_does_not_show_itself():
    """What a log line or an error would print of a study holds no patient data."""
    assert "TEST" not in f"{STUDY!r} {STUDY} {(STUDY,)}"
