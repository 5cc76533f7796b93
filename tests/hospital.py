"""Films as DICOM files, results of a fake engine, and in-process callers and peers on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    BasicTextSRStorage,
    ComprehensiveSRStorage,
    DigitalXRayImageStorageForPresentation,
    Verification,
)

from hilum.errors import UnreadableImage
from hilum.node.service import run_node
from hilum.node.settings import NodeSettings
from hilum.node.worker import Answer

_EXAMPLE = Path(__file__).parents[1] / "src/hilum/server/static/gallery/effusion.jpg"
SENTINEL = "CANARY^Quentin"


def dicom(
    sop_class: str = DigitalXRayImageStorageForPresentation, instance: str | None = None, **elements: object
) -> Dataset:
    """Return a small DICOM object with its file meta information."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, instance or generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientName = dataset.PatientID = SENTINEL
    dataset.Modality = "DX"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = (
        sop_class,
        dataset.SOPInstanceUID,
    )
    return dataset


def film(rows: int = 96, columns: int = 80, **elements: object) -> Dataset:
    """Return a DX object with pixels that the gate accepts."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    stored = np.rint(4000 * np.clip(0.3 + 0.4 * x + 0.2 * np.sin(9 * y), 0, 1)).astype(np.uint16)
    return dicom(
        **{
            "Rows": rows,
            "Columns": columns,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
            "PixelData": stored.tobytes(),
        }
        | elements
    )


def chest_film(side: int = 256, **elements: object) -> Dataset:
    """Return a DX object with the pixels of an example film that ships, which every gate accepts."""
    with Image.open(_EXAMPLE) as picture:
        stored = np.asarray(picture.convert("L").resize((side, side)))
    pixels = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": stored.tobytes()}
    return film(side, side, **(pixels | elements))


def written(dataset: Dataset) -> bytes:
    """Return a dataset as a file's bytes."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def read(data: bytes) -> Answer:
    """The fake engine: one text document that names the film, under a UID that is always the same for it."""
    source = dcmread(BytesIO(data))
    if source.get("SeriesDescription") == "broken":
        raise UnreadableImage("It is broken.")
    result = dicom(BasicTextSRStorage, instance=f"{source.SOPInstanceUID[:60]}.1", Modality="SR")
    result.SeriesDescription = source.SOPInstanceUID
    return Answer([written(result)], True)


class Receiver:
    """A peer that keeps what it gets, and answers with ``status``."""

    def __init__(self) -> None:
        self.datasets: list[Dataset] = []
        self.status = 0x0000
        self.port = 0

    def store(self, event: evt.Event) -> int:
        if self.status == 0x0000:
            self.datasets.append(event.dataset)
        return self.status

    @property
    def instances(self) -> list[str]:
        return [str(dataset.SOPInstanceUID) for dataset in self.datasets]


@contextlib.contextmanager
def receiving(ssl_context=None, port: int = 0) -> Iterator[Receiver]:
    """Run a peer with the AE title PACS."""
    receiver = Receiver()
    entity = AE("PACS")
    entity.require_called_aet = True
    for sop_class in (BasicTextSRStorage, ComprehensiveSRStorage):
        entity.add_supported_context(sop_class)
    entity.add_supported_context(Verification)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, receiver.store)], ssl_context=ssl_context
    )
    receiver.port = server.server_address[1]
    try:
        yield receiver
    finally:
        entity.shutdown()


def settings_for(folder: Path, *ports: int, **given: object) -> NodeSettings:
    """Return settings of a node with a spool in ``folder`` and a peer at each port, whose waits are short."""
    peers = [
        {"name": f"pacs-{n}", "ae_title": "PACS", "host": "127.0.0.1", "port": port} for n, port in enumerate(ports)
    ]
    short = {"port": 0, "retry_seconds": 0.05, "retry_most_seconds": 0.2, "stop_seconds": 5.0, "idle_seconds": 10.0}
    return NodeSettings(**({"spool": folder / "spool", "peers": peers} | short | given))


@contextlib.contextmanager
def running(settings: NodeSettings, read=read, **given: object) -> Iterator[int]:
    """Run a node in this process; give its port."""
    stop, ready, ports, errors = threading.Event(), threading.Event(), [], []

    def opened(port: int) -> None:
        ports.append(port)
        ready.set()

    def run() -> None:
        try:
            run_node(settings, read, ("bundle",), stop, opened, **given)
        except Exception as error:  # noqa: BLE001 - it is raised where the test is
            errors.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    if errors:
        raise errors[0]
    try:
        yield ports[0]
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
        assert not errors


def send(port: int, *datasets: Dataset, caller: str = "CALLER", called: str = "HILUM", tls=None) -> list[int]:
    """Send objects over one association; return the statuses. Raises ConnectionError without an association."""
    entity = AE(caller)
    entity.add_requested_context(Verification)
    for sop_class in {dataset.SOPClassUID for dataset in datasets}:
        entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls)
    if not association.is_established:
        raise ConnectionError("rejected" if association.is_rejected else "aborted")
    try:
        assert association.send_c_echo().Status == 0x0000
        return [association.send_c_store(dataset).Status for dataset in datasets]
    finally:
        association.release()


def wait_for(true: Callable[[], object], seconds: float = 15) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


_TINY = """
import sys
from pathlib import Path
from hilum import cli, pipeline
folder = Path(sys.argv.pop(1))
pipeline.shipped_folder = lambda: folder
cli.main()
"""


def run_hilum(tiny: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, with ``tiny`` weights in place of those that ship."""
    command = [sys.executable, "-c", _TINY, str(tiny), *arguments]
    return subprocess.run(command, capture_output=True, env=_environment(), timeout=300, check=False)


def start_hilum(tiny: Path, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command as a process of its own, with ``tiny`` weights in place of those that ship; it prints into ``log``."""
    with log.open("wb") as stream:
        command = [sys.executable, "-c", _TINY, str(tiny), *arguments]
        return subprocess.Popen(command, stdout=stream, stderr=stream, env=_environment())


def start_node(config: Path, log: Path, tiny: Path | None = None, seconds: float = 60) -> subprocess.Popen[bytes]:
    """Start ``hilum node`` as a process of its own and wait until it listens; ``tiny``: weights in place of those that ship."""
    program = ["from hilum.cli import main; main()"] if tiny is None else [_TINY, str(tiny)]
    command = [sys.executable, "-c", *program, "node", "--config", str(config)]
    with log.open("ab") as stream:
        before = stream.tell()
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=config.parent, env=_environment())
    wait_for(lambda: b"is listening" in log.read_bytes()[before:] or process.poll() is not None, seconds)
    assert process.poll() is None, log.read_text("utf-8")
    return process


def _environment() -> dict[str, str]:
    """Return this process's environment without hilum's settings, for a child on one thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HILUM_")}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
