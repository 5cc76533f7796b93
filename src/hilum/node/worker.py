"""A worker: films out of the spool, results into it, until told to stop."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from time import perf_counter

from hilum.errors import InputError
from hilum.logs import line, where
from hilum.node.metrics import NodeMetrics
from hilum.node.spool import Spool

LOG = logging.getLogger("hilum.node")
PAUSE = 0.2
"""Seconds between two looks into an empty queue."""
SPOOL_SECONDS = 1.0
"""Between two attempts to write where the disk does not let one."""
RETRY_SECONDS = 1.0
"""Pause after an analysis that broke, times how often it did: what is short now, such as memory, may not be then."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one film gave."""

    results: Sequence[bytes]
    """DICOM objects as files, ready to be sent; none: nothing is to be sent."""
    accepted: bool
    reasons: tuple[str, ...] = ()
    """Codes."""


Read = Callable[[bytes], Answer]
"""A film's bytes to its answer. Raises InputError where they can't be read."""


def work(spool: Spool, read: Read, peers: Sequence[str], attempts: int, metrics: NodeMetrics, stop: Event) -> None:
    """Analyze films until ``stop`` is set; the one that is begun is finished."""
    while not stop.is_set():
        claimed = spool.journal.claim()
        if claimed is None:
            stop.wait(PAUSE)
            continue
        key, begun = claimed
        start = perf_counter()
        outcome, fields, enter = _answer(spool, read, peers, key, begun, attempts)
        if not _entered(enter, stop):
            return
        seconds = perf_counter() - start
        metrics.analyses.labels(outcome).inc()
        metrics.seconds.observe(seconds)
        level = logging.INFO if outcome == "answered" else logging.WARNING
        LOG.log(level, line("analyzed", {"film": key[:12], "outcome": outcome, "ms": 1000 * seconds} | fields))
        if outcome == "retried":
            stop.wait(RETRY_SECONDS * begun)


def _answer(
    spool: Spool, read: Read, peers: Sequence[str], key: str, begun: int, attempts: int
) -> tuple[str, dict[str, object], Callable[[], None]]:
    """Read one film; return what became of it, with the fields of its log line, and what enters it into the spool."""
    if begun > attempts:
        # It was begun so often and never ended: the process died of it.
        return "dead", {"reason": "interrupted"}, partial(spool.journal.end, key, "dead", "interrupted")
    try:
        answer = read(spool.film(key))
    except InputError as error:
        return "failed", {"reason": error.code}, partial(_end, spool, key, "failed", error.code)
    except Exception as error:  # noqa: BLE001 - the edge: one film must not end the worker; the log gets the cause
        if begun >= attempts:
            return "dead", {"at": where(error)}, partial(spool.journal.end, key, "dead", "error")
        return "retried", {"at": where(error)}, partial(spool.journal.put_back, key)
    fields: dict[str, object] = {"accepted": str(answer.accepted).lower(), "reasons": answer.reasons}
    if answer.results:
        return "answered", fields, partial(spool.keep_results, key, answer.results, peers)
    return "answered", fields, partial(_end, spool, key, "done", "no_results")


def _end(spool: Spool, key: str, state: str, reason: str) -> None:
    spool.journal.end(key, state, reason)
    spool.remove(key)


def _entered(enter: Callable[[], None], stop: Event) -> bool:
    """Write into the spool, again and again while the disk is full or broken: that is not the film's fault.

    Return whether it was done before ``stop`` was set; if not, the film is read again after the next start.
    """
    while True:
        try:
            enter()
        except (OSError, sqlite3.Error) as error:
            LOG.error(line("spool", {"at": where(error)}))
        else:
            return True
        if stop.wait(SPOOL_SECONDS):
            return False
