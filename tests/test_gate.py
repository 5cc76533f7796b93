"""The first gate."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import film_pixels
from hilum import gate
from hilum.errors import ConfigError
from hilum.records import Radiograph, Reason, ScopePolicy, Source


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


def stated(*codes):
    """Return a film whose header says these things."""
    pixels = film_pixels()
    reasons = tuple(Reason(code, f"The header says {code}.", basis="header") for code in codes)
    return Radiograph(pixels, Source("DICOM", pixels.shape[1], pixels.shape[0], 12, "00" * 32), stated=reasons)


@pytest.mark.parametrize("code", gate.SCOPE_CODES)
def test_a_policy_decides_about_what_a_header_says(code):
    """Each code refuses, warns or is ignored, as the policy says; a warning leaves the film accepted."""
    refused, warned, ignored = (
        gate.judge(stated(code), gate.scope_policy({code: action})) for action in ("refuse", "warn", "ignore")
    )
    assert (refused.accepted, [one.code for one in refused.refusals], refused.warnings) == (False, [code], ())
    assert (warned.accepted, warned.refusals, [one.code for one in warned.warnings]) == (True, (), [code])
    assert ignored == gate.Verdict(True)
    assert refused.reasons[0].basis == "header"


def test_refusals_come_before_warnings():
    """A film that is refused keeps its warnings, behind what refused it; an unknown code refuses."""
    verdict = gate.judge(stated("paediatric", "lateral_view", "something_else"))
    assert [(one.code, one.action) for one in verdict.reasons] == [
        ("lateral_view", "refuse"),
        ("something_else", "refuse"),
        ("paediatric", "warn"),
    ]


def test_the_default_refuses_other_pictures_and_warns_of_children():
    """Without a policy only a child's film is read, with a warning."""
    assert gate.scope_policy({}) == ScopePolicy() == ScopePolicy("refuse", "refuse", "refuse", "warn", "refuse")


@pytest.mark.parametrize("actions", [{"paediatric": "maybe"}, {"age": "warn"}])
def test_a_wrong_policy_is_an_error(actions):
    """A code or an action that there is not is named, with those that there are."""
    with pytest.raises(ConfigError, match="Expected one of"):
        gate.scope_policy(actions)
