"""The watched folder: every film once, nothing half-written, and nothing that is not a film."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading

import pytest

from hilum.errors import Busy
from hilum.node.watch import Watch, run_watch
from hospital import wait_for


@pytest.fixture
def watched(tmp_path):
    """Run a watch of ``in``; count what is read."""
    folder = tmp_path / "in"
    folder.mkdir()
    seen: list[bytes] = []

    def read(path, data):
        seen.append(data)
        if data == b"bad":
            raise RuntimeError("broken")
        if data == b"later" and seen.count(data) < 3:
            raise Busy("Not now.")
        return {"json": b"{}", "sr.dcm": data}

    @contextlib.contextmanager
    def start(settle=0.05, out=None):
        stop = threading.Event()
        watch = Watch(folder, out, settle, 0.02, frozenset({"", ".dcm"}), 1000)
        thread = threading.Thread(target=run_watch, args=(watch, read, stop))
        thread.start()
        try:
            yield seen
        finally:
            stop.set()
            thread.join(10)

    start.folder = folder
    return start


def results(folder):
    return sorted(path.name for path in folder.rglob("*.hilum.*"))


def name(data):
    return hashlib.sha256(data).hexdigest()[:16]


def test_each_film_has_its_results_beside_it(watched):
    """Also in folders below; the name is the film's hash, since a file's own name may be a patient's."""
    (watched.folder / "below").mkdir()
    (watched.folder / "DOE^JANE.dcm").write_bytes(b"one")
    (watched.folder / "below" / "two").write_bytes(b"two")
    with watched():
        wait_for(lambda: len(results(watched.folder)) == 4)
    assert results(watched.folder) == sorted(
        f"{name(one)}.hilum.{end}" for one in (b"one", b"two") for end in ("json", "sr.dcm")
    )
    assert (watched.folder / "below" / f"{name(b'two')}.hilum.sr.dcm").read_bytes() == b"two"
    assert not list(watched.folder.rglob("*.part"))


def test_a_restart_reads_nothing_twice(watched, tmp_path):
    """Films whose results are there are passed over, copies of them too; new ones are read."""
    (watched.folder / "one.dcm").write_bytes(b"one")
    with watched(out=tmp_path / "out") as seen:
        wait_for(lambda: len(results(tmp_path / "out")) == 2)
    (watched.folder / "copy.dcm").write_bytes(b"one")
    (watched.folder / "new.dcm").write_bytes(b"new")
    with watched(out=tmp_path / "out"):
        wait_for(lambda: len(results(tmp_path / "out")) == 4)
    assert sorted(seen) == [b"new", b"one"]


def test_results_that_were_cut_off_are_made_again(watched, tmp_path):
    """Where the record is missing, which is written last, the film was not finished."""
    (watched.folder / "one.dcm").write_bytes(b"one")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"{name(b'one')}.hilum.sr.dcm").write_bytes(b"half")
    with watched(out=tmp_path / "out"):
        wait_for(lambda: len(results(tmp_path / "out")) == 2)
    assert (tmp_path / "out" / f"{name(b'one')}.hilum.sr.dcm").read_bytes() == b"one"


def test_a_film_that_still_grows_is_waited_for(watched):
    """A file is read when it has not changed for a while, and then as a whole."""
    path = watched.folder / "one.dcm"
    with watched(settle=0.3) as seen:
        for part in range(1, 6):
            path.write_bytes(b"x" * part)
            threading.Event().wait(0.1)
        assert seen == []
        wait_for(lambda: seen == [b"xxxxx"])


def test_what_is_no_film_is_passed_over(watched):
    """Tables, hidden files, pipes and other results are not read; a film that can't be opened ends nothing."""
    for other in ("table.csv", ".hidden.dcm", "0123.hilum.dcm"):
        (watched.folder / other).write_bytes(b"other")
    os.mkfifo(watched.folder / "pipe.dcm")
    (watched.folder / "gone.dcm").symlink_to(watched.folder / "nowhere")
    (watched.folder / "bad.dcm").write_bytes(b"bad")
    (watched.folder / "good.dcm").write_bytes(b"good")
    with watched() as seen:
        wait_for(lambda: b"good" in seen)
        threading.Event().wait(0.2)
    assert sorted(seen) == [b"bad", b"good"]


def test_a_film_that_there_is_no_room_for_now_is_read_later(watched):
    """Busy is about this moment, not about the film."""
    (watched.folder / "one.dcm").write_bytes(b"later")
    with watched() as seen:
        wait_for(lambda: len(results(watched.folder)) == 2)
    assert seen == [b"later"] * 3


def test_no_more_is_read_than_a_film_may_have(watched):
    """Of a huge file only one byte beyond the limit is read, by which the reader sees that it is too large."""
    (watched.folder / "huge.dcm").write_bytes(b"x" * 5000)
    with watched() as seen:
        wait_for(lambda: seen)
    assert [len(one) for one in seen] == [1001]


def test_a_full_disk_costs_no_film(watched, tmp_path):
    """While results can't be written a film is tried again, and it has them once they can."""
    out = tmp_path / "out"
    out.write_bytes(b"in the way, as a full disk would be")
    (watched.folder / "one.dcm").write_bytes(b"one")
    with watched(out=out) as seen:
        wait_for(lambda: len(seen) > 2)
        out.unlink()
        wait_for(lambda: (out / f"{name(b'one')}.hilum.json").exists())
