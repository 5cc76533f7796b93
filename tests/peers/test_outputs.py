"""What hilum writes, judged by a hospital's validators: dicom3tools, dcmtk and PixelMed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread

from finished import ANALYSIS, FILM, NOW, REFUSED, STUDY
from hilum.report import to_dicom_pdf, to_pdf, to_sc, to_sr

pytestmark = pytest.mark.peers

OBJECTS = {
    "sr": lambda: to_sr(ANALYSIS, STUDY, NOW),
    "sr-refused": lambda: to_sr(REFUSED, STUDY, NOW),
    "sc": lambda: to_sc(ANALYSIS, FILM, STUDY, NOW),
    "sc-refused": lambda: to_sc(REFUSED, FILM, STUDY, NOW),
    "sc-anonymous": lambda: to_sc(ANALYSIS, FILM, None, NOW),
    "pdf": lambda: to_dicom_pdf(ANALYSIS, FILM, STUDY, NOW),
    "pdf-anonymous": lambda: to_dicom_pdf(ANALYSIS, FILM, None, NOW),
}
REPORTS = ("sr", "sr-refused")


@pytest.fixture
def written(tmp_path):
    """A function from an object's name to its file."""

    def write(name: str) -> Path:
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(OBJECTS[name]())
        return path

    return write


@pytest.mark.parametrize("name", OBJECTS)
def test_dciodvfy_finds_no_error(name, written, peer):
    """Every object obeys its definition (IOD), and dciodvfy warns of nothing but our private coding scheme."""
    lines = peer("dciodvfy", written(name)).splitlines()
    assert not [line for line in lines if line.startswith("Error")]
    known = ("99HILUM", "Coding Scheme UID", "needed to build DICOMDIR")
    assert not [line for line in lines if line.startswith("Warning") and not any(part in line for part in known)]


@pytest.mark.parametrize("name", REPORTS)
def test_dsrdump_reads_the_report(name, written, peer):
    """dcmtk parses the content tree without an error, down to the last words."""
    printed = peer("dsrdump", "+Pl", written(name))
    assert not re.findall(r"^[EF]: ", printed, re.MULTILINE)
    assert "For research use only" in printed
    assert ("Pleural effusion" in printed) == (name == "sr")


@pytest.mark.parametrize("name", REPORTS)
def test_pixelmed_finds_a_valid_measurement_report(name, written, pixelmed):
    """PixelMed knows the report as TID 1500, and finds no error in it."""
    printed = pixelmed("validate.DicomSRValidator", written(name))
    assert "Found ComprehensiveSR IOD" in printed
    assert "Found Root Template TID_1500" in printed
    assert not re.findall(r"^Error.*", printed, re.MULTILINE)


def test_pixelmed_sees_a_broken_report(written, pixelmed, tmp_path):
    """A report with a code that TID 1500 does not allow is an error to PixelMed: its silence above means something."""
    report = dcmread(written("sr"))
    (procedure,) = (item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "121058")
    procedure.ConceptCodeSequence[0].CodeValue = "0815"
    report.save_as(tmp_path / "broken.dcm")
    printed = pixelmed("validate.DicomSRValidator", tmp_path / "broken.dcm")
    assert re.findall(r"^Error.*not found in context group", printed, re.MULTILINE)


def test_poppler_reads_the_page(peer, tmp_path):
    """Another program's text of the PDF has patient, findings and disclaimer, on one page."""
    (tmp_path / "page.pdf").write_bytes(to_pdf(ANALYSIS, FILM, STUDY, NOW))
    text = peer("pdftotext", "-layout", tmp_path / "page.pdf", "-")
    assert text.count("\f") == 1
    assert re.search(r"Effusion +84\.2 +61\.2 +present", text)
    assert "TEST PATIENT" in text


def test_dcmtk_shows_the_picture(written, peer, tmp_path):
    """dcmtk turns the Secondary Capture into a picture of its size."""
    peer("dcm2pnm", "--write-png", written("sc"), tmp_path / "sc.png")
    with Image.open(tmp_path / "sc.png") as picture:
        assert picture.size == (1840, 1200)
