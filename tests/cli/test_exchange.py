"""``hilum models pull`` as a person calls it."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from hilum.exchange import pull as pulling
from hilum.exchange.catalogue import CATALOGUE
from hilum.exchange.library import Entry
from tiny import tiny_manifest, write_tiny


@pytest.fixture
def entry(monkeypatch):
    """The library's entry, and a pull that writes a tiny bundle; returns what it was called with."""
    made = Entry("https://weights.example/chex.pt", ("Edema",), (0.1,), ("Edema",), "1.5.7")
    called = []

    def pull(weights, entry, models, sha256, progress):
        called.append((weights, models, sha256))
        progress(5, 10)
        return pulling.Pulled(write_tiny(models, tiny_manifest("Net", None, ("Edema",))), "ab" * 32, sha256 is not None)

    monkeypatch.setattr("hilum.exchange.library.read_entry", lambda name: made)
    monkeypatch.setattr(pulling, "pull", pull)
    return called


def test_terms_come_first_and_no_is_no(hilum, entry, monkeypatch):
    """Licence, citation and address are shown; without a yes nothing is fetched."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    done = hilum("models", "pull", "chex")
    assert done.code == 1
    for part in ("Stanford", "Irvin", "Cohen", "https://weights.example/chex.pt", "Apache-2.0", "CheXpert"):
        assert part in done.out
    assert entry == []


def test_yes_fetches_and_tells_the_hash(hilum, entry, tmp_path):
    """A first download is said to be unchecked; with a hash it is not."""
    done = hilum("models", "pull", "mimic", "--yes", "--out", "own")
    assert done.code == 0, done.err
    assert "ab" * 32 in done.out
    assert "not checked against anything" in done.out
    assert entry[0][0] is CATALOGUE["mimic"]
    done = hilum("models", "pull", "nih", "--yes", "--sha256", "cd" * 32)
    assert "not checked" not in done.out
    assert entry[1][2] == "cd" * 32


def test_without_the_extra_the_message_says_what_to_install():
    """No torch, no traceback."""
    code = "import sys; sys.modules['torch'] = None; sys.argv = ['hilum', 'models', 'pull', 'chex', '--yes']"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; from hilum.cli import main; main()"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'hilum[public]'" in done.stderr


def test_export_writes_what_was_asked_for(hilum, tiny_models, tmp_path):
    """The file and what explains it are named; an unknown model names the known ones; a taken name is refused."""
    done = hilum("models", "export", "hilumcnn-tiny", "out/net.h5", "--to", "keras-h5")
    assert done.code == 0, done.err
    assert done.out.split() == ["out/net.h5", "out/net.toml"]
    assert (tmp_path / "out" / "net.h5").is_file()
    wrong = hilum("models", "export", "none", "net.onnx", "--to", "onnx")
    assert wrong.code == 2
    assert "hilumcnn-tiny" in wrong.err
    assert "there already" in hilum("models", "export", "hilumcnn-tiny", "out/net.h5", "--to", "keras-h5").err
