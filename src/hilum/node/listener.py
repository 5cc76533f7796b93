"""The socket below the inbox: who may connect at all, and TLS that nobody can hold up."""

from __future__ import annotations

import logging
import ssl
import sys
from ipaddress import ip_address
from socketserver import BaseServer
from typing import Any

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from hilum.logs import line, where
from hilum.node.settings import Network

LOG = logging.getLogger("hilum.node")


def listener(
    addresses: tuple[Network, ...], context: ssl.SSLContext | None, handshake_seconds: float
) -> type[ThreadedAssociationServer]:
    """Return a server that hangs up on other addresses, and whom no caller can keep waiting in a TLS handshake."""

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
            RequestHandler(request, client_address, self)

        def shutdown(self) -> None:
            # pynetdicom's own asks for a server that its entity has started by itself.
            BaseServer.shutdown(self)
            self.server_close()

        def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
            error = sys.exception()
            LOG.warning(line("caller", {"address": client_address[0], "at": where(error) if error else None}))

    return Server
