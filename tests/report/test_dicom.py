"""The DICOM objects: whose they are, what made them, what they refer to, and that they read back."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest
from highdicom.sr import srread
from PIL import Image
from pydicom import dcmread

from finished import ANALYSIS, FILM, NOW, REFUSED, STUDY, dicom_film
from hilum.errors import ConfigError, InputError
from hilum.images.study import read_study
from hilum.records import Reason, Verdict
from hilum.report import to_dicom_pdf, to_pdf, to_sc, to_sr

WRITERS = {
    "sr": lambda analysis, study, now=NOW: to_sr(analysis, study, now),
    "sc": lambda analysis, study, now=NOW: to_sc(analysis, FILM, study, now),
    "pdf": lambda analysis, study, now=NOW: to_dicom_pdf(analysis, FILM, study, now),
}
every_kind = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def read(data: bytes):
    return dcmread(io.BytesIO(data))


@every_kind
def test_a_result_belongs_to_the_films_study(write):
    """Patient and study are the film's, series and instance are new, and the series says what it is for."""
    made, film = read(write(ANALYSIS, read_study(dicom_film()))), read(dicom_film())
    for keyword in (
        "StudyInstanceUID", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
        "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "ReferringPhysicianName",
    ):  # fmt: skip
        assert made[keyword].value == film[keyword].value, keyword
    assert made.SeriesInstanceUID != film.SeriesInstanceUID
    assert made.SOPInstanceUID != film.SOPInstanceUID
    assert "For research use only" in made.SeriesDescription
    assert made.ContentDate + made.ContentTime == "20261124213000"


@every_kind
def test_what_made_it_is_in_it(write):
    """Contributing Equipment has the software with version and every model's hash, and the detector that took the film."""
    own, detector = read(write(ANALYSIS, STUDY)).ContributingEquipmentSequence
    assert (own.Manufacturer, own.SoftwareVersions) == ("hilum", "9.9.9")
    for model in ANALYSIS.provenance.models:
        assert model.sha256 in own.ContributionDescription
    assert (detector.Manufacturer, detector.ManufacturerModelName) == ("TEST VENDOR", "Detector 1")


@every_kind
def test_a_result_sent_again_is_the_same_one(write):
    """A later clock or another encoding of the film changes no identifier; other weights, policy, prevalence or film do."""
    first = read(write(ANALYSIS, STUDY))
    provenance = ANALYSIS.provenance
    recoded = replace(ANALYSIS, source=replace(ANALYSIS.source, sha256="00" * 32))
    again = read(write(recoded, STUDY, NOW.replace(year=2030)))
    assert (again.SOPInstanceUID, again.SeriesInstanceUID) == (first.SOPInstanceUID, first.SeriesInstanceUID)
    others = [
        (replace(ANALYSIS, provenance=replace(provenance, models=provenance.models[:1])), STUDY),
        (replace(ANALYSIS, provenance=replace(provenance, policy="rule_out")), STUDY),
        (replace(ANALYSIS, findings=(replace(ANALYSIS.findings[0], prevalence=0.5), *ANALYSIS.findings[1:])), STUDY),
        (ANALYSIS, replace(STUDY, sop_instance="2.25.99")),
    ]
    made = {read(write(*other)).SOPInstanceUID for other in others}
    assert len(made - {first.SOPInstanceUID}) == len(others)


def test_the_kinds_never_share_an_identifier():
    """SR, SC and PDF of one analysis are three series with three instances."""
    made = [read(write(ANALYSIS, STUDY)) for write in WRITERS.values()]
    assert len({one.SOPInstanceUID for one in made} | {one.SeriesInstanceUID for one in made}) == 6


@every_kind
def test_identity_is_copied_exactly(write):
    """What breaks DICOM's rules in the source, such as an ID that is too long, is neither mended nor cut."""
    odd = replace(STUDY, patient_id="X" * 90, sex="unknown to us", birth_date="70-01-31", patient_name="<b>A&B</b>\\C")
    made = read(write(ANALYSIS, odd))
    assert made.get_item("PatientID").value == b"X" * 90
    assert made.get_item("PatientName").value == b"<b>A&B</b>\\C"
    assert made.get_item("PatientSex").value == b"unknown to us "


@every_kind
def test_plain_letters_need_no_character_set(write):
    """Only an object with other letters than ASCII names UTF-8, so that old archives can read the rest."""
    assert read(write(ANALYSIS, STUDY)).SpecificCharacterSet == "ISO_IR 192"
    assert "SpecificCharacterSet" not in read(write(ANALYSIS, replace(STUDY, patient_name="TEST^PATIENT")))


def test_the_report_reads_back():
    """highdicom finds the observer, and in each group the presence, certainty and algorithm of one finding."""
    report = srread(io.BytesIO(to_sr(ANALYSIS, STUDY, NOW))).content
    (observer,) = report.get_observer_contexts()
    device = observer.observer_identifying_attributes
    assert (device.manufacturer_name, device.name, device.serial_number) == ("hilum", "hilum", "9.9.9")
    film, effusion, *others = report.get_image_measurement_groups()
    assert len(others) == len(ANALYSIS.findings) - 1
    assert (effusion.tracking_identifier, effusion.finding_type) == ("Effusion", None)
    (presence,) = effusion.get_qualitative_evaluations()
    assert (presence.name.value, presence.value.value) == ("60046008", "52101004")
    assert [one.value for one in effusion.get_measurements()] == [84.2, 61.2, 67.96, 83.81, 41.82, 11.88, 4.9]
    (image,) = effusion.source_images
    assert image.referenced_sop_instance_uid == STUDY.sop_instance
    parameters = [str(item.value) for item in film[0].ContentSequence if item.name.meaning == "Algorithm Parameters"]
    assert all(any(model.sha256 in text for text in parameters) for model in ANALYSIS.provenance.models)


def test_a_finding_is_never_stated_without_its_presence():
    """No item says "Finding": a reader of an absent finding could take it for one that is there."""
    assert "121071" not in read(to_sr(ANALYSIS, STUDY, NOW)).to_json()


def test_a_refused_film_gives_a_report_without_findings():
    """The report of a refused film has one group, which says so, with the reason's code and words."""
    report = srread(io.BytesIO(to_sr(REFUSED, STUDY, NOW))).content
    (film,) = report.get_image_measurement_groups()
    (verdict,) = film.get_qualitative_evaluations()
    assert verdict.value.value == "refused"
    assert film.get_measurements() == []
    assert any("colour_photograph: The picture" in str(item.value) for item in film[0].ContentSequence)


def test_what_is_odd_of_a_film_is_said():
    """A film that was read in spite of a warning has the warning's words in its report."""
    odd = replace(ANALYSIS, verdict=Verdict(True, (Reason("paediatric", "The header says under 18.", action="warn"),)))
    (film, *_) = srread(io.BytesIO(to_sr(odd, STUDY, NOW))).content.get_image_measurement_groups()
    assert "The header says under 18." in [str(item.value) for item in film[0].ContentSequence]


def test_several_frames_are_referred_to_by_number():
    """Of a film of several frames, every reference names the frame that was read."""
    many = replace(STUDY, frames="3")
    for write in (WRITERS["sc"], WRITERS["pdf"]):
        made = read(write(ANALYSIS, many))
        (source,) = made.get("SourceImageSequence") or made.SourceInstanceSequence
        assert source.ReferencedFrameNumber == 1
    assert "ReferencedFrameNumber" not in read(WRITERS["sc"](ANALYSIS, STUDY)).SourceImageSequence[0]
    group = srread(io.BytesIO(to_sr(ANALYSIS, many, NOW))).content.get_image_measurement_groups()[1]
    assert group.source_images[0].referenced_frame_numbers == [1]


def test_the_picture_is_in_colour_where_the_map_is(film):
    """The Secondary Capture holds RGB pixels: grey beside the heat map's field, coloured in it."""
    made = read(to_sc(ANALYSIS, FILM, STUDY, NOW))
    pixels = made.pixel_array.astype(int)
    assert pixels.shape == (1200, 1840, 3)
    assert (pixels[:80, 120:1080].max(axis=2) - pixels[:80, 120:1080].min(axis=2)).max() == 0
    assert (pixels[500:700, 500:700].max(axis=2) - pixels[500:700, 500:700].min(axis=2)).max() > 40
    assert Image.fromarray(made.pixel_array).size == (1840, 1200)


def test_what_was_burned_in_stays_declared():
    """The film's own word on burned-in annotation is passed on; without one there is none."""
    assert read(to_sc(ANALYSIS, FILM, replace(STUDY, burned_in="YES"), NOW)).BurnedInAnnotation == "YES"
    assert "BurnedInAnnotation" not in read(to_sc(ANALYSIS, FILM, STUDY, NOW))


@pytest.mark.parametrize("write", [WRITERS["sc"], WRITERS["pdf"]])
def test_a_film_that_was_not_dicom_gives_a_study_of_its_own(write):
    """Its patient fields are empty, its study is the same each time and told by the film's bytes; it refers to nothing."""
    made, again = read(write(ANALYSIS, None)), read(write(ANALYSIS, None, NOW.replace(year=2030)))
    other = read(write(replace(ANALYSIS, source=replace(ANALYSIS.source, sha256="00" * 32)), None))
    assert made.StudyInstanceUID == again.StudyInstanceUID != other.StudyInstanceUID
    assert made.PatientName == made.PatientID == made.PatientBirthDate == made.StudyDate == ""
    assert "SourceImageSequence" not in made
    assert "SourceInstanceSequence" not in made


def test_a_film_that_was_not_dicom_has_no_report():
    """A Structured Report without an object to refer to is refused, in words that say what to do."""
    with pytest.raises(InputError, match="Send it as DICOM"):
        to_sr(ANALYSIS, None, NOW)


def test_the_document_is_the_pdf():
    """The encapsulated document is the PDF, to its length."""
    made = read(to_dicom_pdf(ANALYSIS, FILM, STUDY, NOW))
    document = made.EncapsulatedDocument[: made.EncapsulatedDocumentLength]
    assert document == to_pdf(ANALYSIS, FILM, STUDY, NOW)


@pytest.mark.parametrize(
    ("package", "write"),
    [
        ("highdicom", lambda: to_sr(ANALYSIS, STUDY, NOW)),
        ("reportlab.pdfgen.canvas", lambda: to_pdf(ANALYSIS, FILM, STUDY, NOW)),
    ],
)
def test_a_missing_extra_is_named(package, write, monkeypatch):
    """Without its package a format says what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r"pip install 'hilum\[hospital\]'"):
        write()
