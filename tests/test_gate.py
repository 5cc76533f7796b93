"""The first gate."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import film_pixels
from hilum import gate
from hilum.records import Radiograph, Source


def picture(pixels, chroma=0.0):
    """Return pixels as a radiograph."""
    rows, columns = pixels.shape
    return Radiograph(pixels.astype(np.float32), Source("PNG", columns, rows, 8, "00" * 32), chroma)


def test_a_film_is_accepted(film):
    """An uneven grey picture of usual shape passes without a word."""
    assert gate.judge(film) == gate.Verdict(True)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (picture(film_pixels(100, 300)), "unusual_aspect"),
        (picture(film_pixels(300, 100)), "unusual_aspect"),
        (picture(film_pixels(60, 60)), "low_resolution"),
        (picture(np.full((100, 100), 0.4)), "near_constant"),
        (picture(film_pixels(), chroma=0.2), "colour_photograph"),
    ],
)
def test_a_refusal_has_its_code_and_a_sentence(image, code):
    """What is no film is refused with one coded reason that a person understands."""
    verdict = gate.judge(image)
    assert not verdict.accepted
    assert [reason.code for reason in verdict.reasons] == [code]
    assert verdict.reasons[0].message.endswith(".")


def test_every_reason_is_given():
    """A picture with several faults has them all named."""
    codes = [reason.code for reason in gate.judge(picture(np.zeros((10, 100)), 0.5)).reasons]
    assert codes == ["unusual_aspect", "low_resolution", "near_constant", "colour_photograph"]
