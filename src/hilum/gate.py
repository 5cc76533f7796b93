"""Is this one chest radiograph, fit to be read? First checks, on the pixels alone."""

from __future__ import annotations

import numpy as np

from hilum.records import Radiograph, Reason, Verdict

MAX_ASPECT = 2.0
"""Longer side by shorter. Detectors are at most 43 × 35 cm, and a cropped film rarely reaches 1.6."""
MIN_DEVIATION = 0.02
"""Standard deviation of the pixels, 0–1. A radiograph's lies above 0.1."""
MAX_CHROMA = 0.05
"""Mean of (largest − smallest of R, G, B), 0–1. A grey film with coloured marks stays far below."""
MIN_SIDE = 64
"""Pixels. Below it there is no film left to read."""


def judge(image: Radiograph) -> Verdict:
    """Return whether the film is accepted, or every reason why it is not."""
    rows, columns = image.pixels.shape
    aspect = max(rows, columns) / min(rows, columns)
    deviation = float(np.std(image.pixels, dtype=np.float64))
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
    reasons = tuple(Reason(code, message) for found, code, message in checks if found)
    return Verdict(not reasons, reasons)
