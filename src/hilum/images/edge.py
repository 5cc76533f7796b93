"""The edge to third-party decoders: what they raise becomes our errors, what they say goes nowhere.

Decoders raise anything on a broken file, and their messages, warnings and log records quote what stands in it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from hilum.errors import HilumError, ImageTooLarge, UnreadableImage

Result = TypeVar("Result")

# `warnings.catch_warnings` is not safe under threads: two that overlap can leave each other's filters behind. So one
# filter is shared, counted, and taken away by its pattern, whose odd comment makes it differ from anybody else's.
_PATTERN = "(?#hilum.images).*"
_lock = Lock()
_users = 0

# For good, not for the time of a call: whoever wants these records can still attach a handler to the library's logger.
for _name in ("PIL", "pydicom", "pylibjpeg", "openjpeg", "rle", "jpeg_ls"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


def at_edge(problem: str, decode: Callable[[], Result]) -> Result:
    """Return what ``decode`` returns, silently. What it raises and is not ours becomes UnreadableImage: ``problem``."""
    failure: HilumError
    try:
        with _silence():
            return decode()
    except HilumError:
        raise
    except MemoryError:
        failure = ImageTooLarge("There is not enough memory for this image. Send a smaller one.")
    except Exception:  # noqa: BLE001 see the module's first lines
        failure = UnreadableImage(problem)
    except BaseException as error:
        # The RLE decoder is written in Rust, whose panics are no Exceptions.
        if type(error).__module__ != "pyo3_runtime":
            raise
        failure = UnreadableImage(problem)
    # Outside of the handlers, so that the decoder's own message is not even chained.
    raise failure


@contextmanager
def _silence() -> Iterator[None]:
    """Ignore Python warnings while any thread is inside. What matters of them is checked on our own."""
    global _users
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
