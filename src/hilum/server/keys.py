"""The file of API keys: who may call, in which role, until when. It holds hashes; a key itself is shown once and kept nowhere.

A key is 256 random bits, not chosen by a person, so a plain fast hash is the right one: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import StringConstraints, TypeAdapter, ValidationError

from hilum.errors import ConfigError
from hilum.private import read_private

Role = Literal["reader", "analyst", "admin"]
"""What a key may do; each may do what those before it may."""
ROLES: tuple[Role, ...] = get_args(Role)
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Key:
    """What the file says of one key."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
    """Stands in logs and in the audit. It is part of the key, but no secret."""
    role: Role
    label: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ._-]{1,64}$")]
    """What holds the key, for whoever keeps the list."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: datetime
    expires: datetime | None = None
    """Not let in from then on."""
    revoked: datetime | None = None

    def state(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Say whether the key is let in at ``now``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The file: this record as JSON."""

    schema: int
    keys: tuple[Key, ...]


_FILE = TypeAdapter(KeyFile)


def hash_key(key: str) -> str:
    """Return the SHA-256 of ``key`` in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read the file. Raises ConfigError where it is missing, not as it should be, or open to others than its owner."""
    content = read_private(path, "key file", "hilum keys add")
    try:
        record = _FILE.validate_json(content)
    except ValidationError as error:
        places = "; ".join(".".join(map(str, fault["loc"])) or "the whole" for fault in error.errors())
        raise ConfigError(f"The key file {path} is wrong at {places}. Expected what hilum keys writes.") from None
    if record.schema != SCHEMA:
        raise ConfigError(f"The key file {path} has schema {record.schema}. This version of hilum reads {SCHEMA}.")
    return record.keys


def add_key(path: Path, role: Role, label: str, now: datetime, days: float | None = None) -> str:
    """Add a key, which expires after ``days`` where they are given, and return it: 58 characters, the only time."""
    text, key = _new_key(role, label, now, None if days is None else now + timedelta(days=days))
    _change(path, lambda keys: (*keys, key))
    return text


def rotate_key(path: Path, identifier: str, now: datetime, hours: float) -> str:
    """Add a key with the role and label of another, let that one expire after ``hours``, and return the new one.

    The new key is valid for as long as the old one was to be. Raises ConfigError where no valid key has that id.
    """
    made: list[str] = []

    def change(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        old = _find_valid(keys, identifier, now)
        lifetime = None if old.expires is None else now + (old.expires - old.created)
        text, key = _new_key(old.role, old.label, now, lifetime)
        made.append(text)
        end = min(filter(None, (now + timedelta(hours=hours), old.expires)))
        return (*(replace(one, expires=end) if one is old else one for one in keys), key)

    _change(path, change)
    return made[0]


def revoke_key(path: Path, identifier: str, now: datetime) -> None:
    """Let a key in no more, from now on. Raises ConfigError where no valid key has that id."""

    def change(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        gone = _find_valid(keys, identifier, now)
        return tuple(replace(key, revoked=now) if key is gone else key for key in keys)

    _change(path, change)


def _new_key(role: Role, label: str, now: datetime, expires: datetime | None) -> tuple[str, Key]:
    identifier = secrets.token_hex(4)
    text = f"hilum_{identifier}_{secrets.token_urlsafe(32)}"
    return text, Key(identifier, role, label, hash_key(text), _whole(now), expires and _whole(expires))


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _find_valid(keys: tuple[Key, ...], identifier: str, now: datetime) -> Key:
    for key in keys:
        if key.id == identifier and key.state(now) == "valid":
            return key
    raise ConfigError(f"There is no valid key with the id {identifier}. hilum keys list shows what there is.")


def _change(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
    """Write the file anew, whole or not at all, with nobody else's change lost: the new file is also the lock."""
    new = path.with_name(f"{path.name}.new")
    try:
        handle = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise ConfigError(f"Another hilum keys is at work, or was cut off. If none runs, remove {new}.") from None
    except OSError as error:
        raise ConfigError(f"The key file can't be written beside {path} ({type(error).__name__}).") from None
    try:
        with os.fdopen(handle, "wb") as file:
            keys = change(read_keys(path) if path.exists() else ())
            content = _FILE.dump_json(KeyFile(SCHEMA, keys), indent=2) + b"\n"
            _FILE.validate_json(content)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        new.unlink()
        if isinstance(error, ValidationError):
            raise ConfigError("A label has 1–64 letters, digits, spaces, dots, hyphens and underscores.") from None
        raise
    new.replace(path)
