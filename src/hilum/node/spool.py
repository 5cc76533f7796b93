"""Films and results on disk beside their journal: nothing is acknowledged before it would outlive a power cut."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Literal

from hilum.durable import sync_folder
from hilum.errors import ConfigError
from hilum.node.journal import HELD, Journal

Outcome = Literal["new", "duplicate", "full"]


def film_key(instance: str, bundles: Iterable[str]) -> str:
    """Return the name of one film read by certain weights: 32 hex digits, of which nobody can tell the film.

    ``instance``: SOP Instance UID; ``bundles``: the hashes of the manifests.
    """
    return hashlib.sha256("\0".join([instance, *sorted(bundles)]).encode()).hexdigest()[:32]


class Spool:
    """An open spool, by this process alone. Safe to use from several threads."""

    def __init__(self, folder: Path, films: int, size: int) -> None:
        """Open or make it. Raises ConfigError where it can't be, or another node has it open."""
        self._most = films, size
        self._films, self._results = folder / "films", folder / "results"
        try:
            for one in (folder, self._films, self._results):
                one.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owned = _own(folder / "lock")
        except OSError as error:
            raise ConfigError(
                f"The spool {folder} can't be used ({type(error).__name__}). Expected a folder that may be written to, and "
                "that no other node has open."
            ) from None
        try:
            self.journal = Journal(folder / "journal.sqlite")
        except sqlite3.Error as error:
            os.close(self._owned)
            raise ConfigError(
                f"The journal of the spool {folder} can't be opened ({type(error).__name__}). Expected a file that may be "
                "written to, on a disk with room, and that nothing has damaged: put back a copy, or move the spool away and "
                "have its films sent again."
            ) from None
        self._lock = Lock()

    def close(self) -> None:
        """Close journal and lock."""
        self.journal.close()
        os.close(self._owned)

    def recover(self, peers: Iterable[str]) -> None:
        """Take up what was interrupted, and remove files that no film needs: those were never acknowledged."""
        self.journal.recover(peers)
        held = self.journal.keys(*HELD)
        for file in (*self._films.iterdir(), *self._results.iterdir()):
            if file.suffix != ".dcm" or file.name.partition(".")[0] not in held:
                file.unlink(missing_ok=True)

    def accept(self, key: str, data: bytes) -> Outcome:
        """Keep a film unless it is known or there is no room. Once this returns ``new``, it will be analyzed.

        Raises OSError or sqlite3.Error where the disk can't take it.
        """
        if self._is_known(key):
            return "duplicate"
        if self._is_full(len(data)):
            return "full"
        draft = self._films / f"{key}.{uuid.uuid4().hex}.part"
        try:
            _write(draft, data)
            with self._lock:
                # Again: another caller may have sent the same film meanwhile.
                if self._is_known(key):
                    return "duplicate"
                if self._is_full(len(data)):
                    return "full"
                draft.rename(self._film(key))
                sync_folder(self._films)
                try:
                    self.journal.add(key, len(data))
                except sqlite3.Error:
                    # It is not acknowledged, so it must not take the room either that there is too little of.
                    if self.journal.state(key) is None:
                        self._film(key).unlink(missing_ok=True)
                    raise
        finally:
            draft.unlink(missing_ok=True)
        return "new"

    def film(self, key: str) -> bytes:
        """Return a film's bytes."""
        return self._film(key).read_bytes()

    def keep_results(self, key: str, results: Sequence[bytes], peers: Iterable[str]) -> None:
        """Keep a film's results and enter that they are due at each of ``peers``."""
        for number, data in enumerate(results):
            final = self._results / f"{key}.{number}.dcm"
            draft = final.with_suffix(".part")
            _write(draft, data)
            draft.rename(final)
        sync_folder(self._results)
        self.journal.answer(key, peers)

    def results(self, key: str) -> list[bytes]:
        """Return a film's results, in order."""
        return [path.read_bytes() for path in sorted(self._results.glob(f"{key}.*.dcm"))]

    def remove(self, key: str) -> None:
        """Remove a film and its results from the disk."""
        for path in (self._film(key), *self._results.glob(f"{key}.*")):
            path.unlink(missing_ok=True)

    def _film(self, key: str) -> Path:
        return self._films / f"{key}.dcm"

    def _is_known(self, key: str) -> bool:
        """Whether there is nothing to do for a film. One that failed or was given up is tried again when sent again."""
        return self.journal.state(key) not in (None, "failed", "dead")

    def _is_full(self, size: int) -> bool:
        films, held = self.journal.held()
        return films >= self._most[0] or held + size > self._most[1]


def _own(path: Path) -> int:
    """Return the descriptor of a lock that this process alone holds, until it ends or closes it. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, and wait until it is on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
