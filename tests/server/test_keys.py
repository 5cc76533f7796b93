"""The key file: what it holds, how it changes, and that nothing of it is lost or left open."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from hilum.errors import ConfigError
from hilum.server.keys import add_key, hash_key, read_keys, revoke_key, rotate_key

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


def test_a_key_is_random_and_kept_as_its_hash(file):
    """A key holds 256 random bits; the file, which only its owner may read, holds its SHA-256 and no key."""
    first, second = (add_key(file, "reader", "scanner 2", NOW) for _ in range(2))
    assert first != second
    assert re.fullmatch(r"hilum_[0-9a-f]{8}_[\w-]{43}", first)
    one, other = read_keys(file)
    assert (one.id, one.role, one.label, one.sha256) == (first.split("_")[1], "reader", "scanner 2", hash_key(first))
    assert other.created == NOW
    assert file.stat().st_mode & 0o777 == 0o600
    assert first not in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == ["keys.json"]


def test_keys_expire(file):
    """A key with an end is let in until then."""
    add_key(file, "reader", "a", NOW, days=1)
    (key,) = read_keys(file)
    assert key.state(NOW + timedelta(hours=23)) == "valid"
    assert key.state(NOW + timedelta(hours=24)) == "expired"


def test_a_rotated_key_stays_for_a_while(file):
    """The new key has role and label of the old one, which is let in until the hours are over, and no longer than before."""
    old = add_key(file, "analyst", "ris", NOW)
    new = rotate_key(file, old.split("_")[1], NOW, hours=2)
    before, after = read_keys(file)
    assert before.expires == NOW + timedelta(hours=2)
    assert (after.role, after.label, after.sha256, after.expires) == ("analyst", "ris", hash_key(new), None)
    short = add_key(file, "reader", "b", NOW, days=0.5)
    rotate_key(file, short.split("_")[1], NOW, hours=48)
    assert [key.expires for key in read_keys(file)[2:]] == [NOW + timedelta(hours=12)] * 2


def test_a_revoked_key_stays_in_the_list(file):
    """Whose key it was can still be told, but it is valid no more and can't be rotated back."""
    identifier = add_key(file, "admin", "a", NOW).split("_")[1]
    revoke_key(file, identifier, NOW)
    (key,) = read_keys(file)
    assert key.state(NOW) == "revoked"
    for change in (lambda: revoke_key(file, identifier, NOW), lambda: rotate_key(file, identifier, NOW, 1)):
        with pytest.raises(ConfigError, match="no valid key"):
            change()
    assert read_keys(file) == (key,)


def test_two_at_work_lose_nothing(file):
    """Of commands at the same time each either adds its key or says that another is at work."""

    refused = []

    def add(number):
        try:
            return add_key(file, "reader", f"k{number}", NOW)
        except ConfigError as error:
            refused.append(str(error))
            return None

    with ThreadPoolExecutor(8) as pool:
        made = {hash_key(key) for key in pool.map(add, range(40)) if key}
    assert made == {key.sha256 for key in read_keys(file)}
    assert len(made) + len(refused) == 40
    assert all("is at work" in message for message in refused)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "wrong at the whole"),
        ('{"schema": 2, "keys": []}', "schema 2"),
        ('{"schema": 1, "keys": [{"id": "x"}]}', r"keys\.0\.id"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(file, content, said):
    """The error names the place, not what stands there."""
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=said):
        read_keys(file)
    with pytest.raises(ConfigError, match=said):
        add_key(file, "reader", "a", NOW)
    assert file.read_text() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_open_to_others_is_refused(file, mode):
    """Who could write the file could let themselves in."""
    add_key(file, "reader", "a", NOW)
    file.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_keys(file)


@pytest.mark.parametrize("label", ["", "x" * 65, "a\nb", "Ωmega"])
def test_labels_are_plain(file, label):
    """A label can't break a table or a log."""
    with pytest.raises(ConfigError, match="label"):
        add_key(file, "reader", label, NOW)
    assert not file.exists()


def test_a_file_that_can_not_be_written_is_an_error(tmp_path):
    """A folder that is not there is told, not a traceback."""
    with pytest.raises(ConfigError, match="can't be written"):
        add_key(tmp_path / "none" / "keys.json", "reader", "a", NOW)


def test_what_was_cut_off_is_not_overwritten(file):
    """What another command, or a crash, left is named, and the keys stay."""
    add_key(file, "reader", "a", NOW)
    os.close(os.open(file.with_name("keys.json.new"), os.O_CREAT))
    with pytest.raises(ConfigError, match=r"remove .*keys\.json\.new"):
        revoke_key(file, json.loads(file.read_text())["keys"][0]["id"], NOW)
    assert read_keys(file)[0].revoked is None
