"""A monitor beside a running engine: each film's row is written down, and followed at once."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from hilum.errors import ConfigError
from hilum.findings import OUTPUTS
from hilum.logs import line, where
from hilum.monitor.detector import Detector
from hilum.monitor.journal import Journal, read_rows
from hilum.monitor.statistics import measure, members_of, names_of, weights_of
from hilum.pipeline import Engine
from hilum.records import Analysis, Array, Radiograph, Reference
from hilum.registry import load_reference, shipped_folder

LOG = logging.getLogger("hilum.monitor")


class Monitor:
    """Safe to use from several threads."""

    def __init__(self, folder: Path, engine: Engine, reference: Reference | None = None, baseline: int = 0) -> None:
        """Follow the films that ``folder`` holds already, and then those that are added.

        ``baseline``: so many first films of the folder are the reference in place of ``reference``. Without either, rows are
        written and nothing is followed. Raises ConfigError where the folder can't be written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The folder of the monitor can't be made ({type(error).__name__}).") from None
        if not os.access(folder, os.W_OK):
            raise ConfigError("The folder of the monitor can't be written to. Expected one that is this program's.")
        weights = weights_of(members_of(engine.provenance))
        self.names = statistics_of(engine)
        self.films = 0
        self.alarms: Counter[str] = Counter()
        self._journal = Journal(folder, weights, self.names)
        self._lock = Lock()
        self._baseline, self._waiting = baseline, np.empty((0, len(self.names)), dtype=np.float32)
        self._detector = None
        if reference is not None and not baseline:
            self._detector = Detector(self.names, columns(reference.record.statistics, reference.values, self.names))
        rows = read_rows(folder, weights)
        if rows is not None:
            self._follow(columns(rows.names, rows.values, self.names))

    def add(self, image: Radiograph, analysis: Analysis) -> None:
        """Write and follow one film. A disk that is full is logged, and stops no answer."""
        values = measure(image, analysis)
        with self._lock:
            try:
                self._journal.append(values)
            except OSError as error:
                LOG.error(line("monitor", {"at": where(error)}))
            row = [[values.get(name, np.nan) for name in self.names]]
            for name in self._follow(np.array(row, dtype=np.float32)):
                LOG.warning(line("moved", {"statistic": name, "films": str(self.films)}))

    def levels(self) -> dict[str, float]:
        """Return how near each statistic is to an alarm, 0–1; none where nothing is followed yet."""
        with self._lock:
            if self._detector is None:
                return {}
            return dict(zip(self.names, self._detector.levels.tolist(), strict=True))

    def _follow(self, values: Array) -> list[str]:
        """Follow films, once the baseline is full; return the statistics that gave an alarm."""
        self.films += len(values)
        if self._detector is None:
            if not self._baseline:
                return []
            self._waiting = np.concatenate([self._waiting, values])
            if len(self._waiting) < self._baseline:
                return []
            self._detector = Detector(self.names, self._waiting[: self._baseline])
            values = self._waiting[self._baseline :]
        _, alarms = self._detector.follow(values)
        moved = [alarm.statistic for alarm in alarms]
        self.alarms.update(moved)
        return moved


def statistics_of(engine: Engine) -> tuple[str, ...]:
    """Return the names of the statistics that an engine's films have."""
    assessed = {name for member in engine.members if member.manifest.in_ensemble for name in member.manifest.assessed}
    return names_of(name for name in OUTPUTS if name in assessed)


def columns(names: Sequence[str], values: Array, wanted: Sequence[str]) -> Array:
    """Return a table's columns in another order; NaN for one that it lacks."""
    places = {name: index for index, name in enumerate(names)}
    empty = np.full(len(values), np.nan, dtype=np.float32)
    return np.stack([values[:, places[name]] if name in places else empty for name in wanted], axis=1)


def reference_of(engine: Engine, models: Path | None) -> Reference | None:
    """Return the reference that was measured with exactly these members: of the models folder, or the one that ships."""
    members = members_of(engine.provenance)
    for folder in (*((models,) if models else ()), shipped_folder()):
        reference = load_reference(folder)
        if reference is not None and dict(reference.record.members) == members:
            return reference
    return None
