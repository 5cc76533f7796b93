"""Who calls, and what they may: the key in a request's headers, the keys that are let in, the role that a route needs."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from starlette.datastructures import Headers

from hilum.errors import ConfigError
from hilum.logs import line
from hilum.server.keys import ROLES, Key, Role, hash_key, read_keys

LOG = logging.getLogger("hilum.server")

OPEN_PATHS = ("/healthz", "/readyz", "/")
"""Answered without a key, as is everything below /static/: the page must load before it can ask for the key."""
NEEDED: Mapping[str, Role] = {
    "/api/v1/models": "reader",
    "/api/docs": "reader",
    "/openapi.json": "reader",
    "/metrics": "reader",
    "/api/ml-analyze": "analyst",
    "/api/v1/analyze": "analyst",
    "/api/v1/audit": "admin",
}
"""Path → the least role that it takes. What does not stand here, an address that does not exist too, takes an admin."""


class Keyring:
    """The keys of a file, read again when the file has changed, so that a revoked key is out at once."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Read the file. Raises ConfigError where it can't be used."""
        self._path = path
        self._clock = clock
        self._seen = self._stamp()
        self._keys = read_keys(path)

    def find(self, key: str) -> Key | None:
        """Return what is known of ``key``, None where it is not let in; every wrong key takes the same time."""
        self._refresh()
        digest, now = hash_key(key), self._clock()
        found = [known for known in self._keys if hmac.compare_digest(digest, known.sha256)]
        return next((known for known in found if known.state(now) == "valid"), None)

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._keys = read_keys(self._path)
        except ConfigError as error:
            # Who may come in is not known any more, so nobody does until the file is right again.
            self._keys = ()
            LOG.error(line("key file", {"problem": error.code}))
        else:
            LOG.info(line("key file", {"keys": len(self._keys)}))

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode


def given_key(headers: Headers) -> str | None:
    """Return the key of ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``; None where there is neither."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return headers.get("x-api-key")


def needed_role(path: str) -> Role | None:
    """Return the least role that may ask for ``path``; None where anybody may."""
    if path in OPEN_PATHS or path.startswith("/static/"):
        return None
    return NEEDED.get(path, "admin")


def may(role: Role, needed: Role) -> bool:
    """Whether ``role`` may do what ``needed`` may."""
    return ROLES.index(role) >= ROLES.index(needed)
