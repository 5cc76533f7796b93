"""The node put together: inbox, workers and outboxes around one spool, from start to a clean stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

from hilum.errors import ConfigError
from hilum.logs import line, where
from hilum.monitor.live import Monitor
from hilum.node.inbox import start_inbox
from hilum.node.metrics import make_node_metrics, serve_metrics
from hilum.node.outbox import run_outbox
from hilum.node.send import sender
from hilum.node.settings import NodeSettings
from hilum.node.spool import Spool
from hilum.node.worker import Read, work
from hilum.tls import server_context

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.transport import AssociationServer

LOG = logging.getLogger("hilum.node")
TICK = 0.2
MINUTE = 60.0


def run_node(
    settings: NodeSettings,
    read: Read,
    bundles: Sequence[str],
    stop: Event,
    ready: Callable[[int], None],
    retry_dead: bool = False,
    monitor: Monitor | None = None,
) -> None:
    """Serve until ``stop`` is set; then hang up in good order, finish the films that are begun, and return.

    ``read`` analyzes; ``bundles`` are the hashes of the weights that it does so by; ``ready`` is called with the port.
    ``retry_dead`` puts dead letters back into the queue; metrics tell what ``monitor`` sees.
    Raises ConfigError where spool, port or TLS files can't be used.
    """
    certificate, key, authorities = settings.tls_certificate, settings.tls_key, settings.tls_authorities
    context = None if certificate is None else server_context(certificate, key, authorities)
    senders = {peer.name: sender(peer, settings) for peer in settings.peers}
    spool = Spool(settings.spool, settings.spool_films, settings.spool_bytes)
    metrics = make_node_metrics(spool.journal.counts, monitor)
    end = Event()
    worker = partial(work, spool, read, tuple(senders), settings.attempts, metrics, end)
    outboxes = [partial(run_outbox, name, send, spool, settings, metrics, end) for name, send in senders.items()]
    threads = [_thread(end, loop) for loop in [*[worker] * settings.workers, *outboxes]]
    with ExitStack() as cleanup:
        cleanup.callback(spool.close)
        spool.recover(senders)
        if retry_dead:
            LOG.info(line("retry", {"films": spool.journal.revive()}))
        try:
            if settings.metrics_port is not None:
                cleanup.callback(serve_metrics(metrics, settings.metrics_port))
            entity, server = start_inbox(settings, context, spool, tuple(bundles), metrics)
        except OSError as error:
            raise ConfigError(
                f"Can't listen on {settings.host} port {settings.port}, or on the metrics port: {error.strerror or error}. "
                "Stop what uses it, or choose another."
            ) from None
        cleanup.callback(_finish, threads, end)
        cleanup.callback(_hang_up, entity, server, settings.stop_seconds)
        for thread in threads:
            thread.start()
        ready(int(server.server_address[1]))
        _wait(stop, spool, settings)


def _thread(end: Event, loop: Callable[[], None]) -> Thread:
    """Return a thread that runs ``loop``, and again should it break, until ``end`` is set."""

    def run() -> None:
        while not end.is_set():
            try:
                loop()
            except Exception as error:  # noqa: BLE001 - the edge: a full disk must not end the node; the log gets the cause
                LOG.error(line("broken", {"at": where(error)}))
                end.wait(1)

    return Thread(target=run, daemon=True)


def _wait(stop: Event, spool: Spool, settings: NodeSettings) -> None:
    """Wait for the stop; once a minute say how long the queue is, and forget what is old."""
    while not stop.wait(MINUTE):
        for key in spool.journal.forget(spool.journal.clock() - 86400 * settings.remember_days):
            spool.remove(key)
            LOG.error(line("removed", {"film": key[:12], "reason": "dead for too long"}))
        LOG.info(line("queue", {state: str(count) for state, count in spool.journal.counts().items() if count}))


def _hang_up(entity: AE, server: AssociationServer, seconds: float) -> None:
    """Take no further callers, let those that are served finish, then abort the others."""
    server.shutdown()
    end = time.monotonic() + seconds
    while entity.active_associations and time.monotonic() < end:
        time.sleep(TICK)
    for association in entity.active_associations:
        association.abort()


def _finish(threads: Sequence[Thread], end: Event) -> None:
    """Let workers and outboxes finish what they have begun."""
    end.set()
    for thread in threads:
        thread.join()
