"""Synthetic films, made on the fly: a gradient with one mark, so that no turn or flip of it looks like itself."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

Words = npt.NDArray[np.uint16]
MakeDicom = Callable[..., bytes]
NAME = "CANARY^Quentin"


def gradient(rows: int = 48, columns: int = 64, top: int = 4000) -> Words:
    """Return a film of 0–``top`` with a bright mark near its upper left corner."""
    film = np.linspace(0, top * 3 // 4, rows * columns).reshape(rows, columns)
    film[4:10, 6:16] = top
    return film.astype(np.uint16)


def data_set(stored: npt.NDArray[Any] | None = None, bits: int = 12, **elements: object) -> Dataset:
    """Return a DX object of ``stored`` with a patient's name in every element that could hold one."""
    stored = gradient() if stored is None else stored
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", generate_uid()
    dataset.PatientName = dataset.OperatorsName = NAME
    dataset.PatientID = dataset.StudyDescription = dataset.AccessionNumber = "CANARY-ID"
    dataset.Modality, dataset.ViewPosition = "DX", "PA"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 1 if stored.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if stored.ndim == 2 else "RGB"
    dataset.BitsAllocated = 8 * stored.itemsize
    dataset.BitsStored = min(bits, 8 * stored.itemsize)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    if stored.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    dataset["PixelData"].VR = "OB" if stored.itemsize == 1 else "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def written(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the file's bytes, as ``syntax`` (pixels as they are)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture(name="film")
def _film() -> Words:
    return gradient()


@pytest.fixture
def make_data_set() -> Callable[..., Dataset]:
    """``data_set(stored, bits, **elements)`` → Dataset."""
    return data_set


@pytest.fixture
def write() -> Callable[..., bytes]:
    """``written(dataset, syntax)`` → bytes."""
    return written


@pytest.fixture
def make_dicom() -> MakeDicom:
    """``make(stored, bits, syntax=…, **elements)`` → bytes."""

    def make(
        stored: npt.NDArray[Any] | None = None, bits: int = 12, syntax: str = ExplicitVRLittleEndian, **elements: object
    ) -> bytes:
        return written(data_set(stored, bits, **elements), syntax)

    return make
