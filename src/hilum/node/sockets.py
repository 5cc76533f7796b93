"""A socket of pynetdicom's is closed, whoever hung up first.

pynetdicom shuts a connection down before it closes it. Where the other side is gone already, or never was there, the first
fails, and it leaves out the second: the socket stays open until the garbage collector comes by.
"""

from __future__ import annotations

from contextlib import suppress
from socket import SHUT_RDWR

from pynetdicom.transport import AssociationSocket


def close_always() -> None:
    """Let every association of this process close its socket. May be called again."""
    # Nothing public comes between the two.
    AssociationSocket._shutdown_socket = _shutdown  # type: ignore[method-assign, assignment]


def _shutdown(stream: AssociationSocket) -> None:
    connection = stream.socket
    if connection is None:
        return
    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)
    with suppress(OSError):
        connection.close()
