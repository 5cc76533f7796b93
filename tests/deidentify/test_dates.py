"""Dates and times move together."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.deidentify.dates import shifted_date, shifted_date_time, shifted_time

BACK = -timedelta(days=400, hours=5)


def test_a_date_moves_with_its_time():
    """Where the time crosses midnight, the date follows; a fraction of a second stays."""
    assert shifted_date("20200131", "0415", BACK) == "20181226"
    assert shifted_date("20200131", "0515", BACK) == "20181227"
    assert shifted_time("20200131", "041500.123456", BACK) == "231500.123456"
    assert shifted_time("20200131", "05", BACK) == "000000"
    assert shifted_time("20200131", "235960", BACK) == "185959"


def test_a_date_or_time_alone_moves_alone():
    """A date without time moves by whole days, a time without date around the clock."""
    assert shifted_date("20200131", "", BACK) == "20181226"
    assert shifted_time("", "0415", BACK) == "231500"


def test_a_date_time_loses_its_place_on_earth():
    """DT moves as date and time do; its distance from UTC is left out."""
    assert shifted_date_time("20200131041500.5+0930", BACK) == "20181226231500.5"
    assert shifted_date_time("20200131", BACK) == "20181226"


@pytest.mark.parametrize(
    "value", ["", "2020", "20201301", "CANARY", "20200131-20200201", "00000000", "20200131\\20200201"]
)
def test_what_is_no_date_does_not_move(value):
    """None, so that the caller removes it."""
    assert shifted_date(value, "", BACK) is None
    assert shifted_date_time(value, BACK) is None
    assert shifted_time("20200131", "CANARY", BACK) is None
    assert shifted_date("20200131", "CANARY", BACK) is None


@given(st.datetimes(datetime(1800, 1, 1), datetime(2100, 1, 1)), st.timedeltas(timedelta(0), timedelta(days=3000)))
def test_intervals_stay(moment, between):
    """Two moments of one patient stay as far apart as they were, to the second."""
    first, second = (f"{point:%Y%m%d%H%M%S}".zfill(14) for point in (moment, moment + between))
    moved = [datetime.strptime(shifted_date_time(point, BACK) or "", "%Y%m%d%H%M%S") for point in (first, second)]
    given_apart = [datetime.strptime(point, "%Y%m%d%H%M%S") for point in (first, second)]
    assert moved[1] - moved[0] == given_apart[1] - given_apart[0]
