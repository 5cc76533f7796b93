"""One line per event with named fields. File names, query strings, header values and messages of others stay out."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from typing import Any


def configure(level: str) -> None:
    """Send our own events to standard error; silence libraries, whose warnings may quote a film's header.

    What ends a thread or can't be raised is told by its places, as any exception is.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithoutMessages("%(asctime)s %(levelname)s %(message)s"))
    for name in ("hilum", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper() if name == "hilum" else logging.WARNING)
    # Without a handler at the root, Python prints other loggers' warnings by itself.
    logging.getLogger().handlers = [logging.NullHandler()]
    warnings.simplefilter("ignore")
    threading.excepthook = lambda ended: _tell("thread ended", ended.exc_value)
    sys.unraisablehook = lambda lost: _tell("not raised", lost.exc_value)


class _WithoutMessages(logging.Formatter):
    """Writes of an exception its places and class; a traceback ends with the message, which may quote the input."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return "" if ei[1] is None else where(ei[1])


def _tell(event: str, error: BaseException | None) -> None:
    logging.getLogger("hilum").error(line(event, {"at": error and where(error)}))


def line(event: str, fields: Mapping[str, object]) -> str:
    """Return ``event key=value …``; what is None or empty is left out, blanks in a value become underscores."""
    shown = ((name, _plain(value)) for name, value in fields.items())
    return " ".join([event, *(f"{name}={value}" for name, value in shown if value)])


def where(error: BaseException) -> str:
    """Return an exception's class and the places it came through, never its message, which may quote the input."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames]
    return ">".join([*places, type(error).__name__])


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, (list, tuple)):
        return ",".join(_plain(item) for item in value)
    return "_".join(str(value).split())
