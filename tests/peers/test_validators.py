"""The validators see faults: otherwise their silence about what hilum writes would say nothing."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

pytestmark = pytest.mark.peers


def write_bare(path, sop_class) -> None:
    """Write an object that has a class and UIDs, and lacks all the rest that its class asks for."""
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID = sop_class, "2.25.1"
    bare.StudyInstanceUID, bare.SeriesInstanceUID = "2.25.2", "2.25.3"
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bare.save_as(path, enforce_file_format=True)


def test_dciodvfy_sees_an_incomplete_image(peer, tmp_path):
    """An image without pixels or patient is full of errors to dciodvfy."""
    write_bare(tmp_path / "bare.dcm", SecondaryCaptureImageStorage)
    assert "Error - Missing attribute Type 1" in peer("dciodvfy", tmp_path / "bare.dcm", codes=(0, 1))


def test_dsrdump_sees_an_empty_report(peer, tmp_path):
    """A report without a content tree is no report to dsrdump."""
    write_bare(tmp_path / "bare.dcm", EnhancedSRStorage)
    assert "error (Invalid Value) parsing file" in peer("dsrdump", tmp_path / "bare.dcm", codes=(1,))
