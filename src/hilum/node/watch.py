"""A folder as an inbox: each film that has settled is read once, whatever it is called and however often the watch restarts."""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

from hilum.durable import write_whole
from hilum.errors import Busy
from hilum.logs import line, where

LOG = logging.getLogger("hilum.node")
MARK = ".hilum."
"""In the name of every file that a watch writes, and so of none that it reads."""
RECORD = "json"
"""The suffix of the file that is written last: where it is, the film is done."""

Read = Callable[[Path, bytes], Mapping[str, bytes]]
"""A film's path and bytes to the files to write, by suffix, ``RECORD`` among them, also for a film that can't be read."""
Stamp = tuple[int, int]
"""Size and time of change of a file."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched, and how."""

    folder: Path
    out: Path | None
    """Where results go; None: beside each film."""
    settle_seconds: float
    """How long a file must not have changed."""
    poll_seconds: float
    suffixes: frozenset[str]
    """Of films, in lower case."""
    max_bytes: int
    """No more than one byte beyond this is read of a film."""


def run_watch(watch: Watch, read: Read, stop: Event) -> None:
    """Look into the folder again and again until ``stop`` is set; the film that is begun is finished."""
    settling: dict[Path, tuple[Stamp, float]] = {}
    done: dict[Path, Stamp] = {}
    while not stop.is_set():
        now = monotonic()
        found = dict(_films(watch))
        settling = {path: one for path, one in settling.items() if path in found}
        for path, stamp in found.items():
            known, since = settling.setdefault(path, (stamp, now))
            if known != stamp:
                settling[path] = (stamp, now)
            elif done.get(path) != stamp and now - since >= watch.settle_seconds:
                if not _take(path, watch, read):
                    break  # the others would fare no better
                done[path] = stamp
                if stop.is_set():
                    return
        stop.wait(watch.poll_seconds)


def _films(watch: Watch) -> Iterator[tuple[Path, Stamp]]:
    """Yield the regular files that may be films, hidden ones and results left out, in order."""
    for path in sorted(watch.folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(watch.folder).parts)
        if hidden or MARK in path.name or path.suffix.lower() not in watch.suffixes:
            continue
        try:
            state = path.stat()
        except OSError:
            continue  # it has just gone
        if stat.S_ISREG(state.st_mode):
            yield path, (state.st_size, state.st_mtime_ns)


def _take(path: Path, watch: Watch, read: Read) -> bool:
    """Read one film unless its results are there; what goes wrong is logged, and the watch goes on.

    Return whether to leave it at that: false where there is no room for it just now, in memory or on the disk.
    """
    name = "unread"
    try:
        with path.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()[:16]
            folder = watch.out or path.parent
            if (folder / f"{name}{MARK}{RECORD}").exists():
                return True
            file.seek(0)
            data = file.read(watch.max_bytes + 1)
        files = dict(read(path, data))
    except Busy:
        LOG.warning(line("busy", {"film": name}))
        return False
    except Exception as error:  # noqa: BLE001 - the edge: one film must not end the watch; the log gets the cause
        LOG.error(line("failed", {"film": name, "at": where(error)}))
        return True
    try:
        record = files.pop(RECORD)
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, content in [*files.items(), (RECORD, record)]:
            write_whole(folder / f"{name}{MARK}{suffix}", content)
    except OSError as error:
        LOG.error(line("unwritten", {"film": name, "at": where(error)}))
        return False
    LOG.info(line("watched", {"film": name, "files": [*files, RECORD]}))
    return True
