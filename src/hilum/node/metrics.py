"""What Prometheus reads of the node: counts, durations and the queue; no patient data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from hilum.monitor.live import Monitor
from hilum.monitor.metrics import register
from hilum.node.journal import STATES

_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class NodeMetrics:
    """The instruments of one node."""

    registry: CollectorRegistry
    received: Counter
    """Objects answered, by outcome: ``new``, ``duplicate``, ``ignored``, ``full``, ``refused``."""
    analyses: Counter
    """Analyses ended, by outcome: ``answered``, ``failed``, ``retried``, ``dead``."""
    seconds: Histogram
    """Of one analysis, from the spool to its results in the spool."""
    deliveries: Counter
    """By peer and outcome: ``delivered``, ``retried``, ``dead``."""


def make_node_metrics(counts: Callable[[], Mapping[str, int]], monitor: Monitor | None = None) -> NodeMetrics:
    """Return fresh instruments in a registry of their own; ``counts`` gives the films in each state."""
    registry = CollectorRegistry()
    if monitor is not None:
        register(registry, monitor)
    films = Gauge("hilum_node_films", "Films by state.", ("state",), registry=registry)
    for state in STATES:
        films.labels(state).set_function(partial(_count, counts, state))
    return NodeMetrics(
        registry=registry,
        received=Counter("hilum_node_received", "Objects received, by outcome.", ("outcome",), registry=registry),
        analyses=Counter("hilum_node_analyses", "Analyses ended, by outcome.", ("outcome",), registry=registry),
        seconds=Histogram(
            "hilum_node_analysis_seconds", "Seconds of an analysis.", buckets=_BUCKETS, registry=registry
        ),
        deliveries=Counter(
            "hilum_node_deliveries", "Deliveries, by peer and outcome.", ("peer", "outcome"), registry=registry
        ),
    )


def _count(counts: Callable[[], Mapping[str, int]], state: str) -> float:
    return counts()[state]


def serve_metrics(metrics: NodeMetrics, port: int) -> Callable[[], None]:
    """Serve the metrics at ``http://127.0.0.1:port/metrics``; return what ends it. Raises OSError where the port is taken."""
    server, thread = start_http_server(port, addr="127.0.0.1", registry=metrics.registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
