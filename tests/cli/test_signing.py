"""``hilum models keygen``, ``sign`` and ``verify``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hilum import logs, pipeline, registry
from hilum.cli.options import open_set
from hilum.node import watch
from hilum.records import EnsembleRecord
from hilum.registry import MANIFEST, find_bundles, load_bundle, save_ensemble
from hilum.server.settings import Settings


@pytest.fixture
def shipped(hilum, tiny_folder, tmp_path, monkeypatch):
    """Tiny bundles, measured together, in place of those that ship; a key in the current folder."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "bundles"))
    members = {bundle.manifest.id: bundle.sha256 for bundle in map(load_bundle, find_bundles(folder))}
    save_ensemble(folder, EnsembleRecord(members, {}, {}))
    for module in (pipeline, registry):
        monkeypatch.setattr(module, "shipped_folder", lambda: folder)
    assert hilum("models", "keygen", "hospital.key").code == 0
    return folder


def test_what_is_validated_is_signed_and_verified(hilum, shipped):
    """Without signatures verify fails where a signer is given; signed, all is well; without a signer hashes alone count."""
    options = ("models", "verify", "--signer", "hospital.key.pub")
    assert hilum(*options).code == 1
    signed = hilum("models", "sign", "--key", "hospital.key")
    assert signed.code == 0
    assert signed.out.count("signed ") == len(find_bundles(shipped)) + 1
    done = hilum(*options)
    assert done.code == 0
    assert done.out.count("whole, signed") == len(find_bundles(shipped)) + 1
    assert hilum("models", "verify").out.count(": whole, ") == len(find_bundles(shipped)) + 1


def test_one_changed_field_is_found(hilum, shipped):
    """A manifest that is not the one that was measured, or signed, is named, with exit code 1."""
    hilum("models", "sign", "--key", "hospital.key")
    path = find_bundles(shipped)[0] / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "9.9.9"}))
    plain = hilum("models", "verify")
    assert plain.code == 1
    assert "ensemble.json: It was measured on another" in plain.out
    strict = hilum("models", "verify", "--signer", "hospital.key.pub")
    assert f"{path.parent.name}: " in strict.out
    assert "(untrusted)" in strict.out


def test_some_are_signed_by_name(hilum, shipped):
    """Only the models named are signed, and not what was measured of all."""
    one = load_bundle(find_bundles(shipped)[0])
    done = hilum("models", "sign", "--key", "hospital.key", "--out", "kept", one.manifest.id)
    assert done.code == 0
    assert [path.name.partition(".")[0] for path in Path("kept").iterdir()] == [one.sha256]


def test_without_its_key_nothing_is_signed(hilum, shipped):
    """A key that is not there, or the public one, is an error that says so."""
    for key in ("none.key", "hospital.key.pub"):
        done = hilum("models", "sign", "--key", key)
        assert done.code == 2
        assert "config_error" in done.err


def test_a_service_that_asks_for_signatures_does_not_start_without(hilum, shipped, monkeypatch):
    """With HILUM_SIGNERS set, one unsigned model ends the start before anything listens; the error names it."""
    monkeypatch.setattr(logs, "configure", lambda level: None)  # other tests watch the log
    monkeypatch.setenv("HILUM_SIGNERS", '["hospital.key.pub"]')
    done = hilum("serve", "--port", "0")
    assert done.code == 2
    assert "(untrusted)" in done.err
    hilum("models", "sign", "--key", "hospital.key")
    assert len(open_set(Settings(signers=("hospital.key.pub",))).members) == len(find_bundles(shipped))


@pytest.mark.parametrize("command", ["analyze", "archive", "watch"])
def test_a_command_opens_what_its_signer_signed(hilum, shipped, film_png, command, monkeypatch):
    """With ``--signer`` a command reads no film by an unsigned model, and says which; signed, it goes on."""
    monkeypatch.setattr(logs, "configure", lambda level: None)  # other tests watch the log
    monkeypatch.setattr(watch, "run_watch", lambda *_: None)
    Path("films").mkdir()
    Path("films/a.png").write_bytes(film_png)
    asked = (command, "films", *(["out"] if command == "archive" else []), "--signer", "hospital.key.pub")
    refused = hilum(*asked)
    assert refused.code == 2
    assert "(untrusted)" in refused.err
    assert not Path("out").exists()
    hilum("models", "sign", "--key", "hospital.key")
    assert hilum(*asked).code == 0
