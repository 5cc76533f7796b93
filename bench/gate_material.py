"""Collect what is no chest radiograph, to train and to judge the gate on: photographs, documents, other modalities and body parts.

    apt-get download tuxpaint-stamps-default gnome-backgrounds plasma-workspace-wallpapers invesalius-examples mricron-data \\
      debmake-doc developers-reference
    pip download --no-deps pydicom-data scikit-image
    # unpack each (dpkg -x, unzip) into a folder of its own name below PACKAGES
    python bench/gate_material.py PACKAGES data/cxr data/gate

Writes 8-bit grey PNGs of at most 512 pixels and ``table.csv`` (file, kind, source, split), children's and thumbnail films of
data/cxr among them. What is tested comes from other sources than what is trained on, or from other patients. Grey, since
colour alone gives most photographs away and what people send is often a grey picture. Needs pdftoppm (poppler-utils).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import plistlib
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image, ImageDraw, ImageFont

SIDE = 512
Grey = npt.NDArray[np.uint8]


def pictures(folder: Path, *patterns: str) -> Iterator[tuple[str, Grey]]:
    """Yield pictures below a folder, on white where they are transparent."""
    for path in sorted(found for pattern in patterns for found in folder.rglob(pattern)):
        with Image.open(path) as opened:
            if min(opened.size) < 64 or opened.size[0] * opened.size[1] > 60_000_000:
                continue
            rgba = opened.convert("RGBA")
        page = Image.new("RGBA", rgba.size, "white")
        page.alpha_composite(rgba)
        yield path.name, np.asarray(page.convert("L"))


def pages(folder: Path, pattern: str) -> Iterator[tuple[str, Grey]]:
    """Yield the pages of the PDFs below a folder, at 50 dots an inch."""
    for path in sorted(folder.rglob(pattern)):
        with tempfile.TemporaryDirectory() as place:
            subprocess.run(["pdftoppm", "-r", "50", "-gray", "-png", str(path), f"{place}/page"], check=True)
            for page in sorted(Path(place).glob("*.png")):
                yield f"{path.stem}-{page.stem}", np.asarray(Image.open(page).convert("L"))


def screens(folder: Path) -> Iterator[tuple[str, Grey]]:
    """Yield text files as a dark or a light terminal shows them."""
    font = ImageFont.load_default(size=13)
    for number, path in enumerate(sorted(folder.rglob("*.txt"))[:150]):
        paper, ink = ((250, 20), (16, 220))[number % 2]
        screen = Image.new("L", (640, 480), paper)
        text = path.read_text("utf-8", errors="replace")[:4000]
        ImageDraw.Draw(screen).multiline_text((8 + number % 40, 8), text, fill=ink, font=font)
        yield path.stem, np.asarray(screen)


def nifti_slices(path: Path, step: int) -> Iterator[tuple[str, Grey]]:
    """Yield slices of a NIfTI-1 volume along its three axes."""
    raw = gzip.decompress(path.read_bytes())
    order = "<" if struct.unpack("<i", raw[:4])[0] == 348 else ">"
    shape = struct.unpack(order + "8h", raw[40:56])[1:4]
    kind = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2"}[
        struct.unpack(order + "h", raw[70:72])[0]
    ]
    start = int(struct.unpack(order + "f", raw[108:112])[0])
    volume = np.frombuffer(raw, dtype=order + kind, offset=start, count=int(np.prod(shape))).reshape(shape, order="F")
    for axis in range(3):
        for index in range(shape[axis] // 5, shape[axis] * 4 // 5, step):
            yield f"{path.stem}-{axis}-{index}", scaled(np.rot90(np.take(volume, index, axis)))


def invesalius(folder: Path, step: int) -> Iterator[tuple[str, Grey]]:
    """Yield slices of the example projects: tar archives with a matrix of int16 and a property list that gives its shape."""
    for archive in sorted(folder.rglob("*.inv3")):
        with tarfile.open(archive) as project:
            files = {Path(member.name).name: project.extractfile(member) for member in project if member.isfile()}
            described = plistlib.load(files["main.plist"])
            shape = tuple(described["matrix"]["shape"])
            raw = files[described["matrix"]["filename"]].read()
        volume = np.frombuffer(raw, dtype=described["matrix"]["dtype"], count=int(np.prod(shape))).reshape(shape)
        for axis in range(3):
            for index in range(shape[axis] // 8, shape[axis] * 7 // 8, step):
                yield f"{archive.stem}-{axis}-{index}", scaled(np.take(volume, index, axis))


def dicoms(folder: Path, *skip: str) -> Iterator[tuple[str, Grey]]:
    """Yield the first frame of each DICOM file below a folder that decodes, but of those whose name begins with ``skip``."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(skip)):
        try:
            pixels = pydicom.dcmread(path).pixel_array
        except Exception:  # noqa: BLE001 - test files are broken on purpose
            continue
        while pixels.ndim > 2 and not (pixels.ndim == 3 and pixels.shape[2] == 3):
            pixels = pixels[0]
        grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
        if min(grey.shape) >= 64:
            yield path.stem, scaled(grey)


def scaled(values: npt.NDArray[np.generic]) -> Grey:
    """Return values between their 1st and 99th percentile as 0–255."""
    floats = values.astype(np.float64)
    low, high = np.percentile(floats, [1, 99])
    return np.asarray(np.clip((floats - low) / max(high - low, 1e-9), 0, 1) * 255, dtype=np.uint8)


def of_source(folder: Path, source: str, most: int) -> Iterator[tuple[str, Grey]]:
    """Yield at most so many films of one source of a table of labelled films, named by patient."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["source"] == source]
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["file"].encode()).digest())[:most]:
        yield row["patient_id"], np.asarray(Image.open(folder / row["file"]).convert("L"))


def half(name: str) -> str:
    """Return the side of the split that a name falls on, always the same."""
    return ("train", "test")[hashlib.sha256(name.encode()).digest()[0] % 2]


def collect(packages: Path, films: Path) -> Iterator[tuple[str, str, str, str, Grey]]:
    """Yield kind, source, split, name and picture."""
    tuxpaint = packages / "tuxpaint-stamps-default"
    slices = (one for path in sorted(packages.rglob("ch2*.nii.gz")) for one in nifti_slices(path, 6))
    # kind, source, pictures, split (None: by name)
    sources: tuple[tuple[str, str, Iterator[tuple[str, Grey]], str | None], ...] = (
        ("photograph", "tuxpaint", pictures(tuxpaint, "*.png"), None),
        ("photograph", "plasma", pictures(packages / "plasma-workspace-wallpapers", "screenshot.*"), "train"),
        ("photograph", "gnome", pictures(packages / "gnome-backgrounds", "*.webp"), "test"),
        ("photograph", "scikit-image", pictures(packages / "scikit-image", "*.png", "*.jpg"), "test"),
        ("document", "debmake-doc", pages(packages / "debmake-doc", "*.en.pdf"), "train"),
        ("document", "developers-reference", pages(packages / "developers-reference", "*.pdf"), "test"),
        ("document", "terminal", screens(tuxpaint), None),
        ("other_modality", "mricron", slices, "train"),
        ("other_modality", "invesalius", invesalius(packages / "invesalius-examples", 4), "test"),
        # RG1 is a chest; RG3 a hand, and the rest ultrasound, MR, CT and photographs.
        ("other_modality", "pydicom-data", dicoms(packages / "pydicom-data", "RG1"), None),
        ("paediatric", "kermany", of_source(films, "kermany", 600), None),
        ("blurred", "nih_kcr64", of_source(films, "nih_kcr64", 300), "test"),
    )
    for kind, source, found, split in sources:
        for name, grey in found:
            yield kind, source, split or half(name), name, grey


def main(packages: Path, films: Path, out: Path) -> None:
    """Write the pictures and their table."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "table.csv").open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines)
        table.writerow(["file", "kind", "source", "split", "name"])
        for number, (kind, source, split, name, grey) in enumerate(collect(packages, films)):
            picture = Image.fromarray(grey)
            picture.thumbnail((SIDE, SIDE))
            picture.save(out / f"{number:05d}.png")
            table.writerow([f"{number:05d}.png", kind, source, split, name])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
