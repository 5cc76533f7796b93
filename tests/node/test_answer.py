"""What goes back: both results, in the film's study, by the real writers; never of hilum's own pictures."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from hilum.errors import UnreadableImage
from hilum.images import DEFAULT_LIMITS
from hilum.monitor.live import Monitor
from hilum.node.answer import read_with
from hospital import film, written


def test_sr_and_sc_go_back_to_the_films_study(tiny_engine):
    """Both are complete DICOM files in the film's study, and their UIDs are the same when the film is read again."""
    one = film()
    read = read_with(tiny_engine, ("sr", "sc"), DEFAULT_LIMITS)
    answer = read(written(one))
    made = [dcmread(BytesIO(data)) for data in answer.results]
    assert answer.accepted
    assert [dataset.Modality for dataset in made] == ["SR", "OT"]
    assert {dataset.StudyInstanceUID for dataset in made} == {one.StudyInstanceUID}
    assert {str(dataset.PatientName) for dataset in made} == {str(one.PatientName)}
    again = [dcmread(BytesIO(data)).SOPInstanceUID for data in read(written(one)).results]
    assert again == [dataset.SOPInstanceUID for dataset in made]


def test_only_what_is_asked_for_is_made(tiny_engine):
    """A node that returns reports alone makes no pictures."""
    (result,) = read_with(tiny_engine, ("sr",), DEFAULT_LIMITS)(written(film())).results
    assert dcmread(BytesIO(result)).Modality == "SR"


def test_a_refused_film_has_results_that_say_so(tiny_engine):
    """A film without contrast is refused, and the reason's code is for the log."""
    flat = film()
    flat.PixelData = b"\0" * len(flat.PixelData)
    answer = read_with(tiny_engine, ("sr", "sc"), DEFAULT_LIMITS)(written(flat))
    assert (answer.accepted, len(answer.results)) == (False, 2)
    assert answer.reasons


def test_own_pictures_are_not_read(tiny_engine):
    """A secondary capture that hilum made is not analyzed again, however a PACS routes it."""
    read = read_with(tiny_engine, ("sc",), DEFAULT_LIMITS)
    (picture,) = read(written(film())).results
    assert dcmread(BytesIO(picture)).SOPClassUID == SecondaryCaptureImageStorage
    answer = read(picture)
    assert (answer.results, answer.reasons) == ([], ("own_result",))


def test_a_film_that_nothing_can_refer_to_is_an_error(tiny_engine):
    """Without a study's UID no result could find its way."""
    lost = film()
    del lost.StudyInstanceUID
    with pytest.raises(UnreadableImage, match="UIDs"):
        read_with(tiny_engine, ("sr",), DEFAULT_LIMITS)(written(lost))


def test_what_is_too_large_is_an_error(tiny_engine):
    """The limits on images hold here too."""
    from hilum.errors import ImageTooLarge

    with pytest.raises(ImageTooLarge):
        read_with(tiny_engine, ("sr",), replace(DEFAULT_LIMITS, max_pixels=100))(written(film()))


def test_each_film_that_is_read_has_a_row(tiny_engine, tmp_path):
    """A monitor is shown every film, the refused ones too; hilum's own pictures are no films."""
    monitor = Monitor(tmp_path, tiny_engine)
    read = read_with(tiny_engine, ("sc",), DEFAULT_LIMITS, monitor)
    (picture,) = read(written(film())).results
    read(picture)
    assert monitor.films == 1
