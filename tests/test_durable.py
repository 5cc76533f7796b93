"""A file is whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hilum.durable import sync_folder, write_whole


def test_a_file_is_written_and_written_over(tmp_path: Path) -> None:
    """The last content stands, with nothing beside it."""
    write_whole(tmp_path / "a.json", b"old")
    write_whole(tmp_path / "a.json", b"new")
    sync_folder(tmp_path)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a.json", b"new")]


def test_what_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk gives up, the old file stays, no draft is left, and the error comes out."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a.json").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a.json", b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a.json", b"old")]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Neither a file nor its folder's names can be kept where there is none."""
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "a.json", b"")
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "none")
