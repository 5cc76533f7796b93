"""The folder of an archive's results: its plan, its listing, and one Parquet file a shard, each written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.cluster.plan import Plan, plan_from_json, plan_to_json
from hilum.cluster.source import Film
from hilum.durable import DRAFT, sync_folder, write_whole
from hilum.errors import ConfigError, HashMismatch, NoSpace

if TYPE_CHECKING:
    from pyarrow import Table

PLAN, LISTING, RESULTS, SUMMARY = "archive.json", "films.parquet", "results", "summary.json"
_OURS = frozenset({"lock", PLAN, LISTING, RESULTS, SUMMARY})


class Store:
    """An open folder of results, by this process alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self) -> Plan | None:
        """Return what was begun here, if anything. Raises ConfigError where other things than a run's lie here."""
        if (self.folder / PLAN).is_file():
            return plan_from_json((self.folder / PLAN).read_bytes())
        # A run that died while it was listing leaves a lock and a listing, and has no results yet.
        if any(one.name not in _OURS or one.name == RESULTS for one in self.folder.iterdir() if one.suffix != DRAFT):
            raise ConfigError(
                "OUT holds other things than an archive's results. Expected an empty folder, or one that a run began."
            )
        return None

    def begin(self, plan: Plan, listing: bytes) -> None:
        """Keep a listing, then the plan that makes it valid."""
        self._write(LISTING, listing)
        self._write(PLAN, plan_to_json(plan))

    def films(self, plan: Plan) -> Table:
        """Return the listing. Raises HashMismatch where it is not the one that was made."""
        from pyarrow import BufferReader
        from pyarrow.parquet import read_table

        raw = (self.folder / LISTING).read_bytes()
        if hashlib.sha256(raw).hexdigest() != plan.listing_sha256:
            raise HashMismatch(
                f"{LISTING} in OUT is not the listing that was made. Put it back from a copy, or name another OUT."
            )
        return read_table(BufferReader(raw))

    def done(self) -> frozenset[int]:
        """Return the numbers of the shards whose results are here, and remove what a run left unfinished."""
        for left in self.folder.rglob(f"*{DRAFT}"):
            left.unlink(missing_ok=True)
        return frozenset(int(path.stem) for path in (self.folder / RESULTS).glob("*.parquet") if path.stem.isdigit())

    def keep(self, shard: int, table: bytes) -> None:
        """Keep a shard's rows for good, under a name that says only its number."""
        (self.folder / RESULTS).mkdir(exist_ok=True)
        self._write(f"{RESULTS}/{name_of(shard)}", table)

    def results(self) -> Iterator[Path]:
        """Yield the shards' files, in order."""
        yield from sorted((self.folder / RESULTS).glob("*.parquet"))

    def write_summary(self, summary: bytes) -> None:
        """Keep the counts of a finished run."""
        self._write(SUMMARY, summary)

    def _write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, and wait until it is on the disk. Raises NoSpace or ConfigError."""
        final = self.folder / name
        try:
            write_whole(final, data)
            sync_folder(final.parent)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace("The disk of OUT is full. Make room, and run the same command again.") from None
            raise ConfigError(
                f"OUT can't be written to: {error.strerror}. Run the same command again once it can."
            ) from None


def name_of(shard: int) -> str:
    """Return the name of a shard's file."""
    return f"{shard:07d}.parquet"


def listing_of(films: Sequence[Film]) -> bytes:
    """Return a listing as a Parquet file of ``file`` and ``bytes``."""
    import pyarrow as arrow
    from pyarrow.parquet import write_table

    columns = [
        arrow.array([film.name for film in films], arrow.string()),
        arrow.array([film.size for film in films], arrow.int64()),
    ]
    buffer = arrow.BufferOutputStream()
    write_table(arrow.table(columns, names=["file", "bytes"]), buffer)
    return bytes(buffer.getvalue())


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """Open or make a folder of results. Raises ConfigError where it can't be, or another run has it open."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Results hold the films' names.
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Of this process alone: what it forks does not hold it, and may outlive it by a second.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise ConfigError(
            f"OUT can't be used ({type(error).__name__}). Expected a folder that may be written to, and that no other run has open."
        ) from None
    try:
        yield Store(folder)
    finally:
        os.close(descriptor)
