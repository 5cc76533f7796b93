"""What a picture looks like, and setting it right."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.appearance import TURNS, detail, from_npz, look, set_right, to_npz, turn_back
from hilum.errors import Incompatible
from hilum.records import Appearance, Heatmap

PLAIN = Appearance(
    kinds=("film", "photograph", "cropped"),
    mean=np.zeros(4, dtype=np.float32),
    scale=np.ones(4, dtype=np.float32),
    weight=np.eye(4, 3, dtype=np.float32) * 4,
    bias=np.zeros(3, dtype=np.float32),
    basis=np.eye(4, 2, dtype=np.float32),
    spread=np.ones(2, dtype=np.float32),
    film_limit=0.4,
    distance_limit=2.0,
)


PIXELS = np.random.default_rng(0).random((300, 280)).astype(np.float32)


def features(*pooled: float) -> np.ndarray:
    """Return a feature map whose pooled values are these, uneven over its positions."""
    return np.asarray(pooled, dtype=np.float32)[:, None, None] * np.array([[0.5, 1.5]], dtype=np.float32)


def test_the_likeliest_kind_is_named():
    """A picture of a kind has that kind's share; a film is one by its own share, whatever comes second."""
    photograph = look(features(0, 1, 0, 0), PIXELS, PLAIN)
    assert (photograph.kind, photograph.is_film) == ("photograph", False)
    assert photograph.share + photograph.film < 1
    film = look(features(1, 0, 0.2, 0), PIXELS, PLAIN)
    assert film.is_film
    assert film.kind == "cropped"


def test_distance_counts_in_limits():
    """A picture at the limit has the distance 1, one twice as far out 4."""
    assert look(features(2, 0, 0, 0), PIXELS, PLAIN).distance == pytest.approx(1)
    assert look(features(4, 0, 0, 0), PIXELS, PLAIN).distance == pytest.approx(4)


def falling(steepness: float, waves: int = 128) -> np.ndarray:
    """Return 512 × 512 pixels whose spectrum falls with a power of the waves across the picture, and ends at ``waves``."""
    rng, side = np.random.default_rng(1), 512
    across = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side
    size = np.where(across > waves, 0, np.maximum(across, 1.0) ** -steepness)
    pixels = np.fft.irfft2(size * np.exp(2j * np.pi * rng.random(across.shape)))
    return ((pixels - pixels.min()) / (pixels.max() - pixels.min())).astype(np.float32)


def test_detail_falls_where_the_spectrum_breaks_off():
    """A film whose spectrum falls evenly keeps its detail, whatever its contrast; one that ends at 32 waves has none."""
    film = falling(1.4)
    assert detail(film) > -1.2
    assert detail(film * 0.3 + 0.2) == pytest.approx(detail(film), abs=1e-3)
    assert detail(falling(1.4, waves=32)) < -2
    assert detail(np.full((100, 90), 0.5, dtype=np.float32)) == pytest.approx(0, abs=2)
    assert look(features(1, 0, 0, 0), film, PLAIN).detail == detail(film)


@pytest.mark.parametrize("kind", sorted(TURNS))
def test_a_turned_film_is_set_upright(kind):
    """What was turned comes back as it was, and its heat map goes the other way."""
    film = np.arange(6, dtype=np.float32).reshape(2, 3) / 6
    turned = np.rot90(film, -TURNS[kind])
    assert (set_right(turned, kind) == film).all()
    rows, columns = turned.shape
    upright = Heatmap("Effusion", "a member", film, (0.0, 0.0, 3.0, 2.0))
    back = turn_back(upright, kind, columns, rows)
    assert (back.values == turned).all()
    assert back.box == (0.0, 0.0, float(columns), float(rows))


def test_inverted_grey_is_exchanged_and_other_kinds_are_left():
    """Bright and dark change places; what can't be set right gives nothing, and an unturned map stays."""
    film = np.array([[0.0, 0.25]], dtype=np.float32)
    assert set_right(film, "inverted_grey").tolist() == [[1.0, 0.75]]
    assert set_right(film, "photograph") is None
    heatmap = Heatmap("Effusion", "a member", film, (0.0, 0.0, 2.0, 1.0))
    assert turn_back(heatmap, "inverted_grey", 2, 1) is heatmap


def test_a_record_reads_back():
    """What is written is read again, to half precision."""
    again = from_npz(to_npz(PLAIN))
    assert again.kinds == PLAIN.kinds
    assert (again.film_limit, again.distance_limit) == (pytest.approx(0.4), 2.0)
    np.testing.assert_allclose(again.weight, PLAIN.weight, atol=1e-2)


def test_a_broken_record_is_refused():
    """Bytes that are no record, or arrays that do not fit each other, are Incompatible."""
    with pytest.raises(Incompatible, match="can't be read"):
        from_npz(b"PK\x03\x04 and nothing")
    from dataclasses import replace

    with pytest.raises(Incompatible, match="do not fit"):
        from_npz(to_npz(replace(PLAIN, bias=np.zeros(2, dtype=np.float32))))
