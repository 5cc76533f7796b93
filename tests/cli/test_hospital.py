"""``hilum node``, ``hilum watch``, ``hilum dicomweb``: their options, and what they say before and after their work."""

from __future__ import annotations

import json

import pytest

from hilum.cli import options
from hilum.cli.dicomweb import parse_query
from hilum.cli.watch import reader, watch
from hilum.errors import ConfigError, PeerError
from hilum.node.dicomweb import Place
from hospital import dicom, film, written


@pytest.mark.parametrize("command", [["node"], ["dicomweb", "http://127.0.0.1:1"], ["watch", ".", "--write", "sr"]])
def test_a_missing_extra_is_named(hilum, monkeypatch, command):
    """Without the packages the command says what to install, and does nothing else."""
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    outcome = hilum(*command)
    assert outcome.code == 2
    assert "pip install 'hilum[hospital]'" in outcome.err


def test_names_are_checked():
    """Names with commas between them, each once, and only known ones."""
    assert options.parse_names(" sr, sc,sr,", ("sr", "sc")) == ("sr", "sc")
    assert options.parse_names("", ("sr",)) == ()
    with pytest.raises(ConfigError, match="Expected some of sr, sc"):
        options.parse_names("pdf", ("sr", "sc"))


def test_a_node_without_a_peer_does_not_start(hilum):
    """A setting that is missing ends the command before a model is opened."""
    outcome = hilum("node")
    assert (outcome.code, "peers is empty" in outcome.err) == (2, True)


# --- watch ---------------------------------------------------------------------------------------------------------


def test_a_watched_film_has_a_record_and_what_was_asked_for(tiny_engine, tmp_path):
    """A DICOM film has all, another no DICOM results, and a broken one a record that says why."""
    read = reader(tiny_engine, ("html", "sr", "sc"))
    files = read(tmp_path / "film.dcm", written(film()))
    assert set(files) == {"json", "html", "sr.dcm", "sc.dcm"}
    assert json.loads(files["json"])["file"] == "film.dcm"
    broken = read(tmp_path / "broken.dcm", b"no image")
    assert json.loads(broken["json"])["error"]["code"] == "unreadable_image"
    assert set(broken) == {"json"}


def test_a_picture_has_no_dicom_results(tiny_engine, tmp_path, film_png):
    """What is no DICOM object has no study for results to go to."""
    files = reader(tiny_engine, ("html", "sr"))(tmp_path / "film.png", film_png)
    assert set(files) == {"json", "html"}


def test_a_watch_runs_until_it_is_stopped(hilum, tiny_models, monkeypatch, film_png, tmp_path):
    """The command watches the folder that it was given, and writes where it was told."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "film.png").write_bytes(film_png)

    class Stop:
        def __init__(self) -> None:
            self.rounds = 0

        def is_set(self) -> bool:
            return self.rounds > 5

        def wait(self, seconds: float) -> None:
            self.rounds += 1

    monkeypatch.setitem(watch.__globals__, "stop_signal", Stop)
    outcome = hilum("watch", "films", "--out", "results", "--settle", "0", "--threads", "1")
    assert (outcome.code, outcome.out) == (0, "hilum is watching films\n")
    (record,) = (tmp_path / "results").iterdir()
    assert json.loads(record.read_text("utf-8"))["file"] == "film.png"


def test_a_watch_needs_a_folder(hilum):
    """A folder that is not there is an error at once."""
    assert "is not a folder" in hilum("watch", "nowhere").err


# --- dicomweb ------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(monkeypatch):
    """A DICOMweb server in place of the network: films by instance, and what was stored."""
    films, stored = {}, []

    def store(place, results):
        if place.instance == "unstored":
            raise PeerError("It was not taken.")
        stored.append((place.instance, len(results)))

    monkeypatch.setattr(
        "hilum.node.dicomweb.find_films", lambda client, filters: (Place("1", "2", one) for one in films)
    )
    monkeypatch.setattr("hilum.node.dicomweb.fetch", lambda client, place: films[place.instance])
    monkeypatch.setattr("hilum.node.dicomweb.store_at", lambda client: store)
    return films, stored


def test_films_of_a_server_are_answered(hilum, tiny_models, server):
    """Each film's results are stored; what could not be read or stored is said, and is the exit code."""
    films, stored = server
    films |= {"good": written(film()), "broken": written(dicom()), "unstored": written(film())}
    outcome = hilum("dicomweb", "http://127.0.0.1:1/dicom-web", "--query", "StudyDate=20260101-", "--threads", "1")
    assert (outcome.code, outcome.out) == (1, "1 films analyzed, 2 not\n")
    assert stored == [("good", 2)]
    assert "film 2: " in outcome.err
    assert "(peer_error)" in outcome.err


def test_results_can_be_written_to_a_folder(hilum, tiny_models, server, tmp_path):
    """With --out nothing is stored at the server, and --limit and --returns are kept to."""
    films, stored = server
    films |= {name: written(film()) for name in "abc"}
    arguments = ("--out", "results", "--limit", "2", "--returns", "sr", "--threads", "1")
    outcome = hilum("dicomweb", "http://127.0.0.1:1/dicom-web", *arguments)
    assert (outcome.code, stored) == (0, [])
    assert len(list((tmp_path / "results").glob("*.dcm"))) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pacs.example.org"], "http or https"),
        (["http://127.0.0.1:1", "--authorization", "none"], "files that can be read"),
        (["http://127.0.0.1:1", "--query", "yesterday"], "KEYWORD=VALUE"),
        (["http://127.0.0.1:1", "--returns", "pdf"], "Expected some of sr, sc"),
    ],
)
def test_what_can_not_be_asked_is_an_error(hilum, arguments, said):
    """A mistake ends the command before a model is opened."""
    outcome = hilum("dicomweb", *arguments)
    assert (outcome.code, said in outcome.err) == (2, True), outcome.err


def test_queries_are_keyword_and_value():
    """Keywords and tags are both taken, and a value may hold an equals sign."""
    given = ["StudyDate=20260101-", "00100020=a=b"]
    assert parse_query(given) == {"StudyDate": "20260101-", "00100020": "a=b"}
