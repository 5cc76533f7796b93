"""A spool, its instruments, and a peer on loopback."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilum.node.metrics import NodeMetrics, make_node_metrics
from hilum.node.spool import Spool
from hospital import LEFT_SOCKETS, Receiver, receiving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A socket that one test left may be collected in another that has none: here, no test fails for it."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings(LEFT_SOCKETS))


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


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """pynetdicom leaves sockets that a peer has closed to the garbage collector: let it come by in the test they are from."""
    yield
    for thread in threading.enumerate():  # they hold a socket each for as long as they run
        if type(thread).__module__.startswith("pynetdicom"):
            thread.join(5)
    gc.collect()
