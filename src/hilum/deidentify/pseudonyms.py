"""What stands in place of identifiers: keyed, so that only who holds the key can tell which belongs to which.

All of it is HMAC-SHA256 of the identifier, so the same identifier gives the same pseudonym in every file and every run
with the same key, and without the key neither the way back nor a search through all identifiers is possible.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from hilum.errors import ConfigError

KEY_BYTES = 32
_DAYS = (366, 3650)
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Pseudonyms under one key."""

    key: bytes = field(repr=False)

    def uid(self, uid: str) -> str:
        """Return a UID below 2.25, made from a UUID of version 8 (ITU-T X.667, RFC 9562)."""
        number = int.from_bytes(self._digest("uid", uid)[:16])
        number = number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
        return f"2.25.{number}"

    def patient(self, identifier: str) -> str:
        """Return 16 characters for Patient ID and Patient's Name."""
        return self._digest("patient", identifier)[:8].hex().upper()

    def offset(self, identifier: str) -> timedelta:
        """Return how far a patient's dates and times go back: 366 to 3,650 days, and part of a day."""
        digest = self._digest("dates", identifier)
        days = _DAYS[0] + int.from_bytes(digest[:8]) % (_DAYS[1] - _DAYS[0])
        return -timedelta(days=days, seconds=int.from_bytes(digest[8:16]) % _DAY)

    def _digest(self, use: str, identifier: str) -> bytes:
        return hmac.digest(self.key, f"{use}\0{identifier}".encode(), hashlib.sha256)


def new_key() -> str:
    """Return a fresh key as text."""
    return secrets.token_hex(KEY_BYTES)


def read_key(path: Path) -> bytes:
    """Return the key in a file: whatever stands in it, without white space at its ends.

    Raises ConfigError where there is none, or a short one.
    """
    try:
        key = path.read_bytes().strip()
    except OSError:
        raise ConfigError(
            "The file of the key can't be read. Make one with `hilum deidentify --new-key --key FILE`, and keep it secret."
        ) from None
    if len(key) < KEY_BYTES:
        raise ConfigError(
            f"The key has {len(key)} bytes. Expected {KEY_BYTES} or more: see `hilum deidentify --new-key`."
        )
    return key
