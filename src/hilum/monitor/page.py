"""A summary as one self-contained HTML document, without scripts and without a patient: no film's own row stands in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

import numpy as np

from hilum.evaluation.scorecard.cells import table
from hilum.evaluation.scorecard.style import STYLE
from hilum.levels import DISCLAIMER
from hilum.monitor.plots import course, distribution, nearness
from hilum.monitor.summary import Summary, centre, shown
from hilum.monitor.words import label_of

_OWN_STYLE = """
.key { display: inline-block; width: 1.6rem; height: 0; border-top: 2px solid #0f62a8; margin-right: .4rem;
  vertical-align: middle; }
.key.reference { border-color: #8993a0; } .key.alarm { border-color: #b3261e; }
.grid-of-plots { grid-template-columns: minmax(0, 1fr); } figcaption small { white-space: normal; }
.moved figcaption { color: #b3261e; }
.moves th:first-child { width: 30%; } .moves th:last-child { width: 36%; } .moves td { line-height: 1.35; }
"""


def to_html(summary: Summary) -> bytes:
    """Return the page as a UTF-8 HTML document."""
    count = len(summary.moved)
    title = "Monitor: nothing has moved" if not count else f"Monitor: {count} of {len(summary.names)} statistics moved"
    body = "".join(_sections(summary))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}{_OWN_STYLE}</style></head>'
        f"<body><header><h1>{title}</h1>{_opening(summary)}</header>{body}"
        f'<p class="disclaimer">{escape(DISCLAIMER)}</p></body></html>'
    ).encode()


def _opening(summary: Summary) -> str:
    nearest = summary.levels[-1].max()
    tiles = (
        ("Films", f"{summary.films:,}", f"{summary.first_day} to {summary.last_day}"),
        ("Moved", f"{len(summary.moved)}", f"of {len(summary.names)} statistics"),
        ("Refused by the gate", f"{summary.refused:.1%}", f"in the reference {summary.reference_refused:.1%}"),
        ("Nearest to an alarm now", f"{nearest:.0%}", label_of(summary.names[int(summary.levels[-1].argmax())]).title),
    )
    shown_tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
        for name, value, note in tiles
    )
    return (
        f'<p class="lead">These films were held against {escape(summary.reference)}, one after the other. While nothing moves, '
        f"at most one false alarm is expected in {summary.per_false_alarm:,} films, over all statistics together.</p>"
        f'<dl class="tiles">{shown_tiles}</dl>'
    )


def _sections(summary: Summary) -> Iterator[str]:
    if summary.moved:
        yield _section("moved", "What has moved", _moved(summary))
    yield _section("statistics", "Statistic by statistic", _figures(summary))
    yield _section("table", "In figures", _table(summary))
    yield _section("limits", "What this page does not say", _limits(summary))


def _moved(summary: Summary) -> str:
    rows = [
        (
            escape(one.sentence),
            f"film {one.since_film:,}<small>{one.since_day}</small>",
            f"film {one.seen_film:,}<small>{one.seen_day}</small>",
            str(one.alarms),
            escape(one.look_at),
        )
        for one in summary.moved
    ]
    return table(("What", "Since about", "Seen at", "Alarms", "Look at"), rows, "moves small")


def _figures(summary: Summary) -> Iterator[str]:
    yield (
        '<p class="legend"><span><i class="key"></i>these films</span><span><i class="key reference"></i>the reference, with its '
        'middle half and middle nine tenths</span><span><i class="key alarm"></i>alarm</span></p><div class="grid-of-plots">'
    )
    moved = {one.statistic: one.seen_film - 1 for one in summary.moved}
    for name in sorted(summary.names, key=lambda name: name not in moved):
        column, label = summary.names.index(name), label_of(name)
        known, films = summary.reference_values[:, column], summary.values[:, column]
        kind = ' class="moved"' if name in moved else ""
        yield f"<figure{kind}><figcaption>{escape(label.title)}<small>{escape(label.what)}</small></figcaption>"
        yield distribution(label.title, known, films)
        yield course(label.title, known, films, name == "refused")
        yield nearness(label.title, summary.levels[:, column], [moved[name]] if name in moved else [])
        yield "</figure>"
    yield "</div>"


def _table(summary: Summary) -> str:
    rows = []
    for column, name in enumerate(summary.names):
        known, films = summary.reference_values[:, column], summary.values[:, column]
        cells = [f"{shown(name, centre(name, one))}<small>{_half(name, one)}</small>" for one in (known, films)]
        rows.append((escape(label_of(name).title), *cells, f"{summary.levels[-1, column]:.0%}"))
    return table(
        ("Statistic", "Reference: median, middle half", "These films", "Nearness to an alarm"), rows, "figures small"
    )


def _half(name: str, values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    if name == "refused" or not len(known):
        return f"{len(known):,} films"
    return "–".join(f"{edge:.3g}" for edge in np.quantile(known, [0.25, 0.75]))


def _limits(summary: Summary) -> str:
    texts = [
        "Whether the answers are still right. A shift that was seen is a reason to look; that none was seen is no proof, and "
        "answers can grow worse without one. Only films with known findings tell: hilum evaluate.",
        "Which of two causes it was. Many statistics move together; what moved first and most says where to look first.",
        "Anything that happens within a day or a week: films of one ward, or of one patient, one after the other, are "
        "not exchangeable, and can raise an alarm although nothing has changed.",
    ]
    if summary.other:
        texts.append(f"Anything about {summary.other:,} lines of the folder: by other members, or not to be read.")
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def _section(name: str, title: str, content: str | Iterable[str]) -> str:
    return f'<section id="{name}"><h2>{escape(title)}</h2>{"".join(content)}</section>'
