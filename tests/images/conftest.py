"""Synthetic films, made on the fly: a gradient with one mark, so that no turn or flip of it looks like itself."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

Words = npt.NDArray[np.uint16]
MakeDicom = Callable[..., bytes]
_KINDS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
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


def encoded(dataset: Dataset, syntax: str) -> bytes:
    """Return the file's bytes with its pixels compressed as ``syntax``."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.set_original_encoding(False, True)
    dataset.compress(syntax)
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def transcoded(data: bytes, folder: Path, syntax: int) -> bytes:
    """Encode as GDCM does, which is the only one to write JPEG lossless, and only from file to file."""
    plain, out = folder / "plain.dcm", folder / "lossless.dcm"
    plain.write_bytes(data)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(out))
    assert writer.Write()
    return out.read_bytes()


def raster(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return ``image`` as a file of this kind."""
    file = BytesIO()
    image.save(file, kind, **options)
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
def compress() -> Callable[..., bytes]:
    """``encoded(dataset, syntax)`` → bytes."""
    return encoded


@pytest.fixture
def lossless(tmp_path: Path) -> Callable[[bytes], bytes]:
    """``lossless(data)`` → the file's bytes with its pixels as JPEG lossless, first-order prediction."""
    return lambda data: transcoded(data, tmp_path, gdcm.TransferSyntax.JPEGLosslessProcess14_1)


@pytest.fixture
def transcode(tmp_path: Path) -> Callable[[bytes, int], bytes]:
    """``transcode(data, syntax)`` → the file's bytes with its pixels as GDCM writes them."""
    return lambda data, syntax: transcoded(data, tmp_path, syntax)


@pytest.fixture(scope="session")
def real_files() -> dict[str, bytes]:
    """One small film in each encoding, with a name in every DICOM header."""
    eight = Image.fromarray((gradient() // 16).astype(np.uint8))
    files = {f"{mode} {kind}": raster(eight.convert(mode), kind) for mode in ("L", "RGB") for kind in _KINDS}
    files |= {f"TIFF {name}": raster(eight, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg")}
    files["16-bit PNG"] = raster(Image.fromarray(gradient()), "PNG")
    files |= {syntax: encoded(data_set(), syntax) for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless)}
    header = {"WindowCenter": "2000", "WindowWidth": "1000", "RescaleSlope": "1", "RescaleIntercept": "-5"}
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        files[syntax] = written(data_set(PixelPaddingValue=0, **header), syntax)
    return files


@pytest.fixture
def make_dicom() -> MakeDicom:
    """``make(stored, bits, syntax=…, **elements)`` → bytes."""

    def make(
        stored: npt.NDArray[Any] | None = None, bits: int = 12, syntax: str = ExplicitVRLittleEndian, **elements: object
    ) -> bytes:
        return written(data_set(stored, bits, **elements), syntax)

    return make
