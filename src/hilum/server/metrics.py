"""What Prometheus reads: counts and durations, no patient data. One registry per app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from hilum.monitor.live import Monitor
from hilum.monitor.metrics import register

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The instruments of one app."""

    registry: CollectorRegistry
    requests: Counter
    """By route template and status."""
    stages: Histogram
    """Seconds by stage: ``wait``, ``read``, ``analyze``, ``render``."""
    films: Counter
    """Films answered, by ``accepted`` or ``refused``."""
    refused: Counter
    """Films refused, by reason code."""
    queue_depth: Gauge
    busy_workers: Gauge


def make_metrics(monitor: Monitor | None = None) -> Metrics:
    """Return fresh instruments in a registry of their own, with what ``monitor`` sees."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    if monitor is not None:
        register(registry, monitor)
    return Metrics(
        registry=registry,
        requests=Counter("hilum_requests", "Requests answered.", ("route", "status"), registry=registry),
        stages=Histogram(
            "hilum_stage_seconds", "Seconds per film by stage.", ("stage",), buckets=_BUCKETS, registry=registry
        ),
        films=Counter("hilum_films", "Films answered.", ("verdict",), registry=registry),
        refused=Counter("hilum_refused", "Films refused, by reason.", ("code",), registry=registry),
        queue_depth=Gauge("hilum_queue_depth", "Films admitted that wait for a worker.", registry=registry),
        busy_workers=Gauge("hilum_busy_workers", "Workers at a film.", registry=registry),
    )


def count_film(metrics: Metrics, accepted: bool, reasons: Iterable[str], seconds: Mapping[str, float]) -> None:
    """Count one film that was answered, with its stages' seconds and, where it was refused, why."""
    metrics.films.labels("accepted" if accepted else "refused").inc()
    for code in () if accepted else reasons:
        metrics.refused.labels(code).inc()
    for stage, value in seconds.items():
        metrics.stages.labels(stage).observe(value)


def exposition(metrics: Metrics) -> bytes:
    """Return the registry in Prometheus's text format."""
    return generate_latest(metrics.registry)
