"""How long films take to decode, what a process of its own costs, and how much memory it takes.

    python bench/decode.py

A film of 2500 × 2048 with 12 bits is made from one that ships, and encoded in each transfer syntax. Columns: milliseconds of
processor time in this process; in another process, both together; what that costs more; the other process's peak memory in MiB.
Processor time, because it hardly depends on what else a machine does. Linux only.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from hilum.images import DEFAULT_LIMITS, ENOUGH, Limits, apart
from hilum.images.apart import decode_apart
from hilum.images.dicom import decode

FILM = Path(__file__).parents[1] / "src/hilum/server/static/gallery/effusion.jpg"
SIZE = (2048, 2500)
RUNS = 5
PLAIN = {
    "explicit little endian": ExplicitVRLittleEndian,
    "implicit little endian": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
COMPRESSED = {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}


def film() -> Dataset:
    """Return the film as a DX object; noise stands in for a detector's, or it would compress too well."""
    with Image.open(FILM) as image:
        large = np.asarray(image.convert("L").resize(SIZE, Image.Resampling.BICUBIC), dtype=np.float32) * 15.5
    stored = np.clip(large + np.random.default_rng(1).normal(0, 8, large.shape), 0, 4095).astype(np.uint16)
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1.1", generate_uid(), "DX"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    return dataset


def written(dataset: Dataset, syntax: str) -> bytes:
    """Return the file's bytes."""
    dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def encoded(dataset: Dataset, syntax: str) -> bytes:
    """Return the file's bytes, its pixels compressed."""
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.set_original_encoding(False, True)
    dataset.compress(syntax)
    return written(dataset, syntax)


def spent(pid: int | None) -> float:
    """Return the milliseconds of processor time of this process, and of another."""
    other = Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0] if pid else 0
    return 1000 * time.process_time() + int(other) / 1e6


def cost(run: Callable[[bytes, Limits], object], data: bytes, pid: int | None = None) -> float:
    """Return the median milliseconds of processor time of some runs."""
    times = []
    for _ in range(RUNS):
        begun = spent(pid)
        run(data, DEFAULT_LIMITS)
        times.append(spent(pid) - begun)
    return statistics.median(times)


def peak() -> float:
    """Return the peak memory, MiB, of the process that waits, and end it, so that the next is measured afresh."""
    (waiting,) = apart.waiting()
    status = Path(f"/proc/{waiting}/status").read_text("ascii")
    apart.close()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Print the table."""
    files = {name: written(film(), syntax) for name, syntax in PLAIN.items()}
    files |= {name: encoded(film(), syntax) for name, syntax in COMPRESSED.items()}
    print(f"{'syntax':24}{'file MiB':>10}{'here':>8}{'apart':>8}{'more':>8}{'peak MiB':>10}")
    for name, data in files.items():
        here = cost(decode, data)
        decode_apart(data, DEFAULT_LIMITS)
        there = cost(decode_apart, data, *apart.waiting())
        print(f"{name:24}{len(data) / 2**20:10.1f}{here:8.0f}{there:8.0f}{there - here:8.1f}{peak():10.0f}", flush=True)
    half = cost(partial(decode, enough=ENOUGH), files["JPEG 2000"])
    print(f"{'JPEG 2000, half size':24}{len(files['JPEG 2000']) / 2**20:10.1f}{half:8.0f}", flush=True)
    decode_apart(files["explicit little endian"], DEFAULT_LIMITS)
    print(f"The first film, which a process is started for: {spent(*apart.waiting()) - 1000 * time.process_time():.0f}")


if __name__ == "__main__":
    main()
