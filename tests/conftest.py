"""What every test may use: tiny models in place of those that ship, and a film."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from hilum import pipeline
from hilum.images import apart
from hilum.records import Radiograph, Source
from logging_state import logging_undone
from tiny import write_classic


def film_pixels(rows: int = 96, columns: int = 80) -> np.ndarray:
    """Return an uneven grey picture, float32, 0–1, that passes the gate."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    return np.clip(0.3 + 0.4 * x + 0.2 * np.sin(9 * y), 0, 1).astype(np.float32)


@pytest.fixture(scope="session", autouse=True)
def _end_decoders() -> Iterator[None]:
    """End the processes that decode DICOM while coverage still listens to what they measured."""
    yield
    apart.close()


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Each test finds logging as pytest left it: a handler of another test would write to that test's stream, which is closed."""
    with logging_undone():
        yield


@pytest.fixture
def film() -> Radiograph:
    """A film in memory."""
    pixels = film_pixels()
    return Radiograph(pixels, Source("PNG", pixels.shape[1], pixels.shape[0], 8, "ab" * 32))


@pytest.fixture
def film_png() -> bytes:
    """The same film as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.rint(film_pixels() * 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three tiny bundles with the classic members' outputs. Not to be written to."""
    return write_classic(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny_models(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny bundles in place of those that ship, wherever an engine is opened in this process."""
    monkeypatch.setattr(pipeline, "shipped_folder", lambda: tiny_folder)
    return tiny_folder


@pytest.fixture
def tiny_engine(tiny_models: Path) -> pipeline.Engine:
    """An engine of the three tiny bundles."""
    return pipeline.open_engine(threads=1)
