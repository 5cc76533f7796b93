"""The outbox: one thread a peer that sends what is due, waits longer after each failure, and in the end gives up and says so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event

from hilum.logs import line
from hilum.node.journal import Delivery
from hilum.node.metrics import NodeMetrics
from hilum.node.settings import NodeSettings
from hilum.node.spool import Spool

LOG = logging.getLogger("hilum.node")
PAUSE = 0.2
"""Seconds between two looks into an empty outbox."""
BATCH = 20
"""Films whose results go over one association."""


class UnreachableError(Exception):
    """A peer can't be reached at all, or takes nothing now. The text is a code, never a peer's own words."""


Send = Callable[[Mapping[str, Sequence[bytes]]], Iterable[tuple[str, str | None]]]
"""Films' results by key, to each key with why the peer did not take its results, as a code; None: it has them.

Raises UnreachableError, also in the middle.
"""


def run_outbox(peer: str, send: Send, spool: Spool, settings: NodeSettings, metrics: NodeMetrics, stop: Event) -> None:
    """Deliver results to one peer until ``stop`` is set."""
    failures = 0
    while not stop.is_set():
        due = spool.journal.due(peer, BATCH)
        if not due:
            stop.wait(PAUSE)
            continue
        letters = {delivery.key: delivery for delivery in due}
        contents = {key: spool.results(key) for key in letters}
        for key in [key for key, results in contents.items() if not results]:
            # Somebody removed them from the spool: nothing to send must not count as sent.
            del contents[key]
            _give_up(peer, letters.pop(key), "results_lost", spool, metrics)
        try:
            for key, problem in send(contents) if contents else ():
                failures = 0
                _note(peer, letters.pop(key), problem, spool, settings, metrics)
                if stop.is_set():
                    break
        except UnreachableError as error:
            wait = backoff(failures, settings)
            failures += 1
            LOG.warning(line("unreachable", {"peer": peer, "reason": str(error), "again_in_s": wait}))
            metrics.deliveries.labels(peer, "retried").inc(len(letters))
            for delivery in letters.values():
                if _is_late(delivery, spool, settings):
                    _give_up(peer, delivery, "unreachable", spool, metrics)
            stop.wait(wait)


def backoff(failures: int, settings: NodeSettings) -> float:
    """Return how many seconds to wait after ``failures`` earlier failures in a row."""
    # The exponent is bounded: a float overflows after a thousand doublings.
    return float(min(settings.retry_seconds * 2 ** min(failures, 60), settings.retry_most_seconds))


def _note(
    peer: str, delivery: Delivery, problem: str | None, spool: Spool, settings: NodeSettings, metrics: NodeMetrics
) -> None:
    """Enter what became of one delivery."""
    if problem is None:
        if spool.journal.delivered(delivery.key, peer) == "done":
            spool.remove(delivery.key)
        metrics.deliveries.labels(peer, "delivered").inc()
        LOG.info(line("delivered", {"film": delivery.key[:12], "peer": peer}))
    elif _is_late(delivery, spool, settings):
        _give_up(peer, delivery, problem, spool, metrics)
    else:
        wait = backoff(delivery.attempts, settings)
        spool.journal.postpone(delivery.key, peer, wait)
        metrics.deliveries.labels(peer, "retried").inc()
        LOG.warning(
            line("undelivered", {"film": delivery.key[:12], "peer": peer, "reason": problem, "again_in_s": wait})
        )


def _is_late(delivery: Delivery, spool: Spool, settings: NodeSettings) -> bool:
    return spool.journal.clock() - delivery.since > 3600 * settings.give_up_hours


def _give_up(peer: str, delivery: Delivery, problem: str, spool: Spool, metrics: NodeMetrics) -> None:
    spool.journal.give_up(delivery.key, peer)
    metrics.deliveries.labels(peer, "dead").inc()
    LOG.error(line("dead", {"film": delivery.key[:12], "peer": peer, "reason": problem}))
