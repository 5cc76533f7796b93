"""What became of each film, in SQLite: the one record that a restart goes by. A method that returns has written.

A film is ``waiting``, ``working``, ``answered`` (its results are on their way), ``done``, ``failed`` (it can't be read)
or ``dead`` (given up). A film's deliveries, one a peer, are ``waiting``, ``delivered`` or ``dead``.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

STATES = ("waiting", "working", "answered", "done", "failed", "dead")
HELD = ("waiting", "working", "answered", "dead")
"""States whose films take room in the spool."""


def steady_clock() -> Callable[[], float]:
    """Return a clock that shows seconds since 1970 as they are now, and from then on goes on evenly, whoever sets the time."""
    begun = time.time() - time.monotonic()
    return lambda: begun + time.monotonic()


_TABLES = """
CREATE TABLE IF NOT EXISTS films (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, bytes INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    received REAL NOT NULL, changed REAL NOT NULL, reason TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_state ON films (state, received);
CREATE TABLE IF NOT EXISTS deliveries (
    key TEXT NOT NULL REFERENCES films ON DELETE CASCADE, peer TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, since REAL NOT NULL, due REAL NOT NULL, PRIMARY KEY (key, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_peer ON deliveries (peer, state, due);
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Results that a peer is to get."""

    key: str
    attempts: int
    """Failed ones so far."""
    since: float
    """Seconds since 1970: when it was first due."""


class Journal:
    """The open journal. Safe to use from several threads of one process."""

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        self.clock = clock or steady_clock()
        """Seconds since 1970; what every time in the journal is by."""
        self._lock = RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # FULL: a commit is on the disk before it returns, which is what an acknowledgement promises.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close it. Nothing is lost without."""
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the journal alone; commit what was done, or nothing of it."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite has rolled back by itself where the disk is full
                    self._database.execute("ROLLBACK")
                raise

    def recover(self, peers: Iterable[str]) -> None:
        """Take up what a stop or crash interrupted, and let go of deliveries to peers that are no longer set.

        What bears a time yet to come was written under a clock that was wrong: deliveries of it are due now.
        """
        known = list(peers)
        now = self.clock()
        marks = ",".join("?" * len(known))
        with self.transaction() as database:
            database.execute("UPDATE films SET state='waiting' WHERE state='working'")
            database.execute("UPDATE films SET received=min(received, ?), changed=min(changed, ?)", (now, now))
            database.execute("UPDATE deliveries SET since=min(since, ?)", (now,))
            database.execute("UPDATE deliveries SET due=? WHERE state='waiting'", (now,))
            gone = database.execute(
                f"UPDATE deliveries SET state='dead' WHERE state='waiting' AND peer NOT IN ({marks}) RETURNING key",
                known,
            ).fetchall()
            for (key,) in gone:
                self._settle(key)

    def revive(self) -> int:
        """Let dead letters be tried again from the beginning; return how many films that are."""
        now = self.clock()
        with self.transaction() as database:
            database.execute(
                "UPDATE deliveries SET state='waiting', attempts=0, since=?, due=? WHERE state='dead'", (now, now)
            )
            answered = database.execute(
                "UPDATE films SET state='answered', changed=? WHERE state='dead' "
                "AND key IN (SELECT key FROM deliveries WHERE state='waiting')",
                (now,),
            )
            waiting = database.execute(
                "UPDATE films SET state='waiting', attempts=0, changed=? WHERE state='dead'", (now,)
            )
            return answered.rowcount + waiting.rowcount

    def state(self, key: str) -> str | None:
        """Return a film's state, None where it is not known."""
        with self._lock:
            row = self._database.execute("SELECT state FROM films WHERE key=?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def held(self) -> tuple[int, int]:
        """Return how many films take room in the spool, and how many bytes they have."""
        marks = ",".join("?" * len(HELD))
        with self._lock:
            count, size = self._database.execute(
                f"SELECT count(*), total(bytes) FROM films WHERE state IN ({marks})", HELD
            ).fetchone()
        return int(count), int(size)

    def add(self, key: str, size: int) -> None:
        """Enter a film of ``size`` bytes as waiting, also one that had failed or was given up."""
        now = self.clock()
        with self.transaction() as database:
            database.execute("DELETE FROM films WHERE key=?", (key,))
            database.execute(
                "INSERT INTO films (key, state, bytes, received, changed) VALUES (?, 'waiting', ?, ?, ?)",
                (key, size, now, now),
            )

    def claim(self) -> tuple[str, int] | None:
        """Take the film that has waited longest; return its key and how often it was begun, this time included."""
        with self.transaction() as database:
            row = database.execute(
                "UPDATE films SET state='working', attempts=attempts+1, changed=? WHERE key="
                "(SELECT key FROM films WHERE state='waiting' ORDER BY attempts, received LIMIT 1) RETURNING key, attempts",
                (self.clock(),),
            ).fetchone()
        return None if row is None else (str(row[0]), int(row[1]))

    def answer(self, key: str, peers: Iterable[str]) -> None:
        """Enter that a film's results are in the spool, and due at once at each of ``peers``."""
        now = self.clock()
        with self.transaction() as database:
            database.executemany(
                "INSERT OR IGNORE INTO deliveries (key, peer, state, since, due) VALUES (?, ?, 'waiting', ?, ?)",
                [(key, peer, now, now) for peer in peers],
            )
            self._change(key, "answered", None)

    def put_back(self, key: str) -> None:
        """Let a film that was begun wait again."""
        with self.transaction():
            self._change(key, "waiting", None)

    def end(self, key: str, state: str, reason: str) -> None:
        """Enter that a film has ``failed`` or is ``dead`` or ``done``, and why, as a code."""
        with self.transaction():
            self._change(key, state, reason)

    def due(self, peer: str, most: int) -> list[Delivery]:
        """Return deliveries that are due at a peer, those first that were due first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT key, attempts, since FROM deliveries WHERE peer=? AND state='waiting' AND due<=? ORDER BY due LIMIT ?",
                (peer, self.clock(), most),
            ).fetchall()
        return [Delivery(str(key), int(attempts), float(since)) for key, attempts, since in rows]

    def delivered(self, key: str, peer: str) -> str:
        """Enter that a peer has a film's results; return the film's state after it."""
        with self.transaction() as database:
            database.execute("UPDATE deliveries SET state='delivered' WHERE key=? AND peer=?", (key, peer))
            return self._settle(key)

    def postpone(self, key: str, peer: str, seconds: float) -> None:
        """Enter a failed delivery that is tried again after ``seconds``."""
        with self.transaction() as database:
            database.execute(
                "UPDATE deliveries SET attempts=attempts+1, due=? WHERE key=? AND peer=?",
                (self.clock() + seconds, key, peer),
            )

    def give_up(self, key: str, peer: str) -> None:
        """Make a delivery a dead letter."""
        with self.transaction() as database:
            database.execute("UPDATE deliveries SET state='dead' WHERE key=? AND peer=?", (key, peer))
            self._settle(key)

    def forget(self, before: float) -> list[str]:
        """Delete films that were done, failed or dead before a time (seconds since 1970); return the dead ones' keys."""
        with self.transaction() as database:
            rows = database.execute(
                "DELETE FROM films WHERE state IN ('done', 'failed', 'dead') AND changed<? RETURNING key, state",
                (before,),
            ).fetchall()
        return [str(key) for key, state in rows if state == "dead"]

    def counts(self) -> Mapping[str, int]:
        """Return how many films are in each state."""
        with self._lock:
            rows = self._database.execute("SELECT state, count(*) FROM films GROUP BY state").fetchall()
        return dict.fromkeys(STATES, 0) | {str(state): int(count) for state, count in rows}

    def keys(self, *states: str) -> set[str]:
        """Return the keys of all films in these states."""
        with self._lock:
            rows = self._database.execute(
                f"SELECT key FROM films WHERE state IN ({','.join('?' * len(states))})", states
            ).fetchall()
        return {str(key) for (key,) in rows}

    def _settle(self, key: str) -> str:
        """A film is answered while a delivery waits, then dead if one is dead, else done."""
        states = {
            state for (state,) in self._database.execute("SELECT state FROM deliveries WHERE key=?", (key,)).fetchall()
        }
        state = "answered" if "waiting" in states else "dead" if "dead" in states else "done"
        self._change(key, state, None)
        return state

    def _change(self, key: str, state: str, reason: str | None) -> None:
        self._database.execute(
            "UPDATE films SET state=?, reason=?, changed=? WHERE key=?", (state, reason, self.clock(), key)
        )
