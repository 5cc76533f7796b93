"""A monitor beside a running engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hilum.errors import ConfigError
from hilum.monitor.live import Monitor, columns, reference_of, statistics_of
from hilum.monitor.metrics import register
from hilum.monitor.statistics import members_of
from hilum.pipeline import analyze
from hilum.records import Reference, ReferenceRecord
from hilum.registry import save_reference


def reference(engine, films: int = 60) -> Reference:
    """A reference of films whose every number is drawn about the film's own."""
    names = statistics_of(engine)
    values = np.random.default_rng(1).uniform(0, 100, (films, len(names))).astype(np.float32)
    return Reference(ReferenceRecord(members_of(engine.provenance), films, films, "ab", names, "cd"), values)


def test_each_film_is_written_and_followed(film, tiny_engine, tmp_path):
    """A film adds one line and is counted; the same film again and again ends in an alarm, which metrics tell of."""
    monitor = Monitor(tmp_path / "rows", tiny_engine, reference(tiny_engine))
    analysis = analyze(film, tiny_engine)
    monitor.add(film, analysis)
    assert monitor.films == 1
    assert set(monitor.levels()) == set(statistics_of(tiny_engine))
    for _ in range(60):
        monitor.add(film, analysis)
    assert monitor.alarms["brightness"] > 0
    (path,) = (tmp_path / "rows").iterdir()
    assert len(path.read_text().splitlines()) == 62
    registry = CollectorRegistry()
    register(registry, monitor)
    page = generate_latest(registry).decode()
    assert "hilum_monitor_films 61.0" in page
    assert f'hilum_monitor_alarms_total{{statistic="brightness"}} {float(monitor.alarms["brightness"])}' in page
    assert 'hilum_monitor_level{statistic="confidence Effusion"}' in page


def test_a_restart_goes_on_where_it_was(film, tiny_engine, tmp_path):
    """A new monitor on the same folder follows what stands there first, and is then as the old one was."""
    known, analysis = reference(tiny_engine), analyze(film, tiny_engine)
    first = Monitor(tmp_path, tiny_engine, known)
    for step in range(40):
        first.add(replace(film, pixels=film.pixels * (1 - step / 100)), analysis)
    second = Monitor(tmp_path, tiny_engine, known)
    assert (second.films, second.alarms) == (first.films, first.alarms)
    assert second.levels() == pytest.approx(first.levels())


def test_the_first_films_may_be_the_reference(film, tiny_engine, tmp_path):
    """Until the baseline is full nothing is followed; then it is. Without a reference rows are written, and nothing is followed."""
    monitor, analysis = Monitor(tmp_path, tiny_engine, baseline=3), analyze(film, tiny_engine)
    for _ in range(2):
        monitor.add(film, analysis)
    assert monitor.levels() == {}
    for _ in range(2):
        monitor.add(film, analysis)
    assert monitor.levels()
    assert Monitor(tmp_path, tiny_engine).levels() == {}


def test_a_full_disk_stops_no_answer(film, tiny_engine, tmp_path, monkeypatch, caplog):
    """What can't be written is logged by its place; the film is followed all the same."""
    monitor = Monitor(tmp_path, tiny_engine, reference(tiny_engine))

    def full(values):
        raise OSError(28, "No space left on device", "/secret")

    monkeypatch.setattr(monitor._journal, "append", full)
    with caplog.at_level("ERROR", "hilum.monitor"):
        monitor.add(film, analyze(film, tiny_engine))
    assert monitor.films == 1
    assert "OSError" in caplog.text
    assert "secret" not in caplog.text


def test_a_folder_that_can_not_be_used_is_an_error(tiny_engine, tmp_path):
    """A file in its place is found at the start, not at the first film."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="monitor"):
        Monitor(tmp_path / "file", tiny_engine)


def test_a_reference_is_of_these_members_alone(tiny_engine, tmp_path):
    """The reference beside the members is found; one of other members is not used."""
    known = reference(tiny_engine)
    assert reference_of(tiny_engine, tmp_path) is None
    save_reference(tmp_path, known.record, known.values)
    found = reference_of(tiny_engine, tmp_path)
    assert np.array_equal(found.values, known.values)
    save_reference(tmp_path, replace(known.record, members={"other": "00"}), known.values)
    assert reference_of(tiny_engine, tmp_path) is None


def test_columns_are_put_in_order():
    """A column that is missing is empty."""
    found = columns(("a", "b"), np.array([[1, 2]], dtype=np.float32), ("b", "c", "a"))
    assert found[0, [0, 2]].tolist() == [2, 1]
    assert np.isnan(found[0, 1])
