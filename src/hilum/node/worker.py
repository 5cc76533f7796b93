"""A worker: films out of the spool, results into it, until told to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from time import perf_counter

from hilum.errors import InputError
from hilum.logs import line, where
from hilum.node.metrics import NodeMetrics
from hilum.node.spool import Spool

LOG = logging.getLogger("hilum.node")
PAUSE = 0.2
"""Seconds between two looks into an empty queue."""
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
        outcome, fields = _answer(spool, read, peers, key, begun, attempts)
        seconds = perf_counter() - start
        metrics.analyses.labels(outcome).inc()
        metrics.seconds.observe(seconds)
        level = logging.INFO if outcome == "answered" else logging.WARNING
        LOG.log(level, line("analyzed", {"film": key[:12], "outcome": outcome, "ms": 1000 * seconds} | fields))
        if outcome == "retried":
            stop.wait(RETRY_SECONDS * begun)


def _answer(
    spool: Spool, read: Read, peers: Sequence[str], key: str, begun: int, attempts: int
) -> tuple[str, dict[str, object]]:
    """Read one film; return what became of it, with the fields of its log line."""
    if begun > attempts:
        # It was begun so often and never ended: the process died of it.
        spool.journal.end(key, "dead", "interrupted")
        return "dead", {"reason": "interrupted"}
    try:
        answer = read(spool.film(key))
        if answer.results:
            spool.keep_results(key, answer.results, peers)
        else:
            spool.journal.end(key, "done", "no_results")
            spool.remove(key)
    except InputError as error:
        spool.journal.end(key, "failed", error.code)
        spool.remove(key)
        return "failed", {"reason": error.code}
    except Exception as error:  # noqa: BLE001 - the edge: one film must not end the worker; the log gets the cause
        last = begun >= attempts
        if last:
            spool.journal.end(key, "dead", "error")
        else:
            spool.journal.put_back(key)
        return "dead" if last else "retried", {"at": where(error)}
    return "answered", {"accepted": str(answer.accepted).lower(), "reasons": answer.reasons}
