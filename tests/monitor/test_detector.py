"""The test: even while nothing moves, seldom wrong, soon right, the same however it is fed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.monitor.detector import BETS, Detector, bets
from hilum.monitor.power import films_to_alarm, quantiles, spoken
from hilum.monitor.ranks import Ranked

NAMES = ("a", "b", "c")


def drawn(rng: np.random.Generator, films: int, shift: float = 0.0) -> np.ndarray:
    """Films of three numbers, the first of which is shifted."""
    values = rng.normal(size=(films, len(NAMES)))
    values[:, 0] += shift
    return values.astype(np.float32)


def test_bets_are_fair():
    """Each bet is at no place below 0, and over even places it multiplies a stake by 1 on the average."""
    found = bets((np.arange(100_000) + 0.5) / 100_000)
    assert found.shape == (100_000, BETS)
    assert found.min() >= 0
    assert np.allclose(found.mean(axis=0), 1, atol=1e-3)
    assert (bets(np.array([np.nan])) == 1).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.lists(st.integers(0, 5), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_ranks_are_counted(known, new):
    """A place is the share of films before that are lower, plus a drawn part of the equal ones and of the film itself."""
    draws = np.linspace(0.1, 0.9, len(new))
    found = Ranked(np.array(known, dtype=float)).rank(np.array(new, dtype=float), draws)
    before = list(known)
    for value, draw, place in zip(new, draws, found, strict=True):
        lower, equal = sum(one < value for one in before), sum(one == value for one in before)
        assert place == pytest.approx((lower + draw * (equal + 1)) / (len(before) + 1))
        before.append(value)


def test_places_are_even_whatever_the_distribution():
    """Of a yes-or-no statistic too, places are as even as random numbers while the films are like the reference's."""
    rng = np.random.default_rng(5)
    values = (rng.random(6000) < 0.07).astype(float)
    places = Ranked(values[:400]).rank(values[400:], rng.random(5600))
    assert np.allclose(np.histogram(places, np.linspace(0, 1, 11))[0] / 5600, 0.1, atol=0.02)


def test_films_without_a_number_are_passed_over():
    """A film that lacks a statistic has no place, and is not among those that others are ranked among."""
    ranked = Ranked(np.array([1.0, np.nan]))
    places = ranked.rank(np.array([np.nan, 2.0]), np.array([0.5, 0.5]))
    assert np.isnan(places[0])
    assert places[1] == pytest.approx((1 + 0.5) / 2)
    detector = Detector(["a"], np.array([[1.0]], dtype=np.float32))
    levels, alarms = detector.follow(np.full((50, 1), np.nan, dtype=np.float32))
    assert (levels.max(), alarms) == (0.0, [])


def test_false_alarms_are_as_rare_as_promised():
    """With a false alarm promised in 500 films, 40,000 films that are like the reference give at most 80."""
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(10):
        _, found = Detector(NAMES, drawn(rng, 200), per_alarm=500).follow(drawn(rng, 4000))
        alarms += len(found)
    assert alarms <= 80


def test_a_shift_is_seen_named_and_dated():
    """A statistic that rises by one deviation gives an alarm within some dozens of films; the film it began at is found."""
    rng = np.random.default_rng(3)
    detector = Detector(NAMES, drawn(rng, 400))
    detector.follow(drawn(rng, 300))
    _, alarms = detector.follow(drawn(rng, 200, 1.0))
    assert alarms[0].statistic == "a"
    assert 300 < alarms[0].film < 400
    assert abs(alarms[0].since - 300) < 30
    assert {alarm.statistic for alarm in alarms} == {"a"}


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_another_spread_is_seen(factor):
    """Numbers about the same middle that lie closer together or farther apart are seen as well."""
    rng = np.random.default_rng(4)
    detector = Detector(NAMES, drawn(rng, 400))
    _, alarms = detector.follow(drawn(rng, 800) * np.array([factor, 1, 1], dtype=np.float32))
    assert {alarm.statistic for alarm in alarms} == {"a"}


def test_the_parts_do_not_matter():
    """One film at a time, or all at once: the same levels and the same alarms."""
    rng = np.random.default_rng(6)
    known, films = drawn(rng, 100), drawn(rng, 1200, 0.8)
    at_once, in_parts = Detector(NAMES, known), Detector(NAMES, known)
    levels, alarms = at_once.follow(films)
    parts = [in_parts.follow(films[start : start + 7]) for start in range(0, len(films), 7)]
    assert np.allclose(np.concatenate([part for part, _ in parts]), levels)
    assert [alarm for _, found in parts for alarm in found] == alarms
    assert np.allclose(in_parts.levels, at_once.levels)
    assert alarms


def test_power_is_simulated():
    """A large shift takes fewer films than a small one, which a small reference may never show; both are said in words."""
    small, large = (films_to_alarm(200, 5, shift, runs=4) for shift in (0.05, 2.0))
    assert np.isinf(small).all()
    assert large.max() < 40
    median, most = quantiles(200, 5, 2.0)
    assert 1 < median <= most < 60
    assert (spoken(small[0]), spoken(1234.0)) == ("more than 5,000", "1,234")
