"""What is fuzzed: every parser of something that others made, with sound files to spoil and what must hold whatever comes of them.

An input is made of its parser's name and its number alone, so that whatever one of them breaks can be made again.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from hilum import keras_h5
from hilum.datasets.plain import read_table
from hilum.datasets.split import read_patients
from hilum.deidentify import read_rules
from hilum.errors import HilumError
from hilum.images import read_image
from hilum.images.study import read_study
from hilum.keras_h5.sidecar import read_sidecar
from hilum.pipeline import open_bundles
from hilum.records import EnsembleRecord, Interval, OperatingPoint
from hilum.registry import (
    ENSEMBLE,
    load_bundle,
    load_ensemble,
    manifest_from_json,
    save_bundle,
    save_ensemble,
)
from hilum.training.config import read_config
from mutate import Mutate, mutate_bytes, mutate_dicom, mutate_json, mutate_text
from tiny import tiny_golden, tiny_graph, tiny_manifest

ROOT = Path(__file__).parents[1]
CANARY = "CANARY"
"""Stands in headers, cells and file names, and must stand in no message."""
FOUND = Path(__file__).parent / "golden" / "fuzzing"
"""Inputs that broke something once: PARSER-NUMBER.bin."""


@dataclass(frozen=True)
class Parser:
    """One reader of files, and how its files are spoilt."""

    seeds: Callable[[], Mapping[str, bytes]]
    mutate: Mutate
    parse: Callable[[bytes], object]
    """Raises only errors of hilum's tree."""
    inputs: int
    """How many are tried by the tests."""


def spoilt(name: str, number: int) -> bytes:
    """Return input ``number`` of a parser."""
    random = Random(f"{name} {number}")
    seeds = sorted(_seeds(name).items())
    return PARSERS[name].mutate(random, random.choice(seeds)[1])


def attempt(name: str, data: bytes) -> str:
    """Parse ``data``; return ``read``, or the code of the error. Whatever else it raises, or says of whom, passes or fails here."""
    try:
        PARSERS[name].parse(data)
    except HilumError as error:
        if CANARY in str(error):
            raise AssertionError(f"the message of {type(error).__name__} repeats what stands in the file") from error
        return error.code
    return "read"


@cache
def _seeds(name: str) -> Mapping[str, bytes]:
    return PARSERS[name].seeds()


# --- films ---------------------------------------------------------------------------------------------------------


def _stored() -> np.ndarray:
    film = np.linspace(0, 3000, 48 * 64).reshape(48, 64)
    film[4:10, 6:16] = 4000
    return film.astype(np.uint16)


def _rasters() -> dict[str, bytes]:
    eight = Image.fromarray((_stored() // 16).astype(np.uint8))
    note, exif = PngInfo(), Image.Exif()
    note.add_text("Comment", CANARY)
    exif[0x010E] = CANARY
    files = {}
    for mode in ("L", "RGB", "P", "LA"):
        files[f"PNG {mode}"] = _saved(eight.convert(mode), "PNG", pnginfo=note, exif=exif)
    files["PNG 16"] = _saved(Image.fromarray(_stored()), "PNG")
    for name, options in (("", {}), (" progressive", {"progressive": True}), (" 4:2:0", {"subsampling": 2})):
        files[f"JPEG{name}"] = _saved(eight.convert("RGB"), "JPEG", exif=exif, **options)
    for name in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        files[f"TIFF {name}"] = _saved(eight, "TIFF", compression=name, exif=exif)
    files["TIFF 16"] = _saved(Image.fromarray(_stored()), "TIFF")
    files["BMP"] = _saved(eight, "BMP")
    files["WebP"], files["WebP lossless"] = _saved(eight, "WEBP", exif=exif), _saved(eight, "WEBP", lossless=True)
    return files


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _dicoms() -> dict[str, bytes]:
    stored, files = _stored(), {}
    packed = (RLELossless, JPEGLSLossless, JPEG2000Lossless)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, *packed):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "2.25.1"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.2", "2.25.3"
        dataset.PatientName = dataset.PatientID = dataset.StudyDescription = CANARY
        dataset.Modality, dataset.ViewPosition, dataset.BodyPartExamined, dataset.PatientAge = (
            "DX",
            "PA",
            "CHEST",
            "042Y",
        )
        dataset.Rows, dataset.Columns = stored.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelPaddingValue = 16, 12, 11, 0
        dataset.WindowCenter, dataset.WindowWidth, dataset.RescaleSlope, dataset.RescaleIntercept = (
            "2000",
            "1000",
            "1",
            "-5",
        )
        dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if syntax in packed:
            dataset.set_original_encoding(False, True)
            dataset.compress(syntax)
        dataset.file_meta.TransferSyntaxUID = syntax
        file = io.BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        files[syntax.name] = file.getvalue()
    return files


# --- models --------------------------------------------------------------------------------------------------------


def _keras() -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted((ROOT / "tests/golden/keras").glob("*.h5"))}


def _mutate_h5(random: Random, data: bytes) -> bytes:
    """Spoil an HDF5 file: anywhere, in its first kilobytes where its structure is, or in the model's description."""
    kind = random.randrange(3)
    if kind == 0:
        return mutate_bytes(random, data)
    if kind == 1:
        return mutate_bytes(random, data[:3000]).ljust(3000, b"\0")[:3000] + data[3000:]
    start = data.find(b'{"')
    end = data.find(b"\0", start)
    if start < 0 or end < 0:
        return mutate_bytes(random, data)
    spoilt = mutate_text(random, data[start:end])
    return data[:start] + spoilt.ljust(end - start)[: end - start] + data[end:]


def _h5(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "medical_classifier.h5"
        path.write_bytes(data)
        open_bundles([keras_h5.bundle_from_h5(path)], threads=1)


def _manifests() -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes() for path in sorted((ROOT / "src/hilum/bundles").glob("*/manifest.json"))
    }


def _graphs() -> dict[str, bytes]:
    return {f"{seed}": tiny_graph(2, seed) for seed in range(3)}


def _bundle(**files: bytes) -> None:
    """Open a bundle whose hashes are right, whatever is in its files: somebody has made it so."""
    manifest = tiny_manifest("DenseNet121", "densenet", ("Effusion", "Edema"))
    model = tiny_graph(2)
    whole = {"model.onnx": model, "card.md": b"# tiny\n"}
    with tempfile.TemporaryDirectory() as folder:
        save_bundle(
            Path(folder) / "one", manifest, whole | {name.replace("_", "."): data for name, data in files.items()}
        )
        open_bundles([load_bundle(Path(folder) / "one")], threads=1)


def _golden() -> dict[str, bytes]:
    return {"golden": tiny_golden(tiny_graph(2), tiny_manifest("DenseNet121", "densenet", ("Effusion", "Edema")).input)}


def _folders() -> dict[str, bytes]:
    """Bundle folders as JSON: a file's name → its content."""
    manifest = tiny_manifest("DenseNet121", "densenet", ("Effusion", "Edema"))
    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Path(folder), manifest, {"model.onnx": tiny_graph(2), "card.md": b"# tiny\n"})
        files = {path.name: path.read_bytes().decode("latin-1") for path in Path(folder).iterdir()}
    return {"tiny": json.dumps(files).encode()}


def _folder(data: bytes) -> None:
    """Open a bundle folder whose files are missing, changed or of other names."""
    try:
        files = json.loads(data)
    except ValueError:
        files = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items() if isinstance(files, dict) else ():
            if "/" not in name and "\0" not in name and 0 < len(name) < 100 and name not in (".", ".."):
                (Path(folder) / name).write_bytes(str(content).encode("latin-1", "replace"))
        open_bundles([load_bundle(Path(folder))], threads=1)


def _ensembles() -> dict[str, bytes]:
    record = EnsembleRecord(
        {"a": "00" * 32, "b": "11" * 32},
        {"Edema": {"youden": OperatingPoint(50.0, 0.7, 0.8)}},
        {"Edema": Interval(0.8, 0.7, 0.9)},
    )
    with tempfile.TemporaryDirectory() as folder:
        save_ensemble(Path(folder), record)
        made = (Path(folder) / ENSEMBLE).read_bytes()
    return {"made": made, "shipped": (ROOT / "src/hilum/bundles" / ENSEMBLE).read_bytes()}


def _written(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Return what writes bytes to a file of this name and reads that."""

    def parse(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            return read(path)

    return parse


SIDECAR = b"""
labels = ["Atelectasis", "Effusion", "Lung Opacity"]
not_assessed = ["Effusion"]
dataset = "CheXpert"
architecture = "DenseNet121"
crop = "whole"
activation = "sigmoid"
ensemble = true
size = 224
[preprocessing]
scale = 255.0
mean = [103.9, 116.8, 123.7]
std = [1.0]
"""
RULES = b"""
[[rule]]
manufacturer = "Somebody"
model = "Scan 3"
rows = 2048
columns = 2500
regions = [[0, 0, 900, 120], [0, 1990, 2500, 58]]
"""
TABLE = f"""file,patient_id,source,view,age,sex,orig_width,study_id,split,Effusion,Edema
{CANARY}/1.png,{CANARY}1,test,PA,45,F,1024,s1,train,1,0
{CANARY}/2.png,{CANARY}2,test,AP,,M,,s2,test,,-1
"{CANARY}, 3.png",{CANARY}3,,,61.5,,2500,,,0,1
""".encode()
SPLIT = f"patient_id\n{CANARY}1\n{CANARY}2\n".encode()


def _configs() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((ROOT / "examples/train_default").glob("*.toml"))}


PARSERS: Mapping[str, Parser] = {
    "PNG, JPEG, TIFF, BMP, WebP": Parser(_rasters, mutate_bytes, read_image, 400),
    "DICOM film": Parser(_dicoms, mutate_dicom, read_image, 150),
    "DICOM study": Parser(_dicoms, mutate_dicom, read_study, 300),
    "Keras .h5": Parser(_keras, _mutate_h5, _h5, 60),
    "manifest.json": Parser(_manifests, mutate_json, manifest_from_json, 150),
    "bundle folder": Parser(_folders, mutate_json, _folder, 100),
    "model.onnx": Parser(_graphs, mutate_bytes, lambda data: _bundle(model_onnx=data), 60),
    "golden.npz": Parser(_golden, mutate_bytes, lambda data: _bundle(golden_npz=data), 60),
    "ensemble.json": Parser(_ensembles, mutate_json, _written(ENSEMBLE, lambda path: load_ensemble(path.parent)), 150),
    "sidecar": Parser(
        lambda: {"sidecar": SIDECAR}, mutate_text, _written("medical_classifier.toml", read_sidecar), 200
    ),
    "training configuration": Parser(_configs, mutate_text, _written("train.toml", read_config), 150),
    "table of films": Parser(lambda: {"table": TABLE}, mutate_text, _written("labels.csv", read_table), 300),
    "split": Parser(lambda: {"split": SPLIT}, mutate_text, _written("holdout.csv", read_patients), 200),
    "de-identification rules": Parser(lambda: {"rules": RULES}, mutate_text, _written("rules.toml", read_rules), 150),
}
