"""What leaving a source out of the training is held against: its own films, and enough of them."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hilum.datasets.table import Row, Table
from hilum.training.judged import Judged

BENCH = Path(__file__).parents[2] / "bench"
UNKNOWN = float("nan")


@pytest.fixture
def left_out(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("left_out")


def films(source: str, count: int) -> Table:
    return Table(Path(), tuple(Row(Path(f"{source}-{n}"), f"{source}-{n}", source) for n in range(count)))


def test_only_sources_with_films_enough_are_left_out(left_out):
    table = Table(Path(), films("large", 100).rows + films("small", 99).rows)
    assert left_out.chosen_sources(table, ("small", "large", "none")) == ["large"]


def test_a_finding_needs_films_of_both_classes(left_out):
    labels = np.full((40, 3), UNKNOWN)
    labels[:20, 0] = labels[:9, 1] = labels[:20, 2] = 1
    labels[20:, 0] = labels[9:, 1] = labels[31:, 2] = 0
    assert left_out.judgeable(labels) == [0]


def test_both_networks_are_judged_on_the_same_films_of_that_source(left_out, monkeypatch):
    own, other = films("own", 40), films("other", 60)
    labels = np.repeat([[1.0], [0.0]], 20, axis=0)
    judged = []

    def judge_table(config, network, table):
        judged.append((network, {row.source for row in table.rows}))
        order = labels if network == "with" else np.zeros_like(labels)
        return Judged(order, labels, (), tuple(row.patient for row in table.rows))

    monkeypatch.setattr(left_out, "judge_table", judge_table)
    everything = Table(Path(), own.rows + other.rows)
    line = left_out.row("own", SimpleNamespace(), everything, "with", "without", 1234)
    assert judged == [("with", {"own"}), ("without", {"own"})]
    assert line == (
        "| `own` | 1,234 | 40 | 1 | 1.000 (1.000–1.000) | 0.500 (0.500–0.500) | -0.500 (-0.500 to -0.500) |"
    )
