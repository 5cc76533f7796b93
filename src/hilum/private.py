"""Files that only their owner may read: keys, and what holds them."""

from __future__ import annotations

import os
from pathlib import Path

from hilum.errors import ConfigError

_OTHERS = 0o077
"""Permissions of group and others."""


def read_private(path: Path, what: str, made_by: str) -> bytes:
    """Return a file's content. ``what`` it is, and the command that it is ``made_by``, stand in the error.

    Raises ConfigError where it can't be read, or is open to others than its owner.
    """
    try:
        with path.open("rb") as file:
            others = os.fstat(file.fileno()).st_mode & _OTHERS
            content = file.read()
    except OSError as error:
        raise ConfigError(
            f"The {what} {path} can't be read ({type(error).__name__}). Make one with: {made_by}."
        ) from None
    if others and os.name == "posix":
        raise ConfigError(f"The {what} {path} is open to others than its owner. Do: chmod 600 {path}")
    return content


def write_private(path: Path, content: bytes, what: str) -> None:
    """Write a new file that only its owner may read. Raises ConfigError where one is there already, or none can be."""
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise ConfigError(
            f"There is a file {path} already. A {what} is never written over: choose another name."
        ) from None
    except OSError as error:
        raise ConfigError(f"The {what} {path} can't be written ({type(error).__name__}).") from None
