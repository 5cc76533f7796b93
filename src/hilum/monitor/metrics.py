"""What Prometheus reads of a monitor."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hilum.monitor.live import Monitor


class _Reading(Collector):
    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        films = GaugeMetricFamily("hilum_monitor_films", "Films in the monitor's folder, by these members.")
        films.add_metric([], self._monitor.films)
        yield films
        level = GaugeMetricFamily(
            "hilum_monitor_level", "How near a statistic is to an alarm, 0-1, on a log scale.", labels=["statistic"]
        )
        for name, value in self._monitor.levels().items():
            level.add_metric([name], value)
        yield level
        alarms = CounterMetricFamily(
            "hilum_monitor_alarms", "How often a statistic was found to have moved.", labels=["statistic"]
        )
        for name in self._monitor.names:
            alarms.add_metric([name], self._monitor.alarms[name])
        yield alarms


def register(registry: CollectorRegistry, monitor: Monitor) -> None:
    """Let a registry show a monitor."""
    registry.register(_Reading(monitor))
