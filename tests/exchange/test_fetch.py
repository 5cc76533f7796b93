"""A download is whole in its place, or not there, and says why."""

from __future__ import annotations

import errno
import hashlib
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest

from hilum.errors import DownloadFailed, HashMismatch, NoSpace
from hilum.exchange import fetch as module
from hilum.exchange.fetch import fetch


def ignore(done: int, total: int | None) -> None:
    pass


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_comes_whole_and_its_hash_is_told(site, tmp_path):
    """The bytes are the server's, progress ends at the size, and nothing but the file is left."""
    told = []
    digest = fetch(site.address, tmp_path / "in" / "w.pt", sha256(site.content), lambda *step: told.append(step))
    assert (tmp_path / "in" / "w.pt").read_bytes() == site.content
    assert digest == sha256(site.content)
    assert told[-1] == (len(site.content), len(site.content))
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["w.pt"]


def test_an_interrupted_download_goes_on_where_it_broke_off(site, tmp_path):
    """The broken one says how far it came and leaves no file; the next asks for the rest alone."""
    site.break_after = 300_000
    with pytest.raises(DownloadFailed, match=r"broke off at 300,000 of 1,048,576 bytes.*goes on") as failed:
        fetch(site.address, tmp_path / "w.pt", None, ignore)
    assert failed.value.code == "download_failed"
    assert not (tmp_path / "w.pt").exists()
    site.break_after = None
    assert fetch(site.address, tmp_path / "w.pt", None, ignore) == sha256(site.content)
    assert site.asked == [None, "bytes=300000-"]


@pytest.mark.parametrize("change", [{"tag": '"second"'}, {"tag": None}, {"ranges": False}])
def test_two_versions_of_a_file_are_never_joined(site, tmp_path, change):
    """Where the server has another file by now, or can't say, the download begins again."""
    first = site.content
    site.tag = change.get("tag", "first") and site.tag
    site.break_after = 300_000
    with pytest.raises(DownloadFailed):
        fetch(site.address, tmp_path / "w.pt", None, ignore)
    site.break_after, site.content = None, first[::-1]
    for name, value in change.items():
        setattr(site, name, value)
    assert fetch(site.address, tmp_path / "w.pt", None, ignore) == sha256(first[::-1])


def test_a_part_that_is_longer_than_the_file_is_dropped(site, tmp_path):
    """The server refuses the range; the next call begins again."""
    (tmp_path / "w.pt.part").write_bytes(site.content + b"more")
    (tmp_path / "w.pt.etag").write_text(site.tag)
    with pytest.raises(DownloadFailed, match="another file"):
        fetch(site.address, tmp_path / "w.pt", None, ignore)
    assert fetch(site.address, tmp_path / "w.pt", None, ignore) == sha256(site.content)


def test_a_wrong_hash_is_refused_and_deleted(site, tmp_path):
    """What is not the expected file is not kept, and the message names both hashes."""
    with pytest.raises(HashMismatch, match=f"{sha256(site.content)}.*{'0' * 64}"):
        fetch(site.address, tmp_path / "w.pt", "0" * 64, ignore)
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_message_says_so(tmp_path):
    """A closed port is a download error that names the host and the way out, not a traceback."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/w.pt"
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 can't be reached \(ConnectionRefusedError\).*proxy"):
        fetch(address, tmp_path / "w.pt", None, ignore)
    with pytest.raises(DownloadFailed, match="can't be reached"):
        fetch("http://no-such-host.invalid/w.pt", tmp_path / "w.pt", None, ignore)


@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_without_the_file_is_named(site, tmp_path, status):
    """The server's own status stands in the message."""
    site.status = status
    with pytest.raises(DownloadFailed, match=f"answered {status}"):
        fetch(site.address, tmp_path / "w.pt", None, ignore)


def test_other_addresses_are_refused(tmp_path):
    """A local file is not fetched, whatever a catalogue says."""
    with pytest.raises(DownloadFailed, match="neither http nor https"):
        fetch((tmp_path / "x").as_uri(), tmp_path / "w.pt", None, ignore)


def test_a_full_disk_is_seen_before_and_while_writing(site, tmp_path, monkeypatch):
    """Too little room is told before a byte comes; a disk that fills meanwhile keeps what came."""
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
        with pytest.raises(NoSpace, match=r"1,048,576 bytes are to come.*1,000 free"):
            fetch(site.address, tmp_path / "w.pt", None, ignore)

    def full(done: int, total: int | None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NoSpace, match="is full") as failed:
        fetch(site.address, tmp_path / "w.pt", None, full)
    assert failed.value.code == "no_space"
    assert (tmp_path / "w.pt.part").stat().st_size > 0


def test_an_absurd_size_is_refused(site, tmp_path, monkeypatch):
    """A file beyond the limit is not fetched."""
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(DownloadFailed, match="at most 1,000"):
        fetch(site.address, Path(tmp_path / "w.pt"), None, ignore)
