"""Normalise: what a network takes, and where on the film it looked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.normalise import field_of_view, normalise
from hilum.records import Array, Crop, InputSpec, Radiograph, Source


def film(pixels: Array) -> Radiograph:
    rows, columns = pixels.shape
    return Radiograph(pixels.astype(np.float32), Source("PNG", columns, rows, 8, ""))


def spec(crop: Crop = "whole", **changes: object) -> InputSpec:
    values: dict[str, object] = {
        "height": 32,
        "width": 32,
        "channels": 3,
        "scale": 255.0,
        "mean": (10.0, 20.0, 30.0),
        "std": (1.0, 2.0, 4.0),
        "crop": crop,
    }
    return InputSpec(**{**values, **changes})  # type: ignore[arg-type]


def test_pixels_are_scaled_then_standardised_per_channel() -> None:
    """A film of one grey gives (p × scale − mean) / std in each channel."""
    x = normalise(film(np.full((50, 40), 0.5)), spec())
    assert x.shape == (1, 3, 32, 32)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0, :, 5, 5], [117.5, (127.5 - 20) / 2, (127.5 - 30) / 4], rtol=1e-6)


def test_layouts_hold_the_same_numbers() -> None:
    """NHWC is NCHW with the channels moved to the end."""
    pixels = np.random.default_rng(0).random((70, 90))
    first, last = normalise(film(pixels), spec()), normalise(film(pixels), spec(layout="NHWC"))
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last)


def test_a_film_of_the_inputs_size_is_not_resampled() -> None:
    """Resampling 32 × 32 to 32 × 32 changes nothing."""
    pixels = np.random.default_rng(1).random((32, 32)).astype(np.float32)
    x = normalise(film(pixels), spec(channels=1, scale=1.0, mean=(0.0,), std=(1.0,)))
    np.testing.assert_allclose(x[0, 0], pixels, atol=1e-6)


@given(width=st.integers(16, 300), height=st.integers(16, 300), crop=st.sampled_from(["whole", "centre"]))
def test_the_field_of_view_lies_on_the_film(width: int, height: int, crop: Crop) -> None:
    """The field never leaves the film; a centre crop has the input's shape and touches two opposite edges."""
    x, y, seen_width, seen_height = field_of_view(width, height, spec(crop))
    assert 0 <= x <= x + seen_width <= width + 1e-6
    assert 0 <= y <= y + seen_height <= height + 1e-6
    if crop == "centre":
        assert seen_width == pytest.approx(seen_height)
        assert seen_width == pytest.approx(min(width, height))
    else:
        assert (seen_width, seen_height) == (width, height)


def test_a_centre_crop_sees_only_the_centre() -> None:
    """What lies outside the crop does not reach the network."""
    pixels = np.zeros((32, 96), dtype=np.float32)
    pixels[:, :30] = 1.0
    plain = spec("centre", channels=1, scale=1.0, mean=(0.0,), std=(1.0,))
    assert normalise(film(pixels), plain).max() == 0.0
    assert normalise(film(pixels), spec(channels=1, scale=1.0, mean=(0.0,), std=(1.0,))).max() == pytest.approx(1.0)
