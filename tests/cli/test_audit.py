"""``hilum audit``: what it shows, and how it ends."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hilum.server.audit import Audit, Event, pseudonym, read_secret

STUDY = "1.2.3.4"


@pytest.fixture
def record(hilum, tmp_path):
    """An audit of three films, the first of a known study and the last of a known file, in the current folder."""
    hilum("audit", "new-key")
    secret = read_secret(Path("audit.key"))
    audit = Audit(Path("audit.sqlite"), secret)
    Path("film.png").write_bytes(b"film")
    named = (
        {"study": pseudonym(secret, "study", STUDY), "instance": pseudonym(secret, "instance", "1.2.3.5")},
        {},
        {"film": pseudonym(secret, "film", hashlib.sha256(b"film").hexdigest())},
    )
    for number, subject in enumerate(named):
        audit.append(Event(f"{number:08x}", "analyst", "/api/v1/analyze", "accepted", 200, f"{number:032x}", **subject))
    return hilum


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ((), [1, 2, 3]),
        (("--last", "2"), [2, 3]),
        (("--by", "00000001"), [2]),
        (("--study", STUDY), [1]),
        (("--instance", "1.2.3.5"), [1]),
        (("--film", "film.png"), [3]),
        (("--study", "9.9"), []),
    ],
)
def test_rows_are_found(record, options, numbers):
    """Who holds the key can ask for a study, an instance or a film; anybody with the file for an API key."""
    shown = record("audit", "show", "--json", *options)
    assert [json.loads(line)["number"] for line in shown.out.splitlines()] == numbers
    table = record("audit", "show", *options).out
    assert table.count("/api/v1/analyze") == len(numbers)


def test_a_whole_audit_ends_with_0_and_a_broken_one_with_1(record):
    """Verify prints the anchor to keep, and names what is wrong."""
    done = record("audit", "verify")
    assert done.code == 0
    anchor = done.out.split()[-1]
    assert record("audit", "verify", "--anchor", anchor).code == 0
    with closing(sqlite3.connect("audit.sqlite")) as database:
        database.executescript("DROP TRIGGER no_change; UPDATE rows SET role='admin' WHERE number=2;")
    broken = record("audit", "verify")
    assert broken.code == 1
    assert "row 2 was changed" in broken.out


def test_mistakes_are_told(record):
    """A wrong anchor, a key that is there already and a film that is not are errors with 2."""
    assert "ROWS:MAC" in record("audit", "verify", "--anchor", "3").err
    assert "never written over" in record("audit", "new-key").err
    assert record("audit", "show", "--film", "DOE.png").code == 2
    assert record("audit", "verify", "--file", "none.sqlite").code == 2
