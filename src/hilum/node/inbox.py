"""The DIMSE inbox: verification and storage. What it acknowledges as a film is on the disk; what is no film is let by.

Any object that is no film is acknowledged and dropped: refusing one would fail a sender's whole study.
"""

from __future__ import annotations

import logging
import sqlite3
import ssl
from io import BytesIO
from threading import Thread
from typing import Any, cast

from pynetdicom import AE, _config, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import AssociationServer

from hilum.logs import line, where
from hilum.node.listener import listener
from hilum.node.metrics import NodeMetrics
from hilum.node.settings import NodeSettings
from hilum.node.sockets import close_always
from hilum.node.sop import FILMS
from hilum.node.spool import Spool, film_key

LOG = logging.getLogger("hilum.node")

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
PDU_BYTES = 2**17


def start_inbox(
    settings: NodeSettings, context: ssl.SSLContext | None, spool: Spool, bundles: tuple[str, ...], metrics: NodeMetrics
) -> tuple[AE, AssociationServer]:
    """Listen; return the application entity and its server.

    ``bundles``: hashes of the weights that films will be read by. Raises OSError where the address can't be listened on.
    """
    # Every storage SOP class, private ones too, is negotiated, so that no study is refused for one of its objects.
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    _config.LOG_HANDLER_LEVEL = "none"
    close_always()
    entity = AE(settings.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(settings.callers)
    entity.maximum_associations = settings.associations
    entity.maximum_pdu_size = PDU_BYTES
    entity.network_timeout = entity.dimse_timeout = settings.idle_seconds
    entity.acse_timeout = min(30.0, settings.idle_seconds)
    entity.add_supported_context(Verification)
    handlers: list[Any] = [
        (evt.EVT_PDU_RECV, _bound, [settings.film_bytes]),
        (evt.EVT_C_STORE, _store, [spool, bundles, metrics]),
        (evt.EVT_REJECTED, _rejected),
    ]
    server = entity.make_server(
        (settings.host, settings.port),
        evt_handlers=handlers,
        server_class=listener(settings.addresses, context, entity.acse_timeout, settings.idle_seconds),
    )
    Thread(target=server.serve_forever, name="hilum-inbox", daemon=True).start()
    return entity, server


class _Sink(BytesIO):
    """Swallows a data set that nobody needs, so that no object of gigabytes is held in memory."""

    def write(self, data: Any, /) -> int:
        return len(data)


def _bound(event: Event, film_bytes: int) -> None:
    """Hold no more of what arrives than a film may have, and nothing of what is no film."""
    message = event.assoc.dimse.message
    command = getattr(message, "command_set", None)
    if message is None or command is None or message.data_set is None or isinstance(message.data_set, _Sink):
        return
    if command.get("AffectedSOPClassUID") not in FILMS or message.data_set.tell() > film_bytes:
        message.data_set = _Sink()


def _store(event: Event, spool: Spool, bundles: tuple[str, ...], metrics: NodeMetrics) -> int:
    """Answer one C-STORE request."""
    key = film_key(str(cast(C_STORE, event.request).AffectedSOPInstanceUID), bundles)
    outcome, status = _outcome(event, spool, key)
    metrics.received.labels(outcome).inc()
    fields = {"film": key[:12], "outcome": outcome, "status": f"{status:04X}", "caller": event.assoc.requestor.ae_title}
    LOG.log(logging.INFO if status == SUCCESS else logging.WARNING, line("received", fields))
    return status


def _outcome(event: Event, spool: Spool, key: str) -> tuple[str, int]:
    request = cast(C_STORE, event.request)
    if request.AffectedSOPClassUID not in FILMS:
        return "ignored", SUCCESS
    if isinstance(request.DataSet, _Sink):
        return "refused", CANNOT_UNDERSTAND
    try:
        outcome = spool.accept(key, event.encoded_dataset())
    except (OSError, sqlite3.Error) as error:
        LOG.error(line("spool", {"at": where(error)}))
        return "full", OUT_OF_RESOURCES
    return outcome, OUT_OF_RESOURCES if outcome == "full" else SUCCESS


def _rejected(event: Event) -> None:
    LOG.warning(line("rejected", {"address": event.assoc.requestor.address}))
