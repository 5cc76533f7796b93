"""The first gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conftest import film_pixels
from hilum import gate
from hilum.errors import ConfigError
from hilum.records import Look, Radiograph, Reason, ScopePolicy, Source
from hilum.training.spoil import SPOILERS


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
    verdict = gate.judge(stated("annotated", "lateral_view", "something_else"))
    assert [(one.code, one.action) for one in verdict.reasons] == [
        ("lateral_view", "refuse"),
        ("something_else", "refuse"),
        ("annotated", "warn"),
    ]


def test_the_default_refuses_all_but_what_can_be_read_with_care():
    """Without a policy a film that is drawn upon or cropped is read with a warning; all else is refused."""
    default = gate.scope_policy({})
    assert default == ScopePolicy()
    assert [code for code in gate.SCOPE_CODES if getattr(default, code) != "refuse"] == ["cropped", "annotated"]


@pytest.mark.parametrize("actions", [{"paediatric": "maybe"}, {"age": "warn"}])
def test_a_wrong_policy_is_an_error(actions):
    """A code or an action that there is not is named, with those that there are."""
    with pytest.raises(ConfigError, match="Expected one of"):
        gate.scope_policy(actions)


def looks(kind, film=0.0, distance=0.1):
    """Return what a picture looks like."""
    return Look(kind, 1 - film, film, distance, film_limit=0.4)


@pytest.mark.parametrize("kind", sorted(gate.KINDS))
def test_what_a_picture_looks_like_is_a_reason(film, kind):
    """Each kind that is no film gives its coded reason with a sentence; what is a film gives none."""
    (reason,) = gate.judge_look(gate.judge(film), looks(kind)).reasons
    assert reason.code == gate.KINDS[kind][0]
    assert reason.message.endswith(".")
    assert reason.action == ("warn" if kind in ("annotated", "cropped") else "refuse")
    assert gate.judge_look(gate.judge(film), looks(kind, film=0.5)) == gate.Verdict(True)


def test_a_film_without_detail_is_refused_as_blurred(film):
    """What looks like a film, and was enlarged from a thumbnail, is refused with that reason; a turned film keeps its own."""
    blurred = replace(looks("cropped", film=0.9), detail=gate.MIN_DETAIL - 0.1)
    verdict = gate.judge_look(gate.judge(film), blurred)
    assert [reason.code for reason in verdict.refusals] == ["blurred"]
    other = gate.judge_look(gate.judge(film), replace(looks("document"), detail=-3.0))
    assert [reason.code for reason in other.refusals] == ["not_a_radiograph"]


def test_a_film_unlike_all_others_is_refused(film):
    """A picture that looks like a film, and lies far from all of them, is out of distribution."""
    verdict = gate.judge_look(gate.judge(film), looks("cropped", film=0.9, distance=1.5))
    assert [reason.code for reason in verdict.refusals] == ["out_of_distribution"]


@pytest.mark.parametrize(("kind", "code"), [("turned_left", "rotated"), ("inverted_grey", "inverted_grey")])
def test_what_was_set_right_is_said(film, kind, code):
    """A film that was turned or inverted before it was read is accepted with a warning that says so."""
    verdict = gate.judge_look(gate.judge(film), looks("cropped", film=0.9), corrected=kind)
    assert verdict.accepted
    assert [reason.code for reason in verdict.warnings] == [code]


def test_every_spoiled_film_has_its_words():
    """Whatever the gate is taught, it can say."""
    assert set(SPOILERS) <= set(gate.KINDS)
