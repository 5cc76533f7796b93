"""Who saw what: one row a request, chained by keyed hashes, so that a row changed, removed or moved is found.

A row's ``mac`` is an HMAC-SHA256 over the row before's and the row's own fields; without the key none can be made. The
table ``head`` says how many rows there are and what the last one's is, sealed by the same key, so that a removed end is
found too. Against a file that was put back as it was earlier only an anchor helps: the head, written down elsewhere.

Study, instance and film stand in it as HMACs under another key made of the same secret: who holds it can ask who saw a
given study, and nobody can read from the file whose films there were.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal

from hilum.errors import AuditFailed, ConfigError
from hilum.private import read_private

SECRET_BYTES = 32
BUSY_SECONDS = 10.0
"""How long a writer waits for the others."""
Subject = Literal["study", "instance", "film"]

_TABLES = """
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY, time TEXT NOT NULL, key TEXT NOT NULL, role TEXT NOT NULL, action TEXT NOT NULL,
    outcome TEXT NOT NULL, status INTEGER NOT NULL, request TEXT NOT NULL, study TEXT, instance TEXT, film TEXT,
    mac TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS head (
    one INTEGER PRIMARY KEY CHECK (one = 1), rows INTEGER NOT NULL, mac TEXT NOT NULL, seal TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, 'rows are never changed'); END;
CREATE TRIGGER IF NOT EXISTS no_removal BEFORE DELETE ON rows BEGIN SELECT RAISE(ABORT, 'rows are never removed'); END;
CREATE TRIGGER IF NOT EXISTS one_by_one BEFORE UPDATE ON head WHEN NEW.rows <> OLD.rows + 1
    BEGIN SELECT RAISE(ABORT, 'one row at a time'); END;
CREATE TRIGGER IF NOT EXISTS no_beheading BEFORE DELETE ON head BEGIN SELECT RAISE(ABORT, 'the head stays'); END;
"""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. No patient data: who and whose are a key's id and HMACs."""

    key: str
    """The API key's id; ``none`` where no key is asked for."""
    role: str
    action: str
    """The route."""
    outcome: str
    """``accepted`` or ``refused`` by the gate, a problem's code, or ``answered``."""
    status: int
    request: str
    """The request id, as in the log."""
    study: str | None = None
    instance: str | None = None
    film: str | None = None
    """Of the file's SHA-256: also for films that are not DICOM."""


@dataclass(frozen=True, slots=True)
class Row:
    """An event where it stands in the file."""

    number: int
    """From 1."""
    time: str
    """UTC, ISO 8601."""
    event: Event
    mac: str

    def as_dict(self) -> dict[str, object]:
        """Return the row as flat JSON."""
        return {"number": self.number, "time": self.time, **asdict(self.event), "mac": self.mac}


@dataclass(frozen=True, slots=True)
class Anchor:
    """How many rows there were at some time, and the last one's mac: kept elsewhere, it shows what was put back."""

    rows: int
    mac: str

    def __str__(self) -> str:
        return f"{self.rows}:{self.mac}"


class Audit:
    """The file, as writers see it. Several threads and processes may write at the same time; a method that returns has written."""

    def __init__(self, path: Path, secret: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open the file, and make it where there is none. Raises AuditFailed where it can't be written."""
        self._path = path
        self._secret = secret
        self._clock = clock
        with _opened(path, "rwc") as database:
            database.executescript(_TABLES)
            database.execute("BEGIN IMMEDIATE")
            if _head(database) is None:
                first = Anchor(0, chain(secret, "", ("first",)))
                database.execute("INSERT INTO head VALUES (1, ?, ?, ?)", (*astuple(first), seal(secret, first)))
            database.execute("COMMIT")

    def append(self, event: Event) -> Anchor:
        """Write one row, on the disk when this returns. Raises AuditFailed: then it is not there."""
        with _opened(self._path) as database:
            database.execute("BEGIN IMMEDIATE")
            last = _head(database)
            if last is None:
                raise AuditFailed(f"The audit {self._path} has no head. Check it: hilum audit verify.")
            number, time = last.rows + 1, self._clock().astimezone(UTC).isoformat(timespec="milliseconds")
            head = Anchor(number, chain(self._secret, last.mac, (number, time, *astuple(event))))
            values = (number, time, *astuple(event), head.mac)
            database.execute(f"INSERT INTO rows VALUES ({','.join('?' * len(values))})", values)
            database.execute("UPDATE head SET rows=?, mac=?, seal=?", (*astuple(head), seal(self._secret, head)))
            database.execute("COMMIT")
        return head

    def anchor(self) -> Anchor:
        """Return the head as it is now. Raises AuditFailed where there is none."""
        with _opened(self._path) as database:
            head = _head(database)
        if head is None:
            raise AuditFailed(f"The audit {self._path} has no head. Check it: hilum audit verify.")
        return head

    def name(self, subject: Subject, identifier: str) -> str:
        """Return what stands in the file for a study's or instance's UID, or for a film's SHA-256."""
        return pseudonym(self._secret, subject, identifier)


def read_secret(path: Path) -> bytes:
    """Return the secret of an audit. Raises ConfigError where it is missing, short or open to others."""
    secret = read_private(path, "audit key", "hilum audit new-key").strip()
    if len(secret) < SECRET_BYTES:
        raise ConfigError(
            f"The audit key has {len(secret)} bytes. Expected {SECRET_BYTES} or more: hilum audit new-key."
        )
    return secret


def read_rows(path: Path, last: int | None = None, **wanted: str) -> list[Row]:
    """Return rows, oldest first: the ``last`` so many of those whose fields are as ``wanted``. Raises AuditFailed."""
    known = {field.name for field in fields(Event)}
    where = " AND ".join(f"{name}=?" for name in wanted if name in known) or "1"
    with _opened(path) as database:
        found = database.execute(
            f"SELECT * FROM rows WHERE {where} ORDER BY number DESC LIMIT ?",
            (*wanted.values(), -1 if last is None else last),
        ).fetchall()
    return [_row(values) for values in reversed(found)]


def verify(path: Path, secret: bytes, anchors: Iterable[Anchor] = ()) -> tuple[Anchor, tuple[str, ...]]:
    """Return where the file ends, and each thing that is wrong with it, in words. Raises AuditFailed for no audit at all."""
    faults: list[str] = []
    left = {anchor.rows: anchor for anchor in anchors}
    last = Anchor(0, chain(secret, "", ("first",)))
    with _opened(path) as database:
        for values in database.execute("SELECT * FROM rows ORDER BY number"):
            row = _row(values)
            if row.number != last.rows + 1:
                faults.append(f"between row {last.rows} and row {row.number} something was removed")
            if not hmac.compare_digest(row.mac, chain(secret, last.mac, (row.number, row.time, *astuple(row.event)))):
                faults.append(f"row {row.number} was changed or moved, or the row before it was")
            last = Anchor(row.number, row.mac)
            anchor = left.pop(row.number, None)
            if anchor is not None and anchor != last:
                faults.append(f"row {row.number} is not the one that the anchor names")
        head, sealed = _head(database), database.execute("SELECT seal FROM head").fetchone()
    if head is None or not hmac.compare_digest(sealed[0], seal(secret, head)):
        faults.append("the head is missing or was changed, or this is not the file's key")
    elif head != last:
        faults.append(f"the file ends with row {last.rows}, and its head names row {head.rows}: the end was removed")
    faults += [
        f"the file ends with row {last.rows}, before the anchor's row {rows}" for rows in left if rows > last.rows
    ]
    faults += [f"row {rows}, which an anchor names, is missing" for rows in left if 0 < rows <= last.rows]
    return last, tuple(faults)


def chain(secret: bytes, before: str, values: tuple[object, ...]) -> str:
    """Return the mac of a row's values behind the mac of the row before."""
    return _hmac(secret, "chain", f"{before}\n{json.dumps(values, ensure_ascii=False)}")


def seal(secret: bytes, head: Anchor) -> str:
    """Return what shows that a head was written by who holds the key."""
    return _hmac(secret, "head", str(head))


def pseudonym(secret: bytes, subject: Subject, identifier: str) -> str:
    """Return an identifier's HMAC, which says nothing without the key."""
    return _hmac(secret, subject, identifier)


def _hmac(secret: bytes, use: str, text: str) -> str:
    return hmac.digest(_key(secret, use), text.encode(), hashlib.sha256).hex()


@cache
def _key(secret: bytes, use: str) -> bytes:
    """Return the key of one use: each has its own, so that no pseudonym can stand for a mac."""
    return hmac.digest(secret, f"hilum audit {use}".encode(), hashlib.sha256)


def _head(database: sqlite3.Connection) -> Anchor | None:
    found = database.execute("SELECT rows, mac FROM head").fetchone()
    return None if found is None else Anchor(int(found[0]), str(found[1]))


def _row(values: tuple[object, ...]) -> Row:
    number, time, *event, mac = values
    return Row(int(str(number)), str(time), Event(*event), str(mac))  # type: ignore[arg-type]  # as the table's STRICT says


@contextmanager
def _opened(path: Path, mode: Literal["rw", "rwc"] = "rw") -> Iterator[sqlite3.Connection]:
    """Open the file for one use; whatever SQLite says against it is an AuditFailed. What is not committed is taken back."""
    try:
        address = f"{path.resolve().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, BUSY_SECONDS, uri=True, isolation_level=None)) as database:
            # FULL: a commit is on the disk before it returns, which is what a row promises.
            database.execute("PRAGMA synchronous=FULL")
            yield database
    except sqlite3.Error as error:
        why = getattr(error, "sqlite_errorname", type(error).__name__)
        raise AuditFailed(
            f"The audit {path} can't be used ({why}). Expected a file that hilum serve writes, on a disk with room."
        ) from None
