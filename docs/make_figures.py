"""Draw the figures of the documentation, as SVG, from the same arithmetic that serves films.

python docs/make_figures.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hilum.calibrate import confidence, probability

IMAGES = Path(__file__).parent / "images"
EVIDENCES = (3.0, 2.0, 1.0, 0.0, -1.0, -2.0)
WIDTH, HEIGHT = 640, 440
LEFT, TOP, SIDE_X, SIDE_Y = 70, 24, 400, 340
"""Place and size of the plot, in pixels."""
DOTS = "dots: confidence is the curve at one half, times 100"


def meaning_svg() -> str:
    """Return the figure of docs/explanation/meaning.md: probability against prevalence for several evidences."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        "<title>Probability against prevalence, for evidence from −2 to 3</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_axes(),
        *(part for value in EVIDENCES for part in _curve(value)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _point(prevalence: float, chance: float) -> tuple[float, float]:
    return LEFT + SIDE_X * prevalence, TOP + SIDE_Y * (1 - chance)


def _axes() -> Iterator[str]:
    for step in range(5):
        share = step / 4
        x, y = _point(share, share)
        yield f'<path d="M{x:.1f} {TOP}V{TOP + SIDE_Y}M{LEFT} {y:.1f}H{LEFT + SIDE_X}" stroke="#dddddd"/>'
        yield f'<text x="{x:.1f}" y="{TOP + SIDE_Y + 20}" text-anchor="middle">{share:g}</text>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>'
    x, _ = _point(0.5, 0)
    yield f'<path d="M{x:.1f} {TOP}V{TOP + SIDE_Y}" stroke="#333333" stroke-dasharray="4 3"/>'
    for y, text in ((HEIGHT - 34, "prevalence: share of the films that show the finding"), (HEIGHT - 14, DOTS)):
        yield f'<text x="{LEFT + SIDE_X / 2}" y="{y}" text-anchor="middle">{text}</text>'
    middle = TOP + SIDE_Y / 2
    yield f'<text transform="rotate(-90 22 {middle})" x="22" y="{middle}" text-anchor="middle">probability</text>'
    yield f'<text x="{LEFT + SIDE_X + 14}" y="{TOP - 6}">evidence: confidence</text>'


def _curve(evidence: float) -> Iterator[str]:
    places = [_point(share, probability(evidence, share)) for share in np.linspace(0.002, 0.998, 125)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    percent = float(confidence(np.asarray(evidence)))
    x, y = _point(0.5, percent / 100)
    colour = "#0b6265" if evidence > 0 else "#555555" if evidence == 0 else "#a44a1c"
    yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'
    label = f"{evidence:+.0f}".replace("-", "−") if evidence else "0"
    yield f'<text x="{LEFT + SIDE_X + 14}" y="{y + 4:.1f}" fill="{colour}">{label}: {percent:.1f}</text>'
    yield f'<path d="M{x:.1f} {y:.1f}H{LEFT + SIDE_X + 10}" stroke="{colour}" stroke-width="0.5" stroke-dasharray="2 4"/>'


FIGURES = {"meaning.svg": meaning_svg}


if __name__ == "__main__":
    for name, draw in FIGURES.items():
        (IMAGES / name).write_text(draw(), encoding="utf-8")
