"""Silence around third-party decoders, whose warnings quote what stands in a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

# `warnings.catch_warnings` is not safe under threads: two that overlap can leave each other's filters behind. So one
# filter is shared, counted, and taken away by name; its odd comment makes it differ from anybody else's.
_PATTERN = "(?#hilum.images).*"
_lock = Lock()
_users = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore Python warnings while any thread is inside.

    What a warning could say of importance is checked on our own and told in a radiograph's notes or as an error.
    """
    global _users  # noqa: PLW0603
    with _lock:
        _users += 1
        warnings.filterwarnings("ignore", message=_PATTERN)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _remove_filter()


def _remove_filter() -> None:
    filters = warnings.filters
    for item in [item for item in filters if getattr(item[1], "pattern", None) == _PATTERN]:
        filters.remove(item)  # type: ignore[attr-defined]
