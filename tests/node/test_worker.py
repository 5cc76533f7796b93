"""A worker: one answer a film, whatever a film does to it."""

from __future__ import annotations

import sqlite3
from threading import Event

import pytest

from hilum.errors import UnsupportedSyntax
from hilum.node import worker
from hilum.node.worker import Answer, work

KEY = "a" * 32


def run(spool, read, metrics, attempts=3):
    """Work until the queue is empty."""
    stop = Event()
    claim = spool.journal.claim

    def last():
        found = claim()
        if found is None:
            stop.set()
        return found

    spool.journal.claim = last
    work(spool, read, ["pacs"], attempts, metrics, stop)
    spool.journal.claim = claim


def count(metrics, outcome):
    return metrics.registry.get_sample_value("hilum_node_analyses_total", {"outcome": outcome})


def test_results_are_kept_and_due(spool, metrics):
    """What a film gives is in the spool, due at every peer, and counted."""
    spool.accept(KEY, b"film")
    run(spool, lambda data: Answer([data + b" result"], True), metrics)
    assert spool.results(KEY) == [b"film result"]
    assert [delivery.key for delivery in spool.journal.due("pacs", 9)] == [KEY]
    assert count(metrics, "answered") == 1


def test_a_film_that_can_not_be_read_fails_once(spool, metrics):
    """An unreadable film is not tried again; its bytes go, and its reason stays."""

    def read(data):
        raise UnsupportedSyntax("Not read here.")

    spool.accept(KEY, b"film")
    run(spool, read, metrics)
    assert spool.journal.state(KEY) == "failed"
    assert count(metrics, "failed") == 1
    with pytest.raises(FileNotFoundError):
        spool.film(KEY)


def test_an_error_is_tried_again_and_then_given_up(spool, metrics, monkeypatch):
    """A film that breaks the engine is begun as often as allowed, then kept as a dead letter; the worker goes on."""
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.01)
    begun = []

    def read(data):
        begun.append(data)
        if data == b"bad":
            raise RuntimeError("broken")
        return Answer([b"result"], True)

    spool.accept(KEY, b"bad")
    spool.accept("b" * 32, b"good")
    run(spool, read, metrics)
    assert begun.count(b"bad") == 3
    assert (spool.journal.state(KEY), spool.journal.state("b" * 32)) == ("dead", "answered")
    assert (count(metrics, "retried"), count(metrics, "dead")) == (2, 1)
    assert spool.film(KEY) == b"bad"


def test_a_film_that_kills_the_process_is_given_up(spool, metrics):
    """A film that was begun as often as allowed and never ended is not begun again."""
    spool.accept(KEY, b"film")
    for _ in range(3):
        spool.journal.claim()
        spool.recover(["pacs"])
    run(spool, lambda data: pytest.fail("begun again"), metrics)
    assert spool.journal.state(KEY) == "dead"


def test_a_film_without_results_is_done(spool, metrics):
    """Where nothing is to be sent, nothing waits."""
    spool.accept(KEY, b"film")
    run(spool, lambda data: Answer([], False, ("no_contrast",)), metrics)
    assert spool.journal.state(KEY) == "done"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), sqlite3.OperationalError("disk is full")])
@pytest.mark.parametrize("read", [lambda data: Answer([b"result"], True), lambda data: Answer([], False)])
def test_a_full_disk_is_not_the_films_fault(spool, metrics, monkeypatch, error, read):
    """However long the disk takes nothing, the film is read once, and its end is entered when there is room again."""
    monkeypatch.setattr(worker, "SPOOL_SECONDS", 0.01)
    answer, end, refused = spool.journal.answer, spool.journal.end, []

    def at_first_full(write):
        def enter(*given):
            if len(refused) < 20:
                refused.append(given)
                raise error
            write(*given)

        return enter

    spool.journal.answer, spool.journal.end = at_first_full(answer), at_first_full(end)
    begun = []
    spool.accept(KEY, b"film")
    run(spool, lambda data: (begun.append(data), read(data))[1], metrics, attempts=2)
    assert len(begun) == 1
    assert len(refused) == 20
    assert spool.journal.state(KEY) in ("answered", "done")


def test_a_stop_does_not_wait_for_a_full_disk(spool, metrics):
    """A worker that can't write ends when it is told to, and the film is read again after the next start."""
    stop = Event()

    def full(*given):
        stop.set()
        raise OSError(28, "No space left on device")

    spool.journal.answer = full
    spool.accept(KEY, b"film")
    work(spool, lambda data: Answer([b"result"], True), ["pacs"], 3, metrics, stop)
    spool.recover(["pacs"])
    assert spool.journal.claim() == (KEY, 2)
