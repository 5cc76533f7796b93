"""What a folder of rows says, and the page that shows it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from hilum.errors import ConfigError
from hilum.levels import DISCLAIMER
from hilum.monitor.journal import Rows
from hilum.monitor.page import to_html
from hilum.monitor.statistics import names_of
from hilum.monitor.summary import summarise, to_dict
from hilum.records import Reference, ReferenceRecord

NAMES = names_of(("Effusion",))
RECORD = ReferenceRecord({"one": "ab"}, 300, 200, "cd", NAMES, "ef")


def drawn(films: int, seed: int = 1) -> np.ndarray:
    """Films of normal numbers; one in twenty is refused and has no confidence."""
    rng = np.random.default_rng(seed)
    values = rng.normal(10, 1, (films, len(NAMES))).astype(np.float32)
    refused = rng.random(films) < 0.05
    values[:, NAMES.index("refused")] = refused
    values[refused, NAMES.index("confidence Effusion")] = np.nan
    return values


def rows(values: np.ndarray) -> Rows:
    """Films of 50 a day."""
    days = tuple(f"2026-01-{1 + film // 50:02d}" for film in range(len(values)))
    return Rows("w", NAMES, days, values, other=3)


@pytest.fixture
def quiet():
    """A summary of films that are as the reference."""
    return summarise(rows(drawn(600)), Reference(RECORD, drawn(300, 2)))


@pytest.fixture
def moved():
    """A summary of films that grow darker, and half of which are refused, from film 301 on."""
    values = drawn(600)
    values[300:, NAMES.index("brightness")] -= 1.5
    values[300::2, NAMES.index("refused")] = 1
    return summarise(rows(values), Reference(RECORD, drawn(300, 2)))


def test_quiet_films_have_not_moved(quiet):
    """Films like the reference give no alarm, and their figures are near its own."""
    assert quiet.moved == ()
    assert (quiet.films, quiet.first_day, quiet.last_day) == (600, "2026-01-01", "2026-01-12")
    assert quiet.refused == pytest.approx(0.05, abs=0.03)
    assert quiet.levels.shape == (600, len(NAMES))
    assert quiet.levels.max() < 1


def test_what_moved_is_said_in_words(moved):
    """Each statistic that moved has a sentence with both figures, the day it began, and what to look at."""
    by_name = {one.statistic: one for one in moved.moved}
    assert set(by_name) == {"brightness", "refused"}
    darker = by_name["brightness"]
    assert darker.sentence.startswith("The films are darker: brightness 8.")
    assert abs(darker.since_film - 301) < 30
    assert darker.since_day in ("2026-01-06", "2026-01-07")
    assert darker.since_film < darker.seen_film < 400
    assert "exposure" in darker.look_at
    assert darker.after < darker.before
    assert by_name["refused"].sentence.startswith("More films are refused: refused films ")
    assert by_name["refused"].sentence.endswith("%.")


def test_another_spread_is_said_to_be_one():
    """Where the middle stays where it was, the sentence does not speak of higher or lower."""
    known = drawn(300, 2)
    values = drawn(600)
    column = NAMES.index("contrast")
    known[:, column] = np.round(known[:, column])
    values[:, column] = 10 + 3 * np.round(values[:, column] - 10)
    (one,) = summarise(rows(values), Reference(RECORD, known)).moved
    assert one.sentence.startswith("Contrast is spread otherwise")


def test_the_first_films_are_the_baseline():
    """Against their own first films, what differs from the reference but does not change has not moved."""
    values = drawn(600) + 5
    values[:, NAMES.index("refused")] = 0
    assert summarise(rows(values), Reference(RECORD, drawn(300, 2))).moved
    own = summarise(rows(values), None, baseline=200)
    assert (own.moved, own.films, own.reference_films) == ((), 400, 200)
    assert "first 200 films" in own.reference
    with pytest.raises(ConfigError, match="--baseline"):
        summarise(rows(values), None, baseline=600)


def test_the_summary_is_json(moved):
    """All of it but the films' own rows, with the disclaimer."""
    found = json.loads(json.dumps(to_dict(moved), allow_nan=False))
    assert found["films"] == 600
    assert found["other_lines"] == 3
    assert found["moved"][0]["statistic"] in ("brightness", "refused")
    assert set(found["levels"]) == set(NAMES)
    assert found["disclaimer"] == DISCLAIMER


@pytest.mark.parametrize("which", ["quiet", "moved"])
def test_the_page_needs_nothing_else(which, request):
    """The page holds every statistic with three plots, names no address, runs no script, and closes every tag."""
    summary = request.getfixturevalue(which)
    page = to_html(summary).decode()
    assert page.count("<svg") == page.count("</svg>") == 3 * len(NAMES)
    assert not re.search(r"<script|https?:|src=|url\(", page)
    assert DISCLAIMER in page
    assert "nan" not in re.sub(r"<[^>]+>", " ", page)
    assert not re.search(r'd="[^"]*(nan|inf)', page)
    assert ("What has moved" in page) == bool(summary.moved)
    for one in summary.moved:
        assert one.sentence in page


def test_the_page_of_films_without_a_number(moved):
    """A statistic that no film has is shown without a plot of nothing."""
    values = drawn(40)
    values[:, NAMES.index("distance")] = np.nan
    page = to_html(summarise(rows(values), Reference(RECORD, drawn(300, 2)))).decode()
    assert "Unfamiliarity: no films" in page
