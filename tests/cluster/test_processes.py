"""Processes of this machine: they share the weights, and may die."""

from __future__ import annotations

import os
import signal
from threading import Event

from pyarrow.parquet import read_table

from hilum.cluster import processes
from hilum.cluster.processes import on_processes
from hilum.cluster.run import run
from hilum.cluster.shard import read_part
from hilum.cluster.summary import Summary, summarise


def test_processes_read_all(begin, source, tiny_engine):
    """Two processes give the rows of every film, and end."""
    store, make = begin
    assert run(make(2), store, on_processes(source, tiny_engine, 2), Event(), lambda films: None)
    assert summarise(store.results()) == Summary(8, 7, {}, {"unreadable_image": 1})


def test_a_film_that_kills_its_process_costs_that_film_alone(begin, source, tiny_engine, monkeypatch):
    """A process that is killed over a film, again and again, is replaced; every other film is read, once."""

    def deadly(part, *rest):
        if any(film.name == "1/film-5.png" for film in part.films):
            os.kill(os.getpid(), signal.SIGKILL)
        return read_part(part, *rest)

    monkeypatch.setattr(processes, "read_part", deadly)
    store, make = begin
    assert run(make(4), store, on_processes(source, tiny_engine, 2), Event(), lambda films: None)
    assert summarise(store.results()) == Summary(8, 6, {}, {"unreadable_image": 2})
    rows = [row for path in store.results() for row in read_table(path).to_pylist()]
    assert len({(row["file"], row["finding"]) for row in rows}) == len(rows)
