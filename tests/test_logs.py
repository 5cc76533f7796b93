"""Log lines are plain, and libraries' own warnings never reach the log."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hilum import logs


def test_a_line_names_its_fields():
    """Values keep no blanks, and what is empty is left out."""
    fields = {"id": "ab", "ms": 1.26, "reasons": ("a", "b"), "none": None, "empty": (), "text": "two words\nand a line"}
    assert logs.line("request", fields) == "request id=ab ms=1.3 reasons=a,b text=two_words_and_a_line"


def test_where_tells_place_and_class_only():
    """An exception's text may quote a film's header, so only its class and its way are told."""
    with pytest.raises(ValueError, match="DOE") as caught:
        raise ValueError("DOE^JANE")
    told = logs.where(caught.value)
    assert told.startswith("test_logs.py:")
    assert told.endswith(":test_where_tells_place_and_class_only>ValueError")


def test_only_our_own_events_are_written():
    """Other libraries' log records and Python warnings, which may quote a film, are not written; ours are."""
    program = """
import logging, warnings
from hilum import logs
logs.configure("info")
logging.getLogger("pydicom").warning("DOE^JANE")
logging.getLogger("PIL").error("DOE^JANE")
warnings.warn("DOE^JANE")
log = logging.getLogger("hilum.server")
log.debug("too fine")
log.info("request id=1")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.endswith(" INFO request id=1\n")
    assert done.stderr.count("\n") == 1


def test_an_exception_is_told_without_its_message():
    """A traceback's last line may quote a film: in a record, at a thread's end and in a destructor, only places are told."""
    program = """
import gc, logging, threading
from hilum import logs
logs.configure("debug")
def fail():
    raise ValueError("DOE^JANE")
class Odd:
    def __del__(self):
        fail()
thread = threading.Thread(target=fail)
thread.start()
thread.join()
odd = Odd()
del odd
gc.collect()
try:
    fail()
except ValueError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "DOE" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("fail>ValueError") == 3
    for event in ("ERROR thread ended at=", "ERROR not raised at=", "ERROR Exception in ASGI application"):
        assert event in done.stderr
