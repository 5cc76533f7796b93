"""The inbox: whom it talks to, what it keeps, what it lets by, and what it says."""

from __future__ import annotations

import contextlib
import logging
import socket
import sqlite3
import threading
import time

import pytest
from pynetdicom.sop_class import CTImageStorage, DigitalXRayImageStorageForProcessing, SecondaryCaptureImageStorage

from hilum.node.spool import Spool
from hospital import SENTINEL, dicom, film, running, send, settings_for, wait_for


@pytest.fixture
def node(tmp_path, receiver):
    """Start a node with these settings; give its port."""
    return lambda **given: running(settings_for(tmp_path, receiver.port, **given))


def test_it_answers_an_echo_and_keeps_a_film(node, receiver):
    """C-ECHO and C-STORE succeed, and the film's result reaches the peer."""
    with node() as port:
        one = film()
        assert send(port, one) == [0x0000]
        wait_for(lambda: receiver.instances == [f"{one.SOPInstanceUID[:60]}.1"])


def test_what_is_no_film_is_acknowledged_and_dropped(node, receiver, tmp_path):
    """A CT, a private object and a DX for processing get success, so that a study's other objects don't fail, and go nowhere."""
    private = "1.2.826.0.1.3680043.9.9999.1"
    others = [dicom(one) for one in (CTImageStorage, private, DigitalXRayImageStorageForProcessing)]
    with node() as port:
        assert send(port, *others, film()) == [0x0000] * 4
        wait_for(lambda: receiver.instances)
    assert len(receiver.instances) == 1


def test_what_is_no_film_is_not_held_in_memory(node, monkeypatch):
    """The data set of an object that is not wanted is swallowed as it arrives."""
    sizes = []
    monkeypatch.setattr(
        "hilum.node.inbox._outcome", lambda event, *_: (sizes.append(len(event.encoded_dataset())), ("x", 0))[1]
    )
    large = dicom(CTImageStorage, PixelData=b"\0" * 3_000_000, Rows=1, Columns=1, BitsAllocated=8)
    with node() as port:
        assert send(port, large) == [0x0000]
    assert sizes[0] < 300_000


def test_a_film_that_is_too_large_is_refused(node):
    """It is answered "cannot understand", which a sender does not take for success, and the next film is taken."""
    large = film(400, 400)
    large.PixelData = b"\0" * 2_000_000
    with node(film_bytes=100_000) as port:
        assert send(port, large, film()) == [0xC000, 0x0000]


def test_a_full_spool_is_out_of_resources(tmp_path):
    """While nothing can be delivered, only so many films are taken; the next is answered 0xA700, a known one success."""
    with running(settings_for(tmp_path, 1, spool_films=2)) as port:
        one, two, three = film(), film(), film()
        assert send(port, one, two, three, one) == [0x0000, 0x0000, 0xA700, 0x0000]


@pytest.mark.parametrize("error", [OSError("disk full"), sqlite3.OperationalError("database or disk is full")])
def test_a_full_disk_is_out_of_resources(node, monkeypatch, error):
    """What can't be written is not acknowledged."""

    def fail(*_):
        raise error

    monkeypatch.setattr(Spool, "accept", fail)
    with node() as port:
        assert send(port, film()) == [0xA700]


def test_one_film_sent_by_many_at_once_has_one_result(node, receiver):
    """Callers that send the same film at the same time all get success, and the peer gets one result."""
    one = film()
    with node() as port:
        threads = [threading.Thread(target=send, args=(port, one)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        other = film()
        send(port, other)
        wait_for(lambda: f"{other.SOPInstanceUID[:60]}.1" in receiver.instances)
    assert len(receiver.instances) == 2


@pytest.mark.parametrize(
    ("given", "called", "caller"),
    [({}, "OTHER", "CALLER"), ({"callers": ("PACS", "RIS")}, "HILUM", "CALLER")],
    ids=["called by another name", "a caller that is not listed"],
)
def test_titles_are_checked(node, given, called, caller):
    """Only a listed caller that calls the node by its name gets an association."""
    with node(**given) as port:
        with pytest.raises(ConnectionError, match="rejected"):
            send(port, film(), called=called, caller=caller)
        assert send(port, film(), caller="PACS") == [0x0000]


def test_addresses_are_checked(node):
    """A connection from a network that is not listed is closed before a word is said."""
    with node(addresses=("10.1.0.0/16",)) as port, pytest.raises(ConnectionError):
        send(port, film())
    with node(addresses=("127.0.0.0/8", "::1/128")) as port:
        assert send(port, film()) == [0x0000]


def test_a_taken_port_is_an_error_that_says_so(tmp_path):
    """Two nodes can't share a port, and nothing is left open."""
    from hilum.errors import ConfigError

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}"), running(settings_for(tmp_path, 1, port=port)):
            pass


def test_nothing_of_a_film_reaches_log_or_file_names(node, receiver, tmp_path, caplog):
    """Neither patient nor UID stands in a log line or in a name in the spool, for a good film and a broken one."""
    good, broken = film(), film(SeriesDescription="broken")
    with caplog.at_level(logging.DEBUG), node() as port:
        send(port, good, broken, dicom(SecondaryCaptureImageStorage))
        wait_for(lambda: len(receiver.instances) == 2)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("hilum"))
    names = "\n".join(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert "outcome=failed" in ours
    for secret in (SENTINEL, str(good.SOPInstanceUID), str(broken.SOPInstanceUID), str(good.StudyInstanceUID)):
        assert secret not in ours
        assert secret not in names


REQUEST = b"\x01\x00" + (200).to_bytes(4, "big") + bytes(100)
HUGE = b"\x04\x00" + (2**32 - 1).to_bytes(4, "big")


@pytest.mark.parametrize("sent", [REQUEST[:3], REQUEST, HUGE + bytes(2**16)])
def test_half_a_message_is_not_waited_for(node, sent):
    """A caller that stops in the middle of a message, or announces one of gigabytes, is hung up on."""
    with node(idle_seconds=0.5) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(sent)
        hung_up(one)
        assert send(port, film()) == [0x0000]


def test_a_message_byte_by_byte_is_not_waited_for(node):
    """A caller that sends a byte now and then has no longer than one that sends nothing."""
    with node(idle_seconds=0.5) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 10:
                one.sendall(b"\x01")
                time.sleep(0.05)
        assert time.monotonic() - begun < 8


def hung_up(one):
    """Wait until the node ends a connection; a TimeoutError says that it does not."""
    with contextlib.suppress(ConnectionResetError):
        while one.recv(2**16):
            pass
