"""Sockets of associations are closed, whoever hung up first."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
from pynetdicom.transport import AssociationSocket

from hilum.node.sockets import close_always


@pytest.fixture
def pair():
    """Two ends of a connection."""
    listening = socket.create_server(("127.0.0.1", 0))
    with listening, socket.create_connection(listening.getsockname()) as ours, listening.accept()[0] as theirs:
        yield ours, theirs


def shut_down(connection: socket.socket | None) -> None:
    close_always()
    AssociationSocket._shutdown_socket(SimpleNamespace(socket=connection))


def test_a_connection_that_stands_is_shut_down_and_closed(pair):
    ours, theirs = pair
    shut_down(ours)
    assert ours.fileno() == -1
    assert theirs.recv(1) == b""


def test_a_connection_that_never_stood_is_closed_too():
    ours = socket.socket()
    shut_down(ours)
    assert ours.fileno() == -1


def test_a_closed_one_stays_so(pair):
    pair[0].close()
    shut_down(pair[0])
    shut_down(None)
