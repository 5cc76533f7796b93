"""The small parts of the scorecard: numbers with their intervals, tables, lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from hilum.evaluation.scoring import ENSEMBLE
from hilum.records import Interval


def bullets(items: Iterable[str]) -> str:
    """Return a list of plain texts."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table of cells that are HTML already; the first of a row is its heading."""
    titles = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def figure(found: Interval | None, digits: int = 3, signed: bool = False) -> str:
    """Return a figure with its interval below it."""
    if found is None:
        return '<span class="none">too few films</span>'
    form = f"{'+' if signed else ''}.{digits}f"
    value, low, high = (decimal(one, form) for one in (found.value, found.low, found.high))
    between = " to " if signed or found.low < 0 else "–"
    return f"{value}<small>{low}{between}{high}</small>"


def decimal(value: float, form: str) -> str:
    """Return a number with a true minus, and never a minus zero."""
    text = format(value, form)
    return (text if float(text) else format(0.0, form)).replace("-", "−")


def bold(cell: str, stands_out: bool) -> str:
    """Return a cell, marked where it stands out."""
    return f"<b>{cell}</b>" if stands_out else cell


def spoken(who: str) -> str:
    """Return what a sentence calls a member, or the ensemble."""
    return "the ensemble" if who == ENSEMBLE else who


def clear(gain: Interval) -> bool:
    """Return whether a difference's interval leaves 0 out."""
    return gain.low > 0 or gain.high < 0
