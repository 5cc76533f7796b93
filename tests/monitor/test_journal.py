"""Rows on disk: days, numbers, and nothing else; damage costs a line."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from hilum.errors import ConfigError
from hilum.monitor.journal import Journal, read_rows


def test_rows_come_back_in_order(tmp_path):
    """Films of several processes and months come back by day; a number that a film does not have is absent."""
    days = iter([date(2026, 11, 30), date(2026, 12, 1)])
    late = Journal(tmp_path, "w1", ("a", "b"), lambda: next(days))
    late.append({"a": 2.0})
    late.append({"a": 3.5, "b": 0.25})
    Journal(tmp_path, "w1", ("b", "a"), lambda: date(2026, 11, 29)).append({"a": 1.0, "b": 7.0})
    rows = read_rows(tmp_path)
    assert rows.days == ("2026-11-29", "2026-11-30", "2026-12-01")
    assert rows.values[:, rows.names.index("a")].tolist() == [1.0, 2.0, 3.5]
    assert np.isnan(rows.values[1, rows.names.index("b")])
    assert len(list(tmp_path.glob("*.csv"))) == 3
    assert rows.where([True, False, True]).days == ("2026-11-29", "2026-12-01")


def test_a_line_holds_a_day_and_numbers(tmp_path):
    """Nothing stands in a file but its head, a day, the members' digits, and numbers; its name is a month and random digits."""
    Journal(tmp_path, "abcdef012345", ("a",), lambda: date(2026, 11, 5)).append({"a": 0.1234})
    (path,) = tmp_path.iterdir()
    assert path.read_text() == "day,weights,a\n2026-11-05,abcdef012345,0.1234\n"
    assert path.name.startswith("2026-11-")


def test_other_members_and_damage_are_left_out(tmp_path):
    """The last film's members count; others' lines, and lines that a crash cut off, are counted and left out; notes are no rows."""
    Journal(tmp_path, "old", ("a",), lambda: date(2026, 1, 1)).append({"a": 1.0})
    Journal(tmp_path, "new", ("a", "b"), lambda: date(2026, 1, 2)).append({"a": 2.0, "b": 3.0})
    path = next(path for path in tmp_path.iterdir() if "new" in path.read_text())
    path.write_text(path.read_text() + "2026-01-02,new,4.0\n2026-01-02,new,x,1\n2026-0")
    (tmp_path / "notes.csv").write_text("when,what\n")
    rows = read_rows(tmp_path)
    assert (rows.weights, rows.days) == ("new", ("2026-01-02",))
    assert rows.other == 4
    assert read_rows(tmp_path, "old").values.tolist() == [[1.0]]
    assert read_rows(tmp_path, "none") is None


def test_a_folder_that_is_none_is_an_error(tmp_path):
    """What is not there is said; an empty folder has no films."""
    assert read_rows(tmp_path) is None
    with pytest.raises(ConfigError, match="monitor"):
        read_rows(tmp_path / "nowhere")
