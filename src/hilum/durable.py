"""Files that are whole or not there, and that outlast a power cut."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

DRAFT = ".part"
"""How the name of a file ends that was never finished."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, its content on the disk before its name stands. Raises OSError."""
    draft = path.with_name(f".{uuid.uuid4().hex}{DRAFT}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
