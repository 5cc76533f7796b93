"""The spool and its journal: what was accepted outlives everything, once; what is done leaves nothing behind."""

from __future__ import annotations

import sqlite3

import pytest

from hilum.errors import ConfigError
from hilum.node.journal import Journal, steady_clock
from hilum.node.spool import Spool, film_key

KEY, OTHER = "a" * 32, "b" * 32


def files(spool_folder):
    return sorted(path.name for path in spool_folder.rglob("*.dcm"))


def test_a_key_tells_film_and_weights_apart_and_nothing_else():
    """The same film by the same weights has one key, in whatever order they stand; the UID can't be seen in it."""
    assert film_key("1.2.3", ["x", "y"]) == film_key("1.2.3", ["y", "x"])
    assert len({film_key("1.2.3", ["x"]), film_key("1.2.4", ["x"]), film_key("1.2.3", ["y"])}) == 3
    assert "1.2.3" not in film_key("1.2.3", ["x"])


def test_a_film_is_kept_once(spool):
    """A second copy of a film is known, whatever became of the first; its bytes are as they came."""
    assert spool.accept(KEY, b"film") == "new"
    assert spool.accept(KEY, b"film") == "duplicate"
    assert spool.film(KEY) == b"film"
    spool.journal.claim()
    spool.keep_results(KEY, [b"one", b"two"], ["pacs"])
    assert spool.accept(KEY, b"film") == "duplicate"
    assert spool.results(KEY) == [b"one", b"two"]


def test_a_failed_film_is_tried_again_when_it_is_sent_again(spool):
    """A sender's second attempt is a new film where the first came to nothing."""
    for state in ("failed", "dead"):
        spool.accept(KEY, b"film")
        spool.journal.end(KEY, state, "error")
        assert spool.accept(KEY, b"better") == "new"
        assert spool.film(KEY) == b"better"
        assert spool.journal.claim() == (KEY, 1)


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (600_000, 600_000)])
def test_a_full_spool_says_so(spool, sizes):
    """Neither more films nor more bytes than were set are taken, and room comes back when a film is done."""
    *fit, last = [(f"{number:032x}", b"x" * size) for number, size in enumerate(sizes)]
    assert [spool.accept(*one) for one in fit] == ["new"] * len(fit)
    assert spool.accept(*last) == "full"
    spool.journal.end(fit[0][0], "done", "no_results")
    spool.remove(fit[0][0])
    assert spool.accept(*last) == "new"


def test_a_restart_takes_up_what_was_begun(tmp_path):
    """A film that was being read when the process died waits again, and its attempts are remembered."""
    spool = Spool(tmp_path / "spool", 3, 2**20)
    spool.accept(KEY, b"film")
    assert spool.journal.claim() == (KEY, 1)
    assert spool.journal.claim() is None
    spool.close()
    again = Spool(tmp_path / "spool", 3, 2**20)
    again.recover(["pacs"])
    assert again.journal.claim() == (KEY, 2)
    assert again.film(KEY) == b"film"
    again.close()


def test_a_restart_removes_what_was_never_acknowledged(spool, tmp_path):
    """Drafts, and files without an entry in the journal, go; a film that waits stays."""
    spool.accept(KEY, b"film")
    (tmp_path / "spool" / "films" / f"{OTHER}.dcm").write_bytes(b"written, but not entered")
    (tmp_path / "spool" / "films" / f"{KEY}.0123.part").write_bytes(b"half")
    (tmp_path / "spool" / "results" / f"{OTHER}.0.dcm").write_bytes(b"of a film that is done")
    spool.recover(["pacs"])
    assert files(tmp_path / "spool") == [f"{KEY}.dcm"]
    assert not list((tmp_path / "spool").rglob("*.part"))


def test_a_film_is_done_when_every_peer_has_its_results(spool):
    """Until then it is answered; a dead delivery makes it a dead letter, which can be revived."""
    spool.accept(KEY, b"film")
    spool.journal.claim()
    spool.keep_results(KEY, [b"one"], ["pacs", "archive"])
    assert spool.journal.delivered(KEY, "pacs") == "answered"
    spool.journal.give_up(KEY, "archive")
    assert spool.journal.state(KEY) == "dead"
    assert spool.journal.revive() == 1
    assert [delivery.key for delivery in spool.journal.due("archive", 9)] == [KEY]
    assert spool.journal.due("pacs", 9) == []
    assert spool.journal.delivered(KEY, "archive") == "done"
    spool.remove(KEY)
    assert files(spool._films.parent) == []


def test_a_dead_film_can_be_revived(spool):
    """A film that was given up before it had results is analyzed again from the beginning."""
    spool.accept(KEY, b"film")
    spool.journal.claim()
    spool.journal.end(KEY, "dead", "error")
    assert spool.journal.revive() == 1
    assert spool.journal.claim() == (KEY, 1)


def test_a_peer_that_is_no_longer_set_is_let_go_of(spool):
    """What only a vanished peer should get is a dead letter, not a film that waits for ever."""
    spool.accept(KEY, b"film")
    spool.journal.claim()
    spool.keep_results(KEY, [b"one"], ["old"])
    spool.recover(["new"])
    assert spool.journal.state(KEY) == "dead"
    assert spool.results(KEY) == [b"one"]


def test_deliveries_wait_as_long_as_they_are_told(spool):
    """A postponed delivery is not due before its time, and counts its failures."""
    spool.accept(KEY, b"film")
    spool.keep_results(KEY, [b"one"], ["pacs"])
    spool.journal.postpone(KEY, "pacs", 60)
    assert spool.journal.due("pacs", 9) == []
    spool.journal.postpone(KEY, "pacs", -1)
    assert [delivery.attempts for delivery in spool.journal.due("pacs", 9)] == [2]


def test_old_films_are_forgotten(spool):
    """Entries of finished films go after a time, and dead letters' files with them; a film that waits is never old."""
    for key, state in ((KEY, "done"), (OTHER, "dead")):
        spool.accept(key, b"film")
        spool.journal.end(key, state, "error")
    spool.accept("c" * 32, b"film")
    assert spool.journal.forget(0) == []
    assert spool.journal.forget(1e12) == [OTHER]
    assert {state: count for state, count in spool.journal.counts().items() if count} == {"waiting": 1}


def test_films_are_taken_in_turn_and_those_that_failed_last(spool):
    """The film that has waited longest comes first, and one that broke the last time comes after those that did not."""
    for key in (OTHER, KEY):
        spool.accept(key, b"film")
    spool.journal.claim()
    spool.journal.put_back(OTHER)
    assert spool.journal.claim() == (KEY, 1)
    assert spool.journal.claim() == (OTHER, 2)


def test_a_failed_step_leaves_no_half_entry(spool):
    """Where a change can't be made whole, it is not made at all."""
    spool.accept(KEY, b"film")
    with pytest.raises(sqlite3.IntegrityError):
        spool.journal.answer(OTHER, ["pacs"])
    assert spool.journal.due("pacs", 9) == []


def test_the_journal_is_written_through(tmp_path):
    """A commit waits for the disk: an acknowledgement is a promise."""
    journal = Journal(tmp_path / "journal.sqlite")
    assert journal._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()


def test_two_nodes_can_not_share_a_spool(spool, tmp_path):
    """A second node on the same folder is an error that says why; so is a folder that can't be one."""
    with pytest.raises(ConfigError, match="no other node"):
        Spool(tmp_path / "spool", 3, 2**20)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can't be used"):
        Spool(tmp_path / "file", 3, 2**20)


def test_only_the_owner_can_read_films(spool, tmp_path):
    """Films, results and their folders are closed to others."""
    spool.accept(KEY, b"film")
    spool.keep_results(KEY, [b"one"], ["pacs"])
    for path in (tmp_path / "spool").rglob("*.dcm"):
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


def test_a_full_disk_takes_no_film_and_costs_none(spool, tmp_path):
    """A film that the journal has no room for is not acknowledged and leaves nothing behind; with room again it is kept."""
    spool.accept(KEY, b"film")
    database = spool.journal._database
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count={pages}")
    spool._most = 10_000, 2**30
    refused: list[str] = []
    with pytest.raises(sqlite3.Error):
        fill(spool, refused)
    assert not (tmp_path / "spool" / "films" / f"{refused[-1]}.dcm").exists()
    assert spool.film(KEY) == b"film"
    database.execute("PRAGMA max_page_count=1000000")
    assert spool.accept(refused[-1], b"film") == "new"
    assert spool.journal.claim() == (KEY, 1)


def fill(spool, keys):
    """Send films until the disk is full; note their keys."""
    for number in range(10_000):
        keys.append(f"{number:032x}")
        spool.accept(keys[-1], b"film")


def test_a_dead_letter_outlives_a_full_disk(spool):
    """A dead letter that is sent again while the journal can't be written to is still there."""
    spool.accept(KEY, b"film")
    spool.journal.end(KEY, "dead", "error")
    add, spool.journal.add = spool.journal.add, refuse_to_write
    with pytest.raises(sqlite3.Error):
        spool.accept(KEY, b"film")
    spool.journal.add = add
    assert spool.film(KEY) == b"film"


def refuse_to_write(*_):
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("content", [b"no journal at all" * 1000, b"SQLite format 3\0" + bytes(range(256)) * 64])
def test_a_journal_that_is_damaged_is_named(tmp_path, content):
    """A journal that can't be read ends the start with what to do, and keeps no lock."""
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "journal.sqlite").write_bytes(content)
    with pytest.raises(ConfigError, match="journal"):
        Spool(folder, 3, 2**20)
    (folder / "journal.sqlite").unlink()
    Spool(folder, 3, 2**20).close()


def test_who_sets_the_time_delays_nothing(monkeypatch):
    """The journal's clock goes on evenly while the system's is set forward and back."""
    clock = steady_clock()
    before = clock()
    for jump in (-1e9, 1e9):
        monkeypatch.setattr("time.time", lambda jump=jump: before + jump)
        assert 0 <= clock() - before < 60


def test_what_was_written_under_a_wrong_clock_is_not_waited_for(tmp_path):
    """A film whose times are years ahead is delivered after the next start, and is not too late for it."""
    ahead = Journal(tmp_path / "journal.sqlite", lambda: 2e9)
    ahead.add(KEY, 4)
    ahead.answer(KEY, ["pacs"])
    ahead.postpone(KEY, "pacs", 60)
    ahead.close()
    right = Journal(tmp_path / "journal.sqlite", lambda: 1e9)
    right.recover(["pacs"])
    assert [(delivery.key, delivery.since) for delivery in right.due("pacs", 9)] == [(KEY, 1e9)]
    right.close()
