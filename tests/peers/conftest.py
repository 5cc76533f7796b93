"""A hospital's programs, as Debian packages them: ``make test-peers`` installs what is missing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

DEBIAN = (Path("/usr/bin"), Path("/usr/sbin"))
PIXELMED = Path("/usr/share/java/pixelmed.jar")
# PixelMed's templates take more XPath operations than Java allows by itself.
JAVA = ("java", "-Djdk.xml.xpathExprOpLimit=0", "-Djdk.xml.xpathTotalOpLimit=0", "-Djdk.xml.xpathExprGrpLimit=0")

Peer = Callable[..., str]
"""A program's name and arguments in, what it printed out."""


def program(name: str) -> Path:
    """Return where Debian has a program. Never from the PATH: pynetdicom puts its own ``storescu`` there."""
    return next(folder / name for folder in DEBIAN if (folder / name).exists())


@pytest.fixture(scope="session")
def peer() -> Peer:
    """Run a peer's program and return all that it printed, on both streams; ``codes`` are the exit codes that are good."""

    def run(name: str, *arguments: str | Path, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run([program(name), *arguments], capture_output=True, timeout=120, check=False)
        printed = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode in codes, printed
        return printed

    return run


@pytest.fixture(scope="session")
def pixelmed() -> Peer:
    """Run one of PixelMed's classes, named below ``com.pixelmed``, and return all that it printed."""

    def run(name: str, *arguments: str | Path) -> str:
        command = [*JAVA, "-cp", str(PIXELMED), f"com.pixelmed.{name}", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=300, check=False)
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    return run
