"""A run: each shard once, whatever dies."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from threading import Event

import pytest
from pyarrow.parquet import read_table

from hilum.cluster import shard
from hilum.cluster.plan import check_same, plan_from_json
from hilum.cluster.run import run
from hilum.cluster.shard import Part, read_part, read_rows
from hilum.cluster.source import Film, list_films
from hilum.cluster.store import opened
from hilum.cluster.summary import Summary, summarise, summary_to_text
from hilum.errors import ConfigError, HashMismatch, HilumError, NoSpace, PeerError
from hilum.images import limits
from hilum.pipeline import analyze
from hilum.report import csv_rows, to_parquet


def reader(source, engine, deadly=(), read=None, room=3):
    """An executor that reads here; a process 'dies' of a film in ``deadly``, and takes along what else is under way."""

    def execute(take):
        while True:
            under_way = [part for part in (take() for _ in range(room)) if part is not None]
            if not under_way:
                return
            died = any(film.name in deadly for part in under_way for film in part.films)
            for part in under_way:
                if read is not None:
                    read.append(part)
                yield part, None if died else read_part(part, source, engine)

    return execute


def rows_of(store):
    return [row for path in store.results() for row in read_table(path).to_pylist()]


def test_every_film_is_read_once_and_in_its_place(begin, source, tiny_engine):
    """The rows are those of each film by itself, in the order of the listing; the broken one has its code; progress is exact."""
    store, make = begin
    plan = make(3)
    kept = []
    assert run(plan, store, reader(source, tiny_engine), Event(), kept.append)
    expected = [row for film in list_films(source, {".png"}) for row in read_rows(film, source, tiny_engine)]
    found = [{key: value for key, value in row.items() if value is not None} for row in rows_of(store)]
    assert found == [{key: value for key, value in row.items() if value is not None} for row in expected]
    assert [row["file"] for row in found if row.get("error") == "unreadable_image"] == ["0/film-4.png"]
    assert kept == [3, 3, 2]
    assert [path.name for path in store.results()] == ["0000000.parquet", "0000001.parquet", "0000002.parquet"]


def test_a_run_goes_on_where_another_ended(begin, source, tiny_engine):
    """What has results is neither read nor written again; what was half written is swept away."""
    store, make = begin
    plan = make(3)
    stop, first, second = Event(), [], []

    def stopping(films):
        stop.set()

    assert not run(plan, store, reader(source, tiny_engine, read=first, room=2), stop, stopping)
    assert [part.shard for part in first] == [0, 1]
    (store.folder / "results" / "abc.part").write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in store.results()}
    assert run(plan, store, reader(source, tiny_engine, read=second), Event(), first.append)
    assert [part.shard for part in second] == [2]
    assert {path: path.stat().st_mtime_ns for path in store.results() if path in before} == before
    assert not list(store.folder.rglob("*.part"))
    assert Counter(row["file"] for row in rows_of(store) if row["error"]) == {"0/film-4.png": 1}


def test_only_the_film_that_processes_die_of_is_given_up(begin, source, tiny_engine):
    """Films that were under way beside it are read; it has a row with an error; nothing is lost and nothing is there twice."""
    store, make = begin
    plan = make(3)
    deadly = {"1/film-3.png"}
    assert run(plan, store, reader(source, tiny_engine, deadly), Event(), lambda films: None)
    assert summarise(store.results()) == Summary(8, 6, {}, {"unreadable_image": 2})
    assert len({(row["file"], row["finding"]) for row in rows_of(store)}) == len(rows_of(store))


def test_shards_of_one_film_survive_their_neighbours(begin, source, tiny_engine):
    """A shard that can't be split is read alone before it is given up."""
    store, make = begin
    plan = make(1)
    assert run(plan, store, reader(source, tiny_engine, {"1/film-3.png"}), Event(), lambda films: None)
    assert summarise(store.results()).accepted == 6


def test_what_concerns_all_films_ends_a_part_with_an_error(begin, source, tiny_engine, monkeypatch):
    """A source that is lost is no film's fault: it is returned for the run to end with, and no row is written."""

    def lost(*_):
        raise PeerError("lost")

    monkeypatch.setattr(shard, "read_film", lost)
    assert isinstance(read_part(Part(0, 0, (Film("a.png", 1),)), source, tiny_engine), PeerError)


def test_a_fault_in_the_program_costs_one_film(source, tiny_engine, monkeypatch, caplog):
    """The film gets the code `error`; the log gets the places in the code, and not the film's name."""
    monkeypatch.setattr(shard, "analyze", lambda *_: 1 / 0)
    film = Film("0/film-0.png", None)
    assert read_rows(film, source, tiny_engine) == [{"file": film.name, "error": HilumError.code}]
    assert "ZeroDivisionError" in caplog.text
    assert "film-0" not in caplog.text + repr(Part(0, 0, (film,)))


def test_a_film_that_is_too_large_has_its_code(source, tiny_engine):
    """What a listing says of a film's size is enough."""
    film = Film("0/film-0.png", limits.DEFAULT_LIMITS.max_bytes + 1)
    assert read_rows(film, source, tiny_engine) == [{"file": film.name, "error": "image_too_large"}]


def test_the_plan_is_kept_and_compared(begin, tiny_engine, source):
    """A plan reads as it was written; another basis, shard size or version is refused by its name."""
    store, make = begin
    plan = make(3)
    assert store.plan() == plan
    check_same(plan, plan.basis, None)
    check_same(plan, plan.basis, 3)
    for basis, films, name in (
        (replace(plan.basis, policy="rule_in"), None, "policy"),
        (replace(plan.basis, models=plan.basis.models[:1]), None, "models"),
        (plan.basis, 4, "shard_films"),
    ):
        with pytest.raises(ConfigError, match=name):
            check_same(plan, basis, films)
    for wrong in (b"{", b"{}", (store.folder / "archive.json").read_bytes().replace(b'"schema": 1', b'"schema": 2')):
        with pytest.raises(ConfigError):
            plan_from_json(wrong)


def test_a_changed_listing_is_found(begin):
    """Shards are cut by the listing, so another one would mix results up."""
    store, make = begin
    plan = make(3)
    (store.folder / "films.parquet").write_bytes(b"other")
    with pytest.raises(HashMismatch):
        store.films(plan)


def test_one_run_at_a_time(tmp_path):
    """A second run into the same folder is refused while the first is open, and welcome afterwards."""
    program = "import sys; from pathlib import Path; from hilum.cluster.store import opened\nwith opened(Path(sys.argv[1])): pass"
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "out")]
    with opened(tmp_path / "out"):
        assert b"no other run" in subprocess.run(command, capture_output=True, check=False).stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    """Results are not mixed into what is not ours; a lock and a listing of a run that died early are."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "films.parquet").write_bytes(b"")
    with opened(tmp_path / "out") as store:
        assert store.plan() is None
        (store.folder / "letter.txt").write_text("Dear")
        with pytest.raises(ConfigError):
            store.plan()


def test_a_full_disk_is_said_so(begin, monkeypatch):
    """No half of a file stays, and the error says what to do."""
    store, _ = begin

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoSpace):
        store.keep(0, b"rows")
    assert not list((store.folder / "results").iterdir())


def test_a_summary_counts_films_not_rows(tmp_path, film, tiny_engine):
    """Accepted films have many rows, refused ones are counted by their first reason, failed ones by their code."""
    rows = csv_rows("a", analyze(film, tiny_engine))
    rows += [{"file": name, "accepted": False, "reasons": "near_constant cropped"} for name in ("b", "c")]
    rows += [{"file": "d", "error": "unreadable_image"}]
    path = tmp_path / "0.parquet"
    path.write_bytes(to_parquet(rows))
    summary = summarise([path])
    assert summary == Summary(4, 1, {"near_constant": 2}, {"unreadable_image": 1})
    assert "refused   2  (near_constant 2)" in summary_to_text(summary)
