"""Logging as it was: what the service's own configuration changes, put back."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def logging_undone() -> Iterator[None]:
    """Undo what happens to logging inside: handlers, levels, and the hooks that log what nobody caught."""
    loggers = [logging.getLogger(name) for name in (None, "hilum", "uvicorn")]
    before = [(logger.handlers, list(logger.handlers), logger.propagate, logger.level) for logger in loggers]
    hooks = threading.excepthook, sys.unraisablehook
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = hooks
        for logger, (handlers, content, propagate, level) in zip(loggers, before, strict=True):
            handlers[:] = content
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
