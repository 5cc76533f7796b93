"""Pseudonyms are the same for the same key, and tell nothing without it."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from hilum.deidentify.pseudonyms import Pseudonyms, new_key, read_key
from hilum.errors import ConfigError

ONE, OTHER = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


@given(st.text(max_size=70))
def test_uids_are_valid_and_keyed(text):
    """A UID is made from a UUID of version 8, stays the same, and is another under another key."""
    made = ONE.uid(text)
    assert UID(made).is_valid
    uuid = UUID(int=int(made.removeprefix("2.25.")))
    assert (uuid.version, uuid.variant) == (8, "specified in RFC 4122")
    assert made == ONE.uid(text) != OTHER.uid(text)


def test_identifiers_of_different_use_are_different():
    """A patient's pseudonym tells nothing of a UID made from the same text."""
    assert re.fullmatch(r"[0-9A-F]{16}", ONE.patient("7"))
    assert ONE.patient("7") != OTHER.patient("7") != ONE.patient("8")
    assert f"{int(ONE.patient('7'), 16)}" not in ONE.uid("7")


@given(st.text(max_size=20))
def test_offsets_go_back_between_one_year_and_ten(patient):
    """Dates of a patient go back by more than a year, and their time of the day moves too."""
    offset = ONE.offset(patient)
    assert timedelta(days=-3651) < offset <= timedelta(days=-366)
    assert offset == ONE.offset(patient)


def test_the_key_is_not_shown():
    """A representation, which may land in a log, does not hold the key."""
    assert "1111" not in repr(ONE)


def test_a_key_is_read_from_a_file(tmp_path):
    """A fresh key is text; white space at its ends is not part of it."""
    path = tmp_path / "key"
    path.write_text(new_key() + "\r\n")
    assert len(read_key(path)) == 64
    assert new_key() != new_key()


def test_short_and_missing_keys_are_refused(tmp_path):
    """A key that could be guessed is none, and neither is a missing file, whose name is not repeated."""
    path = tmp_path / "CANARY"
    for write in (lambda: None, lambda: path.write_text("secret"), lambda: path.write_text(" " * 80)):
        write()
        with pytest.raises(ConfigError, match="--new-key") as caught:
            read_key(path)
        assert "CANARY" not in str(caught.value)
