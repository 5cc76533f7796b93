"""The scorecard: an evaluation as one self-contained HTML document, without scripts, that reads well on screen and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from hilum.evaluation.record import Evaluation
from hilum.evaluation.scorecard.cells import bullets
from hilum.evaluation.scorecard.claim import claim
from hilum.evaluation.scorecard.curves import curves
from hilum.evaluation.scorecard.findings import findings, members
from hilum.evaluation.scorecard.groups import groups
from hilum.evaluation.scorecard.heatmaps import localisation
from hilum.evaluation.scorecard.made import made
from hilum.evaluation.scorecard.promises import promises
from hilum.evaluation.scorecard.style import STYLE
from hilum.evaluation.scorecard.summary import heading, sentences, tiles, warnings_of
from hilum.evaluation.scoring import ENSEMBLE


def to_html(evaluation: Evaluation) -> bytes:
    """Return the scorecard as a UTF-8 HTML document."""
    title = escape(heading(evaluation))
    body = "".join(_sections(evaluation))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><header><h1>{title}</h1>{_opening(evaluation)}</header>{body}"
        f'<p class="disclaimer">{escape(evaluation.disclaimer)}</p></body></html>'
    ).encode()


def _opening(evaluation: Evaluation) -> str:
    shown = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
        for name, value, note in tiles(evaluation)
    )
    first, second, *others = sentences(evaluation)
    return f'<p class="lead">{escape(first)} {escape(second)}</p><dl class="tiles">{shown}</dl>{bullets(others)}'


def _sections(evaluation: Evaluation) -> Iterator[str]:
    yield _section("findings", "Finding by finding", findings(evaluation))
    if len(evaluation.judged) > 1 and evaluation.subject == ENSEMBLE:
        yield _section("members", "The ensemble beside its members", members(evaluation))
    yield _section("curves", "Curves", curves(evaluation))
    yield _section("promises", "Are promises kept?", promises(evaluation))
    yield _section("groups", "Groups", groups(evaluation))
    yield _section("heatmaps", "Heat maps against readers’ boxes", localisation(evaluation))
    yield _section("limits", "What these figures do not say", bullets(warnings_of(evaluation, evaluation.subject)))
    yield _section("claim", "CLAIM: what this page answers, and what it leaves open", claim())
    yield _section("made", "Films, models, software", made(evaluation))


def _section(name: str, title: str, content: str | Iterable[str]) -> str:
    return f'<section id="{name}"><h2>{escape(title)}</h2>{"".join(content)}</section>'
