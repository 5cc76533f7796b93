"""Plots as inline SVG: no script, no font, no file of its own, and as sharp on paper as on screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from hilum.evaluation.curves import Curves, Point
from hilum.records import Interval

SIDE = 132
LEFT, TOP, RIGHT, BOTTOM = 34, 8, 6, 30
LINES: tuple[tuple[str, str], ...] = (
    ("#0f62a8", ""),
    ("#c2570c", "5 2"),
    ("#0f7b6c", "2 2"),
    ("#7a4fb0", "7 2 2 2"),
    ("#6b7280", "1 2"),
)
"""Colour and dashes of the subject's line, then of the others': told apart without colour, too."""
GREY, INK = "#9aa5b1", "#1b2430"


def _frame(label: str, across: str, up: str, inside: str, most: float = 1.0, most_up: float | None = None) -> str:
    """Return a square plot with what is drawn ``inside``, from 0 to ``most`` on both axes, or to ``most_up`` on the upright one."""
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM
    ticks = "".join(_ticks(most, most if most_up is None else most_up))
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f'<g transform="translate({LEFT} {TOP})"><rect width="{SIDE}" height="{SIDE}" class="area"/>{ticks}{inside}'
        f'<text x="{SIDE / 2}" y="{SIDE + 25}" class="axis" text-anchor="middle">{escape(across)}</text>'
        f'<text transform="translate(-25 {SIDE / 2}) rotate(-90)" class="axis" text-anchor="middle">{escape(up)}</text>'
        "</g></svg>"
    )


def _ticks(most: float, most_up: float) -> Iterator[str]:
    for share in (0.0, 0.5, 1.0):
        at, text, up = share * SIDE, f"{share * most:.2g}", f"{share * most_up:.2g}"
        anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
        if 0 < share < 1:
            yield f'<path d="M{at:g} 0V{SIDE}M0 {at:g}H{SIDE}" class="grid"/>'
        yield f'<text x="{at:g}" y="{SIDE + 11}" class="tick" text-anchor="{anchor}">{text}</text>'
        yield f'<text x="-4" y="{SIDE - at + 3:g}" class="tick" text-anchor="end">{up}</text>'


def _line(points: Sequence[Point], number: int) -> str:
    colour, dashes = LINES[min(number, len(LINES) - 1)]
    width = 1.8 if number == 0 else 1
    path = "L".join(f"{x * SIDE:.1f} {(1 - y) * SIDE:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _lines(curves: Sequence[Sequence[Point]]) -> str:
    """Return lines, the subject's last, so that it lies on top."""
    return "".join(_line(points, number) for number, points in reversed(list(enumerate(curves))) if points)


def roc_plot(finding: str, curves: Sequence[Curves | None], point: tuple[float, float] | None) -> str:
    """Return ROC curves, the subject's first; None: does not assess it. ``point``: its sensitivity and specificity."""
    chance = f'<path d="M0 {SIDE}L{SIDE} 0" class="chance"/>'
    inside = chance + _lines([one.roc if one else () for one in curves])
    if point is not None:
        inside += f'<circle cx="{(1 - point[1]) * SIDE:.1f}" cy="{(1 - point[0]) * SIDE:.1f}" r="3" class="cut"/>'
    return _frame(f"ROC curve of {finding}", "1 − specificity", "sensitivity", inside)


def precision_recall_plot(finding: str, curves: Sequence[Curves | None], share: float) -> str:
    """Return precision-recall curves over the share of positives, which is chance."""
    at = (1 - share) * SIDE
    inside = f'<path d="M0 {at:.1f}H{SIDE}" class="chance"/>'
    inside += _lines([one.precision_recall if one else () for one in curves])
    return _frame(f"Precision-recall curve of {finding}", "recall", "precision", inside)


def reliability_plot(finding: str, curves: Curves) -> str:
    """Return the observed share against the stated probability, with intervals, on axes that end where the bins do."""
    bins = curves.reliability
    top = max([0.02, *(max(one.stated, one.observed.high) for one in bins)])
    most = next(edge for edge in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0) if top <= edge or edge == 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        return x / most * SIDE, (1 - y / most) * SIDE

    inside = f'<path d="M0 {SIDE}L{SIDE} 0" class="chance"/>'
    for one in bins:
        x, y = place(one.stated, one.observed.value)
        low, high = place(0, one.observed.low)[1], place(0, one.observed.high)[1]
        inside += f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" class="whisker"/>'
        inside += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{LINES[0][0]}"/>'
    return _frame(f"Reliability of {finding}", "stated probability", "observed share", inside, most)


def risk_plot(name: str, points: Sequence[Point], at: Point | None = None) -> str:
    """Return the share of wrong answers against the share answered. ``at``: where the recommendation's rule stands."""
    top = max([0.02, *(error for _, error in points), *(() if at is None else (at[1],))])
    most = next(edge for edge in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0) if top <= edge)
    inside = _line([(share, error / most) for share, error in points], 0) if points else ""
    if at is not None:
        inside += f'<circle cx="{at[0] * SIDE:.1f}" cy="{(1 - at[1] / most) * SIDE:.1f}" r="3" class="cut"/>'
    return _frame(f"Risk and coverage of {name}", "share answered", "share wrong", inside, 1.0, most)


def legend(names: Sequence[str]) -> str:
    """Return which line is whose."""
    items = []
    for number, name in enumerate(names):
        colour, dashes = LINES[min(number, len(LINES) - 1)]
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        line = f'<path d="M0 5H26" stroke="{colour}" stroke-width="{2 if number == 0 else 1.4}"{dashed}/>'
        items.append(f'<span><svg class="key" viewBox="0 0 26 10" aria-hidden="true">{line}</svg>{escape(name)}</span>')
    return f'<p class="legend">{"".join(items)}</p>'


def whisker(figure: Interval, low: float, high: float, mark: float) -> str:
    """Return a dot with its interval on a scale from ``low`` to ``high``, and a line at ``mark``."""
    width, height = 120, 14

    def place(value: float) -> float:
        return (min(max(value, low), high) - low) / (high - low) * (width - 8) + 4

    inside = f'<path d="M{place(mark):.1f} 0V{height}" class="mark"/>'
    inside += f'<path d="M{place(figure.low):.1f} 7H{place(figure.high):.1f}" class="whisker"/>'
    inside += f'<circle cx="{place(figure.value):.1f}" cy="7" r="3" fill="{LINES[0][0]}"/>'
    return f'<svg class="forest" viewBox="0 0 {width} {height}" aria-hidden="true">{inside}</svg>'


def plots_of(finding: str, curves: Mapping[str, Mapping[str, Curves]], order: Sequence[str]) -> list[Curves | None]:
    """Return one finding's curves, in the order of the legend."""
    return [curves.get(who, {}).get(finding) for who in order]
