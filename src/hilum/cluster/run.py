"""A run over an archive: every shard that has no results yet is read once, and each is kept as soon as it is whole.

Who reads is an ``Execute``: processes here, or workers of a Dask cluster. If a process dies, what it was reading is read again,
film by film. A film over which one dies again is read once more when nothing else is, so that no other can be to blame; if one dies
then, the film is given up.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from hilum.cluster.plan import Plan
from hilum.cluster.shard import Part, failed_rows
from hilum.cluster.source import Film
from hilum.cluster.store import Store
from hilum.errors import UnreadableImage
from hilum.logs import line
from hilum.report import to_parquet

if TYPE_CHECKING:
    from pyarrow import Table

LOG = logging.getLogger("hilum.cluster")

Take = Callable[[], Part | None]
"""The next part, or None where there is none just now."""
Execute = Callable[[Take], Iterator[tuple[Part, bytes | None]]]
"""Reads parts and yields each with its rows as Parquet, in any order, or with None where the process that read it died.

It takes as many as it has room for, again after each that it yields, and ends when it gets none and none is under way.
"""
Progress = Callable[[int], object]
"""Called with a number of films as soon as their results are on the disk."""


def run(plan: Plan, store: Store, execute: Execute, stop: Event, progress: Progress) -> bool:
    """Read what has no results yet; return whether all is done. After ``stop`` nothing more is begun.

    Raises what keeps all films from being read; what was kept stays, and the same run goes on from there.
    """
    work = _Work(plan, store, stop)
    begun, kept = monotonic(), 0
    for part, table in execute(work.take):
        films = work.give(part, table)
        if films:
            kept += films
            progress(films)
            seconds = (monotonic() - begun) / kept * (work.left - kept)
            LOG.info(
                line("shard", {"number": f"{part.shard}", "films": films, "of": plan.films, "seconds_left": seconds})
            )
    return kept == work.left


class _Work:
    """What is left to do, and the pieces of shards that had to be cut."""

    def __init__(self, plan: Plan, store: Store, stop: Event) -> None:
        self._plan, self._store, self._stop = plan, store, stop
        done = store.done()
        self._films = store.films(plan)
        self._shards = iter([shard for shard in range(plan.shards) if shard not in done])
        self.left = sum(plan.size(shard) for shard in range(plan.shards) if shard not in done)
        self._again: deque[Part] = deque()
        self._suspects: deque[Part] = deque()
        self._alone: Part | None = None
        self._under_way = 0
        self._pieces: dict[int, dict[int, bytes]] = {}

    def take(self) -> Part | None:
        """Return the next part; a suspect only when nothing else is under way."""
        part = None if self._stop.is_set() or self._alone is not None else self._next()
        self._under_way += part is not None
        return part

    def _next(self) -> Part | None:
        if self._again:
            return self._again.popleft()
        if (shard := next(self._shards, None)) is not None:
            return Part(shard, 0, films_of(self._films, self._plan, shard))
        if self._suspects and not self._under_way:
            self._alone = self._suspects.popleft()
        return self._alone

    def give(self, part: Part, table: bytes | None) -> int:
        """Take a part's rows; return how many films were kept by it: a shard's, once it is whole."""
        self._under_way -= 1
        alone, self._alone = self._alone is part, None
        if table is None and len(part.films) > 1:
            LOG.warning(line("process died", {"shard": f"{part.shard}"}))
            self._again.extend(part.split())
            return 0
        if table is None and not alone:
            self._suspects.append(part)
            return 0
        if table is None:
            LOG.error(line("film given up", {"shard": f"{part.shard}", "place": f"{part.first}"}))
            table = to_parquet(failed_rows(part.films[0], UnreadableImage.code))
        size = self._plan.size(part.shard)
        if len(part.films) < size:
            pieces = self._pieces.setdefault(part.shard, {})
            pieces[part.first] = table
            if len(pieces) < size:
                return 0
            table = join([pieces[first] for first in sorted(self._pieces.pop(part.shard))])
        self._store.keep(part.shard, table)
        return size


def films_of(listing: Table, plan: Plan, shard: int) -> tuple[Film, ...]:
    """Return a shard's films."""
    rows = listing.slice(shard * plan.shard_films, plan.size(shard))
    return tuple(Film(name.as_py(), size.as_py()) for name, size in zip(rows["file"], rows["bytes"], strict=True))


def join(tables: list[bytes]) -> bytes:
    """Return the rows of several Parquet files as one."""
    from pyarrow import BufferOutputStream, BufferReader, concat_tables
    from pyarrow.parquet import read_table, write_table

    buffer = BufferOutputStream()
    write_table(concat_tables([read_table(BufferReader(table)) for table in tables]), buffer)
    return bytes(buffer.getvalue())
