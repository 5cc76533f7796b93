"""``hilum monitor``, ``hilum models reference``, and ``--monitor``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import film_pixels
from hilum import pipeline, registry
from hilum.cli.options import open_monitor, open_set
from hilum.cli.watch import reader
from hilum.monitor import live
from hilum.settings import EngineSettings
from made import labelled_films


@pytest.fixture
def shipped(tiny_folder, tmp_path, monkeypatch):
    """Tiny bundles that may be written to, in place of those that ship."""
    folder = shutil.copytree(tiny_folder, tmp_path / "shipped")
    for module in (pipeline, registry, live):
        monkeypatch.setattr(module, "shipped_folder", lambda: folder)
    return folder


@pytest.fixture
def films(tmp_path):
    """A table of films of patients, and a folder of forty films to be read."""
    table = labelled_films(tmp_path)
    (tmp_path / "new").mkdir()
    for number in range(40):
        pixels = film_pixels() * (0.5 - number / 1000)
        Image.fromarray((pixels * 255).astype(np.uint8)).save(tmp_path / "new" / f"{number}.png")
    return table


def test_from_films_to_alarm(hilum, shipped, films, tmp_path):
    """A reference is measured, films are read with --monitor, and what moved is said as text, JSON and a page; exit code 1."""
    made = hilum("models", "reference", "--data", films / "table.csv", "--validation", films / "validation.csv")
    assert made.code == 0, made.err
    assert "12 films, 6 patients" in made.out
    record = json.loads((shipped / "reference.json").read_text())
    assert "hilum models reference" in record["command"]
    assert hilum("analyze", tmp_path / "new", "--monitor", tmp_path / "rows").code == 0
    done = hilum("monitor", tmp_path / "rows", "--html", tmp_path / "page.html", "--power")
    assert done.code == 1, done.err
    assert "40 films" in done.out
    assert "The films are darker: brightness" in done.out
    assert "look at:" in done.out
    assert "Films, 90 %" in done.out
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    found = json.loads(hilum("monitor", tmp_path / "rows", "--json").out)
    assert "brightness" in {one["statistic"] for one in found["moved"]}


def test_quiet_films_end_well(hilum, shipped, films, tmp_path):
    """Against their own first films these have not moved: exit code 0. --since leaves earlier days out."""
    hilum("analyze", tmp_path / "new", "--monitor", tmp_path / "rows")
    done = hilum("monitor", tmp_path / "rows", "--baseline", 30)
    assert done.code == 0, done.err
    assert "Nothing has moved" in done.out
    assert hilum("monitor", tmp_path / "rows", "--baseline", 30, "--since", "2020-01-01").code == 0
    late = hilum("monitor", tmp_path / "rows", "--since", "2999-01-01")
    assert late.code == 2
    assert "no films" in late.err


def test_without_a_reference(hilum, shipped, films, tmp_path):
    """Films that were read by members without a reference are no reason to guess: the message names what to do."""
    hilum("analyze", tmp_path / "new", "--monitor", tmp_path / "rows")
    done = hilum("monitor", tmp_path / "rows")
    assert done.code == 2
    assert "--baseline" in done.err
    assert "hilum models reference" in done.err


def test_services_open_what_their_settings_name(shipped, films, hilum, tmp_path):
    """Without the setting there is no monitor; with it one that has the members' reference, or a baseline."""
    hilum("models", "reference", "--data", films / "table.csv", "--validation", films / "validation.csv")
    engine = open_set(EngineSettings())
    assert open_monitor(EngineSettings(), engine) is None
    assert open_monitor(EngineSettings(monitor=tmp_path / "rows"), engine).levels()
    assert open_monitor(EngineSettings(monitor=tmp_path / "rows", monitor_baseline=5), engine).levels() == {}


def test_a_watched_folder_has_rows(tiny_engine, film_png, tmp_path):
    """A film that hilum watch reads has a row; what can't be read has none."""
    shown = live.Monitor(tmp_path / "rows", tiny_engine)
    read = reader(tiny_engine, (), shown)
    read(Path("film.png"), film_png)
    read(Path("text.png"), b"no film")
    assert shown.films == 1


def test_damage_to_a_reference_is_found(hilum, shipped, films):
    """A reference whose values were changed is not whole; one of other members is, and is said to be left unused."""
    hilum("models", "reference", "--data", films / "table.csv", "--validation", films / "validation.csv")
    shutil.rmtree(shipped / "hilumcnn-tiny")
    done = hilum("models", "verify")
    assert (done.code, "of other members: left unused" in done.out) == (0, True)
    (shipped / "reference.npz").write_bytes(b"other")
    assert hilum("models", "verify").code == 1


def test_a_new_card_keeps_the_reference(hilum, shipped, films):
    """A bundle's card changes its manifest's hash; the reference follows, since weights and answers are the same."""
    hilum("models", "reference", "--data", films / "table.csv", "--validation", films / "validation.csv")
    before = registry.load_reference(shipped)
    assert hilum("models", "card", shipped / "hilumcnn-tiny").code == 0
    verified = hilum("models", "verify")
    assert (verified.code, "reference.json: whole, 12 films\n" in verified.out) == (0, True)
    after = registry.load_reference(shipped)
    assert after.record.members != before.record.members
    assert after.record.members["hilumcnn-tiny"] == registry.load_bundle(shipped / "hilumcnn-tiny").sha256
    assert np.array_equal(after.values, before.values, equal_nan=True)
