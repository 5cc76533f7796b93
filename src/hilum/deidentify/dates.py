"""DICOM dates and times, moved by an offset."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_TIME = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?")
_DATE_TIME = re.compile(r"(\d{8})(\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?)?(?:[+-]\d{4})?")
_NO_DATE = "20000101"


def shifted_date(date: str, time: str, offset: timedelta) -> str | None:
    """Return a DA moved together with its TM; without one, by the offset's whole days. None for what is no date."""
    moved = _moved(date, time, offset) if time else _moved(date, "00", timedelta(days=offset.days))
    return None if moved is None else moved[0]


def shifted_time(date: str, time: str, offset: timedelta) -> str | None:
    """Return a TM moved together with its DA; without one, around the clock. None for what is no time."""
    moved = _moved(date or _NO_DATE, time, offset)
    return None if moved is None else moved[1]


def shifted_date_time(value: str, offset: timedelta) -> str | None:
    """Return a DT moved, without its distance from UTC, which tells a place. None for what is none of whole days."""
    found = _DATE_TIME.fullmatch(value.strip())
    if found is None:
        return None
    date, time = found.groups()
    if time is None:
        return shifted_date(date, "", offset)
    moved = _moved(date, time, offset)
    return None if moved is None else "".join(moved)


def _moved(date: str, time: str, offset: timedelta) -> tuple[str, str] | None:
    day, clock = _DATE.fullmatch(date.strip()), _TIME.fullmatch(time.strip())
    if day is None or clock is None:
        return None
    hours, minutes, seconds, fraction = (part or "" for part in clock.groups())
    try:
        year, month, number = (int(part) for part in day.groups())
        # A leap second is the last of its minute.
        moment = datetime(year, month, number, int(hours), int(minutes or 0), min(int(seconds or 0), 59)) + offset
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y%m%d}".zfill(8), f"{moment:%H%M%S}" + (f".{fraction}" if fraction else "")
