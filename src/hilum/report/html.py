"""The report: one self-contained HTML document that reads well on screen and on paper."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from html import escape

from PIL import Image

from hilum.findings import NORMAL
from hilum.levels import DISCLAIMER
from hilum.records import Analysis, Finding, MemberResult, ModelProvenance, Radiograph
from hilum.report.film import jpeg, mean_map, overlay, thumbnail
from hilum.report.words import coverage, disagreements, interval, map_caption, normal_claim

STYLE = """
:root { color-scheme: light; } body { font: 15px/1.5 system-ui, sans-serif; color: #1b2430; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; } table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #d8dee6; vertical-align: top; } td.number, th.number { text-align: right; } td.number { white-space: nowrap; }
figure { display: inline-block; vertical-align: top; margin: 0 1rem 0 0; } figcaption, .note { color: #4a5666; font-size: .85rem; } figcaption { max-width: 26rem; } img { width: 26rem; max-width: 100%; background: #000; }
.headline { font-size: 1.15rem; margin: .8rem 0 .2rem; } .positive td { font-weight: 600; } .warning { border-left: 4px solid #b45309; padding-left: .7rem; }
.disclaimer { border: 1px solid #8a95a3; padding: .5rem .8rem; margin-top: 1.6rem; } code { font-size: .85em; word-break: break-all; }
@media print { body { margin: 0; } h2 { break-after: avoid; } table, figure { break-inside: avoid; } }
"""  # noqa: E501
ABOVE = "\N{NO-BREAK SPACE}▲"
PICTURE = 512
"""Pixels of the longer side of a film in the report."""


def to_html(analysis: Analysis, image: Radiograph | None = None) -> bytes:
    """Return the report as a UTF-8 HTML document; with ``image``, the film and its heat map stand in it."""
    body = "".join(_accepted(analysis, image) if analysis.verdict.accepted else _refused(analysis, image))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>hilum: chest radiograph report</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f'<h1>Chest radiograph, read by hilum</h1>{body}<p class="disclaimer">{escape(DISCLAIMER)}</p></body></html>'
    ).encode()


def _refused(analysis: Analysis, image: Radiograph | None) -> Iterator[str]:
    yield '<p class="headline">This film was not read.</p><ul>'
    yield from (f"<li>{escape(reason.message)}</li>" for reason in analysis.verdict.reasons)
    yield "</ul>"
    if image is not None:
        yield _figure(thumbnail(image, PICTURE), "The film as given")
    yield _source(analysis)


def _accepted(analysis: Analysis, image: Radiograph | None) -> Iterator[str]:
    if analysis.recommendation is not None:
        yield f'<p class="headline">{escape(analysis.recommendation)}</p>'
        level = f"Ensemble confidence {analysis.ensemble_confidence:.1f}, level {escape(analysis.level or '')}."
        yield f"<p>{level} {_above(analysis)}</p>"
    yield from (f'<p class="warning">{escape(text)}</p>' for text in _warnings(analysis))
    if image is not None:
        yield from _pictures(analysis, image)
    yield f"<h2>Findings</h2>{_findings(analysis.findings)}"
    yield (
        '<p class="note">Confidence: how likely the finding would be, had it been as likely as not before the film. '
        "Probability: how likely it is where the share of films in brackets shows it. Spread: largest minus smallest "
        "confidence of the members, – where one member alone assesses it. Operating point: the confidence from which the "
        "finding counts as present, with sensitivity and specificity on validation patients. "
        f"{escape(coverage(analysis))} {escape(normal_claim(analysis))}</p>"
    )
    if analysis.not_assessed:
        yield f"<p>Not assessed: {escape(', '.join(analysis.not_assessed))}.</p>"
    yield '<h2>Members</h2><p class="note">▲ at or above that member’s own operating point.</p>'
    yield from map(_member, analysis.members)
    yield "<h2>By which weights, trained on what</h2><ul>"
    yield from (f"<li>{_model(model)}</li>" for model in analysis.provenance.models)
    yield "</ul>"
    yield _source(analysis)


def _above(analysis: Analysis) -> str:
    above = [finding.name for finding in analysis.findings if finding.positive]
    listed = escape(", ".join(above)) or "none"
    return f"Above their operating point: <strong>{listed}</strong>."


def _warnings(analysis: Analysis) -> Iterable[str]:
    yield from (reason.message for reason in analysis.verdict.warnings)
    yield from analysis.conflicts
    yield from disagreements(analysis)
    for model in analysis.provenance.models:
        yield from (f"{model.name}: {warning}" for warning in model.warnings)


def _pictures(analysis: Analysis, image: Radiograph) -> Iterator[str]:
    film = thumbnail(image, PICTURE)
    yield _figure(film, "The film, bright = dense")
    shown = next((f.name for f in analysis.findings if f.name != NORMAL), None)
    heatmap = None if shown is None else mean_map(analysis.heatmaps, shown)
    if heatmap is not None:
        yield _figure(overlay(film, image, heatmap), map_caption(heatmap))
    for name, reason in analysis.no_heatmap.items():
        yield f'<p class="note">{escape(name)} gives no heat map: {escape(reason)}.</p>'
    for one in (one for one in analysis.withheld if one.finding == shown):
        yield f'<p class="note">The heat map of {escape(one.model)} is withheld: {escape(one.reason)}.</p>'


def _figure(picture: Image.Image, caption: str) -> str:
    data, text = base64.b64encode(jpeg(picture)).decode(), escape(caption)
    return f'<figure><img alt="{text}" src="data:image/jpeg;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _findings(findings: Iterable[Finding]) -> str:
    head = "".join(
        f'<th class="number">{name}</th>'
        for name in ("Confidence", "Spread", "Operating point", "Sens. / spec.", "Probability", "Interval", "Set")
    )
    return f"<table><tr><th>Finding</th>{head}</tr>{''.join(map(_row, findings))}</table>"


def _row(finding: Finding) -> str:
    place = {True: "above", False: "below", None: "unknown"}[finding.positive]
    point = "unknown" if finding.threshold is None else f"{finding.threshold:.1f} ({place})"
    known = finding.sensitivity is not None and finding.specificity is not None
    quality = f"{finding.sensitivity:.2f} / {finding.specificity:.2f}" if known else "unknown"
    share = "unknown" if finding.probability is None else f"{finding.probability:.1%} ({finding.prevalence:.1%})"
    cells = (
        f"{finding.confidence:.1f}",
        "–" if finding.spread is None else f"{finding.spread:.1f}",
        point,
        quality,
        share,
        interval(finding) or "–",
        finding.set or "–",
    )
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    label = f"{finding.name} (none of the listed findings)" if finding.name == NORMAL else finding.name
    return f'<tr class="{"positive" if finding.positive else ""}"><td>{escape(label)}</td>{numbers}</tr>'


def _member(member: MemberResult) -> str:
    calibrated = "" if member.calibrated else " Not calibrated: its confidence is the raw score × 100."
    outside = "" if member.in_ensemble else " Not part of the ensemble."
    answers = ", ".join(f"{one.name} {one.confidence:.1f}{ABOVE if one.positive else ''}" for one in member.predictions)
    counts = f" {member.votes} votes in the ensemble." if member.in_ensemble and member.votes > 1 else ""
    return f"<p><strong>{escape(member.model)}</strong>: {escape(answers)}.{calibrated}{outside}{counts}</p>"


def _model(model: ModelProvenance) -> str:
    trained = model.trained_on
    counts = "" if trained.images is None else f", {trained.images:,} films of {trained.patients:,} patients"
    return (
        f"{escape(model.name)}, version {escape(model.version)}, {escape(model.precision)}: {escape(trained.dataset)}{counts}. "
        f"sha256 <code>{escape(model.sha256)}</code>"
    )


def _source(analysis: Analysis) -> str:
    source = analysis.source
    notes = "".join(f" {escape(note)}." for note in source.notes)
    return (
        f'<h2>The film</h2><p class="note">{escape(source.format)}, {source.width} × {source.height} pixels, '
        f"{source.bits} bits.{notes} "
        f"sha256 <code>{escape(source.sha256)}</code>. Read by {escape(analysis.provenance.software)}, operating points: "
        f"{escape(analysis.provenance.policy)}.</p>"
    )
