"""``hilum deidentify``."""

from __future__ import annotations

import csv
import io
import json
import stat

import pydicom
import pytest

from sentinel import NAME, NUMBER, found_in, gradient, plain_film, rasters, written


@pytest.fixture
def folder(tmp_path):
    """A folder with two films of a patient, one with burned-in text, a broken one and a PNG, all named for the patient."""
    path = tmp_path / "CANARY films"
    path.mkdir()
    films = {
        "CANARY a.dcm": written(plain_film(StudyDate="20200131")),
        "CANARY b.dcm": written(plain_film(SOPInstanceUID=f"1.2.{NUMBER}.8")),
        "CANARY burned.dcm": written(plain_film(SOPInstanceUID=f"1.2.{NUMBER}.9", BurnedInAnnotation="YES")),
        "CANARY cut.dcm": written(plain_film())[:-999],
        "CANARY shot.png": dict(rasters())["png"],
    }
    for name, data in films.items():
        (path / name).write_bytes(data)
    return path


@pytest.fixture
def key(tmp_path, hilum):
    """A new key."""
    path = tmp_path / "key"
    assert hilum("deidentify", "--new-key", "--key", path).code == 0
    return path


def test_films_are_written_and_the_rest_is_reported(hilum, folder, key, tmp_path):
    """What can be done is done, the rest is told by its number and code; the report counts, and names nobody."""
    out = tmp_path / "out"
    done = hilum("deidentify", folder, "--out", out, "--key", key)
    assert done.code == 1
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 2
    for name in names:
        film = pydicom.dcmread(out / name)
        assert name == f"{film.SOPInstanceUID}.dcm"
        assert film.PatientIdentityRemoved == "YES"
        assert not found_in((out / name).read_bytes())
    report = json.loads(done.out)
    assert (report["films"], report["written"]) == (5, 2)
    assert report["failed"] == {"burned_in_text": 1, "unreadable_image": 1, "unsupported_syntax": 1}
    assert report["burned_in"] == {"unknown": 2}
    assert report["attributes"]["uids"] == 6
    assert [line.split(": ")[0] for line in done.err.splitlines()] == [f"film {n} of 5" for n in (3, 4, 5)]
    assert not found_in(done.out + done.err)


def test_all_done_is_exit_code_zero(hilum, folder, key, tmp_path):
    """With a rule for the burned-in text and dates moved on request, each film comes out; a second run gives the same files."""
    rules = tmp_path / "regions.toml"
    rules.write_text("[[rule]]\nrows = 96\nregions = [[0, 0, 40, 8]]\n")
    films = [folder / f"CANARY {name}.dcm" for name in ("a", "b", "burned")]
    options = ("--out", tmp_path / "out", "--key", key, "--regions", rules, "--shift-dates")
    done = hilum("deidentify", *films, *options)
    assert (done.code, json.loads(done.out)["burned_in"], json.loads(done.out)["dates"]) == (
        0,
        {"cleaned": 3},
        "shifted",
    )
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert hilum("deidentify", *films, *options).code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert len(before) == 3
    assert any(pydicom.dcmread(io.BytesIO(data)).get("StudyDate") for data in before.values())


def test_the_mapping_is_for_its_owner_alone(hilum, folder, key, tmp_path):
    """On request, which file became which; readable by its owner only, and never written over."""
    mapping = tmp_path / "mapping.csv"
    arguments = ("deidentify", folder, "--out", tmp_path / "out", "--key", key, "--mapping", mapping)
    assert hilum(*arguments).code == 1
    rows = list(csv.DictReader(io.StringIO(mapping.read_text())))
    assert [row["error"] for row in rows] == ["", "", "burned_in_text", "unreadable_image", "unsupported_syntax"]
    assert all((tmp_path / "out" / row["written"]).is_file() for row in rows[:2])
    assert stat.S_IMODE(mapping.stat().st_mode) == stat.S_IMODE(key.stat().st_mode) == 0o600
    assert hilum(*arguments).code == 2


def test_copies_are_one_film_and_impostors_are_reported(hilum, key, tmp_path):
    """The same film twice is written once; another film under the same UID is not written over it."""
    (tmp_path / "films").mkdir()
    for name, film in {"a": plain_film(), "b": plain_film(), "c": plain_film(gradient()[::-1])}.items():
        (tmp_path / "films" / name).write_bytes(written(film))
    done = hilum("deidentify", "films", "--out", "out", "--key", key)
    assert done.code == 1
    assert json.loads(done.out)["written"] == 1
    assert done.err.startswith("film 3 of 3: Another film")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["films"],
        ["films", "--out", "out"],
        ["films", "--key", "key"],
        ["--out", "out", "--key", "key"],
        ["films", "--out", "out", "--key", "short"],
        ["films", "--out", "films/out", "--key", "key"],
        ["films", "--out", "films", "--key", "key"],
        ["films", "--out", "key", "--key", "key"],
        ["films", "--out", "out", "--key", "key", "--regions", "short"],
        ["films", "--out", "out", "--key", "key", "--mapping", "none/mapping.csv"],
        ["--new-key", "--key", "key"],
    ],
)
def test_misuse_is_exit_code_2(hilum, key, tmp_path, arguments):
    """What can't be carried out at all ends with 2 and a sentence; a key is never written over."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.dcm").write_bytes(written(plain_film()))
    (tmp_path / "short").write_text(NAME)
    before = key.read_text()
    done = hilum("deidentify", *arguments)
    assert done.code == 2
    assert done.err
    assert not found_in(done.out + done.err)
    assert key.read_text() == before
