"""``hilum keys``: what is printed once, and what is listed."""

from __future__ import annotations

import json

from hilum.server.keys import hash_key


def test_a_key_is_shown_once(hilum, tmp_path):
    """The key stands alone on the standard output, and nothing that is printed or kept later holds it."""
    done = hilum("keys", "add", "ris gateway", "--role", "reader", "--days", "30")
    key = done.out.strip()
    assert "only time" in done.err
    (listed,) = json.loads(hilum("keys", "list", "--json").out)
    assert (listed["role"], listed["label"], listed["state"]) == ("reader", "ris gateway", "valid")
    assert listed["expires"] > listed["created"]
    table = hilum("keys", "list").out
    assert listed["id"] in table
    assert not {key, hash_key(key)} & {*table.split(), *map(str, listed.values())}
    assert key not in (tmp_path / "keys.json").read_text()


def test_a_key_is_rotated_and_revoked(hilum, monkeypatch, tmp_path):
    """The file may be named by HILUM_KEYS; a rotated key has a successor, a revoked one is valid no more."""
    monkeypatch.setenv("HILUM_KEYS", str(tmp_path / "other.json"))
    first = hilum("keys", "add", "a").out.split("_")[1]
    second = hilum("keys", "rotate", first, "--hours", "0").out.split("_")[1]
    assert hilum("keys", "revoke", second).code == 0
    states = {row["id"]: row["state"] for row in json.loads(hilum("keys", "list", "--json").out)}
    assert states == {first: "expired", second: "revoked"}
    assert hilum("keys", "revoke", "00000000").code == 2
