"""API keys: 256 random bits, of which the settings know only the SHA-256.

A key is random, not chosen by a person, so a plain fast hash is the right one: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from starlette.datastructures import Headers


def new_key() -> str:
    """Return a new key: 43 characters, URL-safe base64 of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """Return the SHA-256 of ``key`` in hex, as ``api_key_hashes`` holds it."""
    return hashlib.sha256(key.encode()).hexdigest()


def given_key(headers: Headers) -> str | None:
    """Return the key of ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``; None where there is neither."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return headers.get("x-api-key")


def is_known(key: str, hashes: Iterable[str]) -> bool:
    """Whether ``key`` is one of those whose hashes are given; every wrong key takes the same time."""
    digest = hash_key(key)
    return any(hmac.compare_digest(digest, known) for known in hashes)
