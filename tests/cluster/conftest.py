"""A folder of films with one that is broken, and what a run over it needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.cluster.plan import SCHEMA, Plan, basis_of
from hilum.cluster.source import Source, find_source, list_films
from hilum.cluster.store import Store, listing_of
from hilum.pipeline import Engine

SUFFIXES = frozenset({"", ".png", ".dcm"})


@pytest.fixture
def films(tmp_path, film_png) -> Path:
    """Seven good films and a broken one, in two folders."""
    folder = tmp_path / "films"
    for number in range(8):
        path = folder / f"{number % 2}" / f"film-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film_png if number != 4 else b"\x89PNG\r\n\x1a\n broken")
    return folder


@pytest.fixture
def source(films) -> Source:
    return find_source(str(films))


Begin = Callable[[int], Plan]


@pytest.fixture
def begin(tmp_path, source, tiny_engine: Engine) -> tuple[Store, Begin]:
    """A store, and a function that begins a plan in it with shards of so many films."""
    folder = tmp_path / "out"
    folder.mkdir()
    store = Store(folder)

    def make(shard_films: int) -> Plan:
        listing = listing_of(list_films(source, SUFFIXES))
        plan = Plan(SCHEMA, basis_of(tiny_engine, source.url), 8, shard_films, hashlib.sha256(listing).hexdigest())
        store.begin(plan, listing)
        return plan

    return store, make
