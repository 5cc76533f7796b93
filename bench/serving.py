"""The service as a process of its own, and films of every kind with what must become of each. Used by soak.py and faults.py."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "src/hilum/server/static/gallery"
HILUM = (sys.executable, "-c", "from hilum.cli import main; main()")
MANUFACTURER = "Somebody's detector"


@dataclass(frozen=True)
class Film:
    """An upload, and what must come of it."""

    kind: str
    data: bytes
    expected: str
    """``answer``, or the code of the problem."""


@dataclass(frozen=True)
class Outcome:
    """What came of an upload."""

    said: str
    """``answer``, a problem's code, or ``lost`` where no answer came."""
    content: str
    """Hash of what an answer says of the film; empty for a problem."""
    seconds: float


# --- films ---------------------------------------------------------------------------------------------------------


def pixels(name: str, width: int, height: int) -> np.ndarray:
    """Return an example film at another size, uint16, 12 bits, with a detector's noise."""
    with Image.open(GALLERY / f"{name}.jpg") as image:
        large = np.asarray(image.convert("L").resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    noise = np.random.default_rng(len(name)).normal(0, 8, large.shape)
    return np.clip(15.5 * large + noise, 0, 4095).astype(np.uint16)


def dicom(stored: np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: object) -> bytes:
    """Return a DX file of 12-bit pixels with new UIDs, its pixels encoded as ``syntax``."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.ViewPosition, dataset.BodyPartExamined = "DX", "PA", "CHEST"
    dataset.PatientName = dataset.PatientID = "CANARY^Quentin"
    dataset.Manufacturer = MANUFACTURER
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        dataset.set_original_encoding(False, True)
        if "PixelData" not in elements:
            dataset.compress(syntax)
        else:
            dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def picture(image: Image.Image, kind: str) -> bytes:
    """Return an image as a file's bytes."""
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def png_that_states(width: int, height: int) -> bytes:
    """Return a small PNG whose header states a huge picture."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(10**6))),
        (b"IEND", b""),
    )
    packed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def deflate_bomb() -> bytes:
    """Return a deflated DICOM data set of 300 MB in 300 kB."""
    plain = dicom(pixels("effusion", 64, 64), DeflatedExplicitVRLittleEndian)
    squeeze = zlib.compressobj(9, wbits=-15)
    bomb = b"".join([*(squeeze.compress(bytes(1 << 20)) for _ in range(300)), squeeze.flush()])
    return plain[: 144 + int.from_bytes(plain[140:144], "little")] + bomb


def nested_sequences() -> bytes:
    """Return a DICOM file with 5,000 sequences inside one another."""
    plain = dicom(pixels("effusion", 64, 64))
    one = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return plain[: plain.index(struct.pack("<HH2s", 0x0028, 0x0002, b"US"))] + one * 5000


def rle_lie() -> bytes:
    """Return a few bytes of RLE that state 7,000 × 7,000 pixels."""
    frame = encapsulate([struct.pack("<16I", 2, 64, 66, *[0] * 13) + bytes(4)])
    return dicom(pixels("effusion", 64, 64), RLELossless, Rows=7000, Columns=7000, PixelData=frame)


def good_films() -> list[Film]:
    """Return sound films in the formats that hospitals and people send."""
    stored = pixels("effusion", 1024, 1250)
    eight = Image.fromarray((stored // 16).astype(np.uint8))
    films = [Film(f"JPEG {path.stem}", path.read_bytes(), "answer") for path in sorted(GALLERY.glob("*.jpg"))]
    films += [Film(f"{kind} 1024", picture(eight, kind), "answer") for kind in ("PNG", "TIFF")]
    syntaxes = {
        "raw": ExplicitVRLittleEndian,
        "RLE": RLELossless,
        "JPEG-LS": JPEGLSLossless,
        "JPEG 2000": JPEG2000Lossless,
    }
    return films + [Film(f"DICOM {name}", dicom(stored, syntax), "answer") for name, syntax in syntaxes.items()]


def bad_films() -> list[Film]:
    """Return broken, huge and hostile files."""
    good = {film.kind: film.data for film in good_films()}
    jpeg, raw, packed = good["JPEG effusion"], good["DICOM raw"], good["DICOM JPEG 2000"]
    noise = np.random.default_rng(3).bytes(200_000)
    return [
        Film("broken: half a JPEG", jpeg[: len(jpeg) // 2], "unreadable_image"),
        Film("broken: half a DICOM", raw[: len(raw) // 2], "unreadable_image"),
        Film("broken: a cut JPEG 2000 frame", packed[: len(packed) // 3], "unreadable_image"),
        Film("broken: noise", noise, "unreadable_image"),
        Film("broken: a PDF", b"%PDF-1.7" + noise[:5000], "unsupported_syntax"),
        Film("huge: a PNG of 40 megapixels", picture(Image.new("L", (8000, 5000), 90), "PNG"), "answer"),
        Film("huge: a PNG that states 60,000²", png_that_states(60_000, 60_000), "image_too_large"),
        Film("bomb: 300 MB deflated", deflate_bomb(), "image_too_large"),
        Film("bomb: RLE that states 7,000²", rle_lie(), "unreadable_image"),
        Film("bomb: 5,000 nested sequences", nested_sequences(), "unreadable_image"),
    ]


# --- the service ---------------------------------------------------------------------------------------------------


def environment(folder: Path, **given: str) -> dict[str, str]:
    """Return this process's environment without hilum's settings, with temporary files in ``folder``, on one thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HILUM_")}
    own = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder), "HILUM_THREADS": "1"}
    return kept | own | given


@dataclass
class Service:
    """A running ``hilum serve``."""

    process: subprocess.Popen[bytes]
    address: str

    def client(self, seconds: float = 120) -> httpx.Client:
        """Return a client for one thread."""
        return httpx.Client(base_url=self.address, timeout=seconds, trust_env=False)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(300)


def start(folder: Path, port: int = 0, prefix: tuple[str, ...] = (), cwd: Path | None = None, **given: str) -> Service:
    """Start the service and wait until it listens. Raises RuntimeError with what it said where it does not."""
    log = folder / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*prefix, *HILUM, "serve", "--port", str(port)],
            stdout=stream,
            stderr=stream,
            cwd=cwd or folder,
            env=environment(folder, **given),
        )
    end = time.monotonic() + 600  # a machine that does other work may take its time
    while time.monotonic() < end and process.poll() is None:
        said = [line for line in log.read_text("utf-8").splitlines() if "is listening on" in line]
        if said:
            return Service(process, said[0].rpartition(" ")[2])
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise RuntimeError(log.read_text("utf-8"))


@contextlib.contextmanager
def serving(folder: Path, **given: str) -> Iterator[Service]:
    """Run the service until the block ends."""
    service = start(folder, **given)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


def post(client: httpx.Client, film: Film) -> Outcome:
    """Send a film; say what came of it."""
    begun = time.monotonic()
    try:
        answer = client.post("/api/ml-analyze", files={"image": ("film", film.data)})
        body = answer.json()
    except (httpx.TransportError, ValueError):
        return Outcome("lost", "", time.monotonic() - begun)
    seconds = time.monotonic() - begun
    if answer.status_code == 200:
        return Outcome("answer", content_of(body["analysis"]["details"]), seconds)
    return Outcome(str(body.get("code")), "", seconds)


def content_of(details: Mapping[str, object]) -> str:
    """Return a hash of an analysis without its timings: the same film must always give the same."""
    kept = {name: value for name, value in details.items() if name != "timings"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def children(pid: int) -> list[int]:
    """Return the ids of a process's children, the ones that decode among them."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text("ascii").split()]
    return found


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def machine() -> str:
    """Return what is measured on, and how busy it is with other work: to be asked before anything is begun."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    return f"{os.cpu_count()} cores of {model}, Python {sys.version.split()[0]}, Linux, load before {os.getloadavg()[0]:.1f}"
