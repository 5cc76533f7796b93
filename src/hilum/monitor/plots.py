"""Plots of one statistic as inline SVG: how it is distributed, how it went, how near it was to an alarm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from hilum.monitor.ranks import Floats
from hilum.records import Array

WIDTH, HEIGHT = 150, 96
LEFT, TOP, RIGHT, BOTTOM = 40, 8, 8, 28
BLUE, GREY, RED = "#0f62a8", "#8993a0", "#b3261e"
BINS = 24
BLOCKS = 40
SMALLEST_BLOCK = 10
Point = tuple[float, float]


def distribution(title: str, reference: Array, films: Array) -> str:
    """Return how the reference's films (grey) and these films (blue) are spread: shares of films by bins."""
    known, found = reference[~np.isnan(reference)], films[~np.isnan(films)]
    both = np.concatenate([known, found])
    if not len(both):
        return _frame(f"{title}: no films", "", "", (0, 1), (0, 1), "")
    low, high = _range(both)
    edges = np.linspace(low, high, BINS + 1)
    shares = [np.histogram(np.clip(one, low, high), edges)[0] / max(1, len(one)) for one in (known, found)]
    most = max(0.01, float(max(one.max() for one in shares)))
    lines = "".join(
        _line(_steps(edges, 100 * one), (low, high), (0, 100 * most), colour, width)
        for one, colour, width in zip(shares, (GREY, BLUE), (1.2, 1.8), strict=True)
    )
    return _frame(f"{title}: distribution", "value", "films, %", (low, high), (0, 100 * most), lines)


def course(title: str, reference: Array, films: Array, mean: bool) -> str:
    """Return the medians (or means) of blocks of films over the reference's middle half and middle nine tenths."""
    known = reference[~np.isnan(reference)]
    blocks = np.array_split(films, max(1, min(BLOCKS, len(films) // SMALLEST_BLOCK)))
    ends = np.cumsum([len(block) for block in blocks])
    centres = [
        (float(end - len(block) / 2), float(np.nanmean(block) if mean else np.nanmedian(block)))
        for block, end in zip(blocks, ends, strict=True)
        if not np.isnan(block).all()
    ]
    if not centres or not len(known):
        return _frame(f"{title}: no films", "", "", (0, 1), (0, 1), "")
    bands = [np.quantile(known, pair) for pair in ((0.05, 0.95), (0.25, 0.75))]
    if mean:
        share = float(known.mean())
        bands = [np.array([share, share])]
    values = np.array([*(y for _, y in centres), *np.concatenate(bands)])
    across, up = (0.0, float(len(films))), _range(values, 0)
    inside = "".join(_band(band, up, 0.12) for band in bands)
    middle = float(known.mean() if mean else np.median(known))
    inside += _line([(across[0], middle), (across[1], middle)], across, up, GREY, 1.2)
    inside += _line(centres, across, up, BLUE, 1.6)
    return _frame(f"{title}: course", "film", "mean of a block" if mean else "median of a block", across, up, inside)


def nearness(title: str, levels: Floats, alarms: Iterable[int]) -> str:
    """Return how near the statistic was to an alarm after each film, with a mark at each alarm."""
    places = np.unique(np.linspace(0, len(levels) - 1, 300).astype(int))
    points = [(float(place + 1), float(levels[place])) for place in places]
    across, up = (0.0, float(len(levels))), (0.0, 1.0)
    marks = "".join(
        f'<path d="M{x:.1f} 0V{HEIGHT}" stroke="{RED}" stroke-width="1"/>'
        for x in (_place((film + 1.0, 0.0), across, up)[0] for film in list(alarms)[:50])
    )
    return _frame(
        f"{title}: nearness to an alarm",
        "film",
        "nearness to an alarm",
        across,
        up,
        marks + _line(points, across, up, BLUE, 1.4),
    )


def _range(values: Array | Floats, outermost: float = 0.005) -> tuple[float, float]:
    low, high = (float(x) for x in np.quantile(values, [outermost, 1 - outermost]))
    margin = (high - low) * 0.06 or max(abs(high) * 0.1, 0.05)
    return low - margin, high + margin


def _steps(edges: Floats, shares: Floats) -> list[Point]:
    left = zip(edges[:-1].tolist(), shares.tolist(), strict=True)
    right = zip(edges[1:].tolist(), shares.tolist(), strict=True)
    return [point for pair in zip(left, right, strict=True) for point in pair]


def _place(point: Point, across: Point, up: Point) -> Point:
    x = (point[0] - across[0]) / (across[1] - across[0]) * WIDTH
    y = (1 - (point[1] - up[0]) / (up[1] - up[0])) * HEIGHT
    return x, y


def _line(points: Sequence[Point], across: Point, up: Point, colour: str, width: float) -> str:
    path = "L".join("{:.1f} {:.1f}".format(*_place(point, across, up)) for point in points)
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def _band(band: Floats | Array, up: Point, opacity: float) -> str:
    top, bottom = (_place((0, float(y)), (0, 1), up)[1] for y in (band[1], band[0]))
    return (
        f'<rect y="{top:.1f}" width="{WIDTH}" height="{max(0.0, bottom - top):.1f}" fill="{GREY}" opacity="{opacity}"/>'
    )


def _frame(label: str, across: str, up: str, xs: Point, ys: Point, inside: str) -> str:
    ticks = "".join(
        f'<text x="{share * WIDTH:g}" y="{HEIGHT + 11}" text-anchor="{anchor}">{_tick(xs[0] + share * (xs[1] - xs[0]))}</text>'
        f'<text x="-4" y="{(1 - share) * HEIGHT + 3:g}" text-anchor="end">{_tick(ys[0] + share * (ys[1] - ys[0]))}</text>'
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    return (
        f'<svg class="plot" viewBox="0 0 {LEFT + WIDTH + RIGHT} {TOP + HEIGHT + BOTTOM}" role="img" aria-label="{escape(label)}">'
        f'<g transform="translate({LEFT} {TOP})"><rect width="{WIDTH}" height="{HEIGHT}" class="area"/>{ticks}{inside}'
        f'<text x="{WIDTH / 2}" y="{HEIGHT + 23}" class="axis" text-anchor="middle">{escape(across)}</text>'
        f'<text transform="translate(-31 {HEIGHT / 2}) rotate(-90)" class="axis" text-anchor="middle">{escape(up)}</text>'
        "</g></svg>"
    )


def _tick(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"
