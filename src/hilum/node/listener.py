"""The socket below the inbox: who may connect at all, TLS that nobody can hold up, and messages that end.

pynetdicom reads a message of the upper layer (PDU, PS3.8 9.3) until it is whole, however large it says that it is and however long
that takes. A caller that stops in the middle would keep its association, and a few of them the node.
"""

from __future__ import annotations

import logging
import ssl
import sys
from functools import partial
from ipaddress import ip_address
from socketserver import BaseServer
from time import monotonic
from typing import Any

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from hilum.logs import line, where
from hilum.node.settings import Network

LOG = logging.getLogger("hilum.node")
MOST_BYTES = 2**20
"""Of one PDU. What a caller may send of a film at once is negotiated, and far below it."""


def receive(stream: AssociationSocket, seconds: float, size: int) -> bytearray:
    """Read so many bytes, or what there was before the caller hung up.

    Raises OSError where it is too much, or takes longer than ``seconds``.
    """
    connection = stream.socket
    if size > MOST_BYTES or connection is None:
        raise OSError
    end = monotonic() + seconds
    read = bytearray()
    while len(read) < size:
        # At least a moment, or it would not wait at all for what is there already.
        connection.settimeout(max(0.001, end - monotonic()))
        part = connection.recv(min(size - len(read), 2**16))
        if not part:
            break
        read += part
        if monotonic() > end:
            raise TimeoutError
    connection.settimeout(seconds)
    return read


def listener(
    addresses: tuple[Network, ...], context: ssl.SSLContext | None, handshake_seconds: float, idle_seconds: float
) -> type[ThreadedAssociationServer]:
    """Return a server that hangs up on other addresses, and whom no caller can keep waiting, in a TLS handshake or in a message."""

    class Handler(RequestHandler):
        def _create_association(self) -> Association:
            association = super()._create_association()
            stream = association.dul.socket
            if stream is not None:
                stream.recv = partial(receive, stream, idle_seconds)  # type: ignore[method-assign]
            return association

    class Server(ThreadedAssociationServer):
        daemon_threads = True

        def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
            address = ip_address(client_address[0])
            mapped = getattr(address, "ipv4_mapped", None) or address
            known = not addresses or any(mapped in network for network in addresses)
            if not known:
                LOG.warning(line("rejected", {"address": mapped}))
            return known

        def finish_request(self, request: Any, client_address: Any) -> None:
            # In the caller's own thread: pynetdicom does it in the one that accepts connections, without a limit in time.
            if context is not None:
                request.settimeout(handshake_seconds)
                try:
                    request = context.wrap_socket(request, server_side=True)
                except OSError as error:
                    LOG.warning(line("handshake", {"address": client_address[0], "error": type(error).__name__}))
                    request.close()
                    return
                request.settimeout(None)
            Handler(request, client_address, self)

        def shutdown(self) -> None:
            # pynetdicom's own asks for a server that its entity has started by itself.
            BaseServer.shutdown(self)
            self.server_close()

        def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
            error = sys.exception()
            LOG.warning(line("caller", {"address": client_address[0], "at": where(error) if error else None}))

    return Server
