"""Spoilt files of every kind end in what they hold or in an error of ours that repeats nothing of them."""

from __future__ import annotations

import pytest

from fuzzing import FOUND, PARSERS, attempt, spoilt


@pytest.mark.parametrize("name", PARSERS)
def test_spoilt_files_are_read_or_refused(name):
    """Each parser gets some hundred spoilt files, always the same ones; `make fuzz` gives it others for as long as one likes."""
    assert "read" in {attempt(name, data) for data in PARSERS[name].seeds().values()}
    for number in range(PARSERS[name].inputs):
        try:
            attempt(name, spoilt(name, number))
        except Exception as error:
            raise AssertionError(f"input {number} of {name}") from error


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.bin")), ids=lambda path: path.stem)
def test_what_broke_something_once_does_not_again(path):
    """Inputs that fuzzing found are read or refused."""
    name = next(name for name in PARSERS if path.stem.startswith(name.replace(" ", "_")))
    assert attempt(name, path.read_bytes())
