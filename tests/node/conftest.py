"""A spool, its instruments, and a peer on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hilum.node.metrics import NodeMetrics, make_node_metrics
from hilum.node.spool import Spool
from hospital import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def spool(tmp_path) -> Iterator[Spool]:
    """An open spool with room for three films."""
    one = Spool(tmp_path / "spool", 3, 2**20)
    yield one
    one.close()


@pytest.fixture
def metrics(spool) -> NodeMetrics:
    return make_node_metrics(spool.journal.counts)
