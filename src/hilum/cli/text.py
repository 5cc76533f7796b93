"""One film's answer on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hilum.levels import DISCLAIMER
from hilum.records import Analysis, Finding, MemberResult
from hilum.report.words import coverage, disagreements, interval, normal_claim

if TYPE_CHECKING:
    from hilum.cli.answer import Answer

BAR = 12
WIDE = 112
"""Columns that the whole table takes."""


def print_answer(answer: Answer, console: Console) -> None:
    """Print the answer for one file: its table, or why there is none."""
    console.print(Text(answer.file, style="bold"), soft_wrap=True)
    if answer.analysis is None:
        console.print(Text(f"  could not be read: {answer.error}", style="red"), soft_wrap=True)
    elif not answer.analysis.verdict.accepted:
        for reason in answer.analysis.verdict.refusals:
            console.print(Text(f"  refused: {reason.message} ({reason.code})", style="yellow"), soft_wrap=True)
        _print_warnings(answer.analysis, console)
    else:
        _print_analysis(answer.analysis, console)
    console.print()


def _print_warnings(analysis: Analysis, console: Console) -> None:
    for reason in analysis.verdict.warnings:
        console.print(Text(f"  warning: {reason.message} ({reason.code})", style="yellow"), soft_wrap=True)


def _print_analysis(analysis: Analysis, console: Console) -> None:
    _print_warnings(analysis, console)
    console.print(_indented(analysis.recommendation or ""))
    above = ", ".join(finding.name for finding in analysis.findings if finding.positive) or "none"
    console.print(
        _indented(
            f"Ensemble confidence {analysis.ensemble_confidence}, {analysis.level}. Above their operating point: {above}."
        )
    )
    for note in (
        *analysis.conflicts,
        *disagreements(analysis),
        *(f"{m.name}: {text}" for m in analysis.provenance.models for text in m.warnings),
    ):
        console.print(_indented(note, style="yellow"))
    console.print(_table(analysis, console.width >= WIDE))
    for member in analysis.members:
        if not member.in_ensemble:
            console.print(_indented(_outside(member)))
    for note in filter(None, (coverage(analysis), normal_claim(analysis) and f"Normal: {normal_claim(analysis)}")):
        console.print(_indented(note, style="dim"))
    if analysis.not_assessed:
        console.print(_indented(f"Not assessed: {', '.join(analysis.not_assessed)}.", style="dim"))
    for model in analysis.provenance.models:
        console.print(_indented(f"{model.name}, version {model.version}, sha256 {model.sha256[:12]}…", style="dim"))
    console.print(_indented(DISCLAIMER, style="dim"))


def _indented(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2), expand=False)


def _table(analysis: Analysis, wide: bool) -> Table:
    """Return the findings' table; where there is little room, without bars and spread, so that no number is cut."""
    known = analysis.promise is not None
    table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0))
    columns = [
        ("  Finding", False),
        ("Confidence", False),
        ("", False),
        ("Operating point", True),
        ("Spread", True),
        ("Probability", True),
    ]
    if known:
        columns += [("Interval", True), ("Set", False)]
    shown = [column for column, (name, _) in enumerate(columns) if wide or name not in ("", "Spread")]
    for column in shown:
        name, number = columns[column]
        table.add_column(
            name if wide else name.replace(" point", "\npoint"), justify="right" if number else "left", no_wrap=True
        )
    for finding in analysis.findings:
        cells = (*_cells(finding), interval(finding), finding.set or "")
        table.add_row(*(cells[column] for column in shown), style="bold" if finding.positive else "")
    return table


def _outside(member: MemberResult) -> str:
    """Return the answer of a member that has no part in the findings."""
    answers = ", ".join(f"{one.name} {one.confidence:.1f}{' ▲' if one.positive else ''}" for one in member.predictions)
    return f"{member.model}, not in the ensemble (▲ above its own operating point): {answers}."


def _cells(finding: Finding) -> tuple[str, ...]:
    place = {True: "above", False: "below", None: ""}[finding.positive]
    return (
        f"  {finding.name}",
        f"{finding.confidence:.1f}",
        "█" * round(finding.confidence / 100 * BAR),
        "unknown" if finding.threshold is None else f"{place} {finding.threshold:.1f}",
        "" if finding.spread is None else f"{finding.spread:.1f}",
        "unknown" if finding.probability is None else f"{finding.probability:.1%} at {finding.prevalence:.1%}",
    )
