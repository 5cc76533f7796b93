"""Slow, silent and deaf clients are hung up on, and keep nobody else out."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from hilum.server.connections import Connection

LONG = b"x" * 40_000_000


@pytest.fixture
def address(make_client, running, monkeypatch) -> Iterator[str]:
    """The address of a service with short limits, whose answers are long."""
    monkeypatch.setattr(Connection, "header_seconds", 0.3)
    monkeypatch.setattr(Connection, "take_seconds", 0.5)
    monkeypatch.setattr(Connection, "most", 5)
    client = make_client()

    @client.app.get("/long")
    async def long():
        from starlette.responses import Response

        return Response(LONG)

    with running(client.app) as where:
        yield where


@contextlib.contextmanager
def connected(address: str, sent: bytes = b"") -> Iterator[socket.socket]:
    """A bare connection on which something has been sent."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=5) as one:
        one.sendall(sent)
        yield one


def is_hung_up(one: socket.socket) -> bool:
    """Whether the service ends a connection, within the five seconds that it has."""
    try:
        while one.recv(2**20):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127", b"POST /api/ml-analyze HTTP/1.1\r\n"])
def test_a_header_that_does_not_come_is_not_waited_for(address, sent):
    """Who sends nothing, or a part of a header, is hung up on."""
    with connected(address, sent) as one:
        assert is_hung_up(one)


def test_a_header_byte_by_byte_is_not_waited_for(address):
    """Sending a byte now and then does not prolong the wait, also behind a first request that was answered."""
    with connected(address, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as one:
        assert one.recv(12) == b"HTTP/1.1 200"
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 5:
                one.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - begun < 3


def test_an_answer_that_is_not_taken_is_thrown_away(address):
    """Who asks for a long answer and reads nothing of it is hung up on, and its memory is free again."""
    with connected(address, b"GET /long HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as one:
        time.sleep(1.5)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while part := one.recv(2**20):
                received += len(part)
        assert received < len(LONG)


def test_an_answer_that_is_taken_slowly_arrives_whole(address):
    """Who reads slowly but goes on reading gets all of it, however long that takes."""
    with httpx.stream("GET", f"{address}/long", timeout=5) as answer:
        received = 0
        for part in answer.iter_raw(2**20):
            received += len(part)
            time.sleep(0.05)
    assert received == len(LONG)


def test_idle_connections_make_room(address):
    """However many connections stand open without a request, a film is answered; the oldest of them is ended."""
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connected(address)) for _ in range(8)]
        for _ in range(3):
            assert httpx.post(f"{address}/api/ml-analyze", files={"image": ("film", b"film")}).json() == {"length": 4}
        assert is_hung_up(waiting[0])
