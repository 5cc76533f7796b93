"""Is this one chest radiograph, fit to be read? By the pixels, and by what the file's header says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import get_args

import numpy as np

from hilum.errors import ConfigError
from hilum.records import Action, Look, Radiograph, Reason, ScopePolicy, Verdict

MAX_ASPECT = 2.0
"""Longer side by shorter. Detectors are at most 43 × 35 cm, and a cropped film rarely reaches 1.6."""
MIN_DEVIATION = 0.02
"""Standard deviation of the pixels, 0–1. A radiograph's lies above 0.1."""
MAX_CHROMA = 0.05
"""Mean of (largest − smallest of R, G, B), 0–1. A grey film with coloured marks stays far below."""
MIN_SIDE = 64
"""Pixels. Below it there is no film left to read."""
MIN_DETAIL = -1.45
"""Of ``Look.detail``. Films of three hospitals lie above −1.25, films enlarged from 64 pixels below −1.65."""

DEFAULT_SCOPE = ScopePolicy()
SCOPE_CODES = tuple(field.name for field in fields(ScopePolicy))
"""The reasons that a policy decides about."""


def scope_policy(actions: Mapping[str, str]) -> ScopePolicy:
    """Return the default policy with these actions, by code. Raises ConfigError for another code or action."""
    for code, action in actions.items():
        if code not in SCOPE_CODES:
            raise ConfigError(f"{code!r} is not a reason of scope. Expected one of {', '.join(SCOPE_CODES)}.")
        if action not in get_args(Action):
            raise ConfigError(f"{action!r} can't be done about {code}. Expected one of {', '.join(get_args(Action))}.")
    return replace(DEFAULT_SCOPE, **actions)  # type: ignore[arg-type]


KINDS = {
    "turned_left": ("rotated", "The film lies on its left side."),
    "turned_right": ("rotated", "The film lies on its right side."),
    "upside_down": ("rotated", "The film stands upside down."),
    "inverted_grey": ("inverted_grey", "Bright and dark are exchanged: the lungs are white and the bones black."),
    "photograph": ("not_a_radiograph", "The picture looks like a photograph or a drawing, not like a radiograph."),
    "document": ("not_a_radiograph", "The picture looks like a page or a screen of text, not like a radiograph."),
    "other_modality": ("not_chest", "The picture looks like another examination, not like a radiograph of the chest."),
    "several_images": ("several_images", "The picture seems to hold several films. Give each film alone."),
    "cropped": (
        "cropped",
        "Only a part of the chest is on the picture. Both lungs, from apex to costophrenic angle, are needed.",
    ),
    "blurred": (
        "blurred",
        "The film is too blurred to be read: it seems to have been enlarged from a thumbnail, or it moved.",
    ),
    "underexposed": ("underexposed", "The film has almost no contrast left: nearly all of it is dark."),
    "overexposed": ("overexposed", "The film is burnt out: most of it is white."),
    "photographed": (
        "photographed",
        "The film seems to have been photographed off a screen or a light box. Give the file itself.",
    ),
    "annotated": ("annotated", "Something large is drawn or written on the film; it can mislead the networks."),
    "paediatric": ("paediatric", "The film looks like a small child's. The networks learnt from adults."),
}
"""What a picture may look like → the reason's code, and what it says."""
CORRECTED = {
    "rotated": "The film was turned; it was set upright before it was read.",
    "inverted_grey": "Bright and dark were exchanged; the film was inverted before it was read.",
}
UNLIKE = "The picture is unlike all films that the networks learnt from."


def judge(image: Radiograph, scope: ScopePolicy = DEFAULT_SCOPE) -> Verdict:
    """Return whether the film is accepted by its pixels and its header, with every reason why it is not, and every warning."""
    return _verdict((*_by_pixels(image), *_decided(image.stated, scope)))


def judge_look(
    verdict: Verdict, look: Look, scope: ScopePolicy = DEFAULT_SCOPE, corrected: str | None = None
) -> Verdict:
    """Return ``judge``'s verdict with what the picture looks like added to it, once a network has seen it.

    ``corrected``: the kind of picture it was before it was set right.
    """
    code = None if corrected is None else KINDS[corrected][0]
    told = () if code is None else (Reason(code, CORRECTED[code], "warn"),)
    return _verdict((*verdict.reasons, *_decided(_by_look(look), scope), *told))


def _decided(reasons: Iterable[Reason], scope: ScopePolicy) -> tuple[Reason, ...]:
    """Return reasons with what a policy does about each; a code that no policy decides about refuses."""
    return tuple(replace(reason, action=getattr(scope, reason.code, "refuse")) for reason in reasons)


def _verdict(reasons: Sequence[Reason]) -> Verdict:
    refusals = tuple(reason for reason in reasons if reason.action == "refuse")
    return Verdict(not refusals, refusals + tuple(reason for reason in reasons if reason.action == "warn"))


def _by_look(look: Look) -> tuple[Reason, ...]:
    if not look.is_film:
        return (Reason(*KINDS[look.kind]),)
    if look.detail < MIN_DETAIL:
        return (Reason(*KINDS["blurred"]),)
    return (Reason("out_of_distribution", UNLIKE),) if look.distance > 1 else ()


def _by_pixels(image: Radiograph) -> tuple[Reason, ...]:
    rows, columns = image.pixels.shape
    aspect = max(rows, columns) / min(rows, columns)
    deviation = float(np.std(image.pixels))  # in float64 it took 14 ms of a film of 2500 × 2048, three times as long
    checks = (
        (
            aspect > MAX_ASPECT,
            "unusual_aspect",
            f"The picture's longer side is {aspect:.1f} times its shorter; a chest radiograph's is at most {MAX_ASPECT:g}.",
        ),
        (
            min(rows, columns) < MIN_SIDE,
            "low_resolution",
            f"The picture is {columns} × {rows} pixels; a chest radiograph needs at least {MIN_SIDE} on each side.",
        ),
        (
            deviation < MIN_DEVIATION,
            "near_constant",
            "The picture is almost one even grey; there is nothing to read in it.",
        ),
        (image.chroma > MAX_CHROMA, "colour_photograph", "The picture is in colour; a chest radiograph is grey."),
    )
    return tuple(Reason(code, message) for found, code, message in checks if found)
