"""What is kept of a film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilum.monitor.live import statistics_of
from hilum.monitor.statistics import measure, members_of, weights_of
from hilum.monitor.words import hint, label_of
from hilum.pipeline import analyze
from hilum.records import Look


def test_a_film_has_each_number(film, tiny_engine):
    """An accepted film has every statistic but what only a gate's network gives; four digits of each."""
    found = measure(film, analyze(film, tiny_engine))
    assert set(statistics_of(tiny_engine)) - set(found) == {"film_share", "distance"}
    assert set(found) <= set(statistics_of(tiny_engine))
    assert found["aspect"] == pytest.approx(80 / 96, abs=1e-3)
    assert found["refused"] == 0
    assert all(value == float(f"{value:.4g}") for value in found.values())


def test_a_refused_film_has_no_confidences(film, tiny_engine):
    """It is counted as refused, and its picture is measured, one that is an even grey too."""
    flat = replace(film, pixels=np.full_like(film.pixels, 0.5))
    found = measure(flat, analyze(flat, tiny_engine))
    assert found == {"brightness": 0.5, "contrast": 0.0, "sharpness": 0.0, "aspect": 0.8333, "refused": 1.0}


def test_what_the_gate_saw_is_measured(film, tiny_engine):
    """Share and distance are those of the analysis' look."""
    seen = replace(analyze(film, tiny_engine), look=Look("photograph", 0.1, 0.9, 0.4, 0.5))
    found = measure(film, seen)
    assert (found["film_share"], found["distance"]) == (0.9, 0.4)


def test_gain_leaves_sharpness_alone(film, tiny_engine):
    """Half the gain halves brightness and contrast; a blur lowers the sharpness."""
    analysis = analyze(film, tiny_engine)
    rng = np.random.default_rng(1)
    grainy = replace(
        film, pixels=np.clip(film.pixels + rng.normal(0, 0.02, film.pixels.shape), 0, 1).astype(np.float32)
    )
    one = measure(grainy, analysis)
    dim = measure(replace(grainy, pixels=grainy.pixels / 2), analysis)
    soft = measure(replace(grainy, pixels=(grainy.pixels + np.roll(grainy.pixels, 1, 0)) / 2), analysis)
    assert dim["brightness"] == pytest.approx(one["brightness"] / 2, rel=1e-3)
    assert dim["contrast"] == pytest.approx(one["contrast"] / 2, rel=1e-3)
    assert dim["sharpness"] == pytest.approx(one["sharpness"], rel=1e-3)
    assert soft["sharpness"] < one["sharpness"]


def test_members_are_known_by_their_hashes(tiny_engine):
    """Other weights, other digits, whatever their order."""
    members = members_of(tiny_engine.provenance)
    assert len(members) == 3
    assert weights_of(members) == weights_of(dict(reversed(members.items())))
    assert weights_of(members) != weights_of(members | {"densenet121-tiny": "00"})


def test_every_statistic_has_words(tiny_engine):
    """Each has a title, what it is, and what to look at; a finding's says in which direction."""
    for name in statistics_of(tiny_engine):
        assert label_of(name).title
        assert label_of(name).what
        assert hint(name, True)
    assert "more common" in hint("confidence Effusion", True)
    assert "less common" in hint("confidence Effusion", False)
