"""The tables by view, sex, age and source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from hilum.evaluation.record import Evaluation
from hilum.evaluation.scorecard.cells import bold, decimal, figure, spoken, table
from hilum.evaluation.subgroups import LEAST, Difference, Group, Measure
from hilum.findings import OUTPUTS

MEASURES: tuple[tuple[Measure, str], ...] = (
    ("auroc", "AUROC"),
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
)


def groups(evaluation: Evaluation) -> Iterator[str]:
    """Yield the tables of each attribute: its groups, and below them each finding in each group."""
    if not evaluation.groups:
        yield "<p>The table names no view, sex, age or source that divides these films.</p>"
        return
    yield (
        f"<p>Of {escape(spoken(evaluation.subject))}: the mean over the findings that the group can be judged for, and the gap, "
        "which is the group minus everybody else over the same findings. A gap in bold has an interval without 0; "
        f"with so many comparisons, some do by chance. A finding counts where the group and the others each have {LEAST} patients "
        "with it and without it.</p>"
    )
    for attribute in dict.fromkeys(group.attribute for group in evaluation.groups):
        groups = [group for group in evaluation.groups if group.attribute == attribute]
        yield f"<h3>{escape(attribute.capitalize())}</h3>"
        head = ["Group", "Films", "Patients", "Findings", *(cell for _, name in MEASURES for cell in (name, "Gap"))]
        yield table(head, [_group(group) for group in groups], "figures")
        yield from _by_finding(groups)


def _group(group: Group) -> Sequence[str]:
    if not group.means:
        return (
            escape(group.value),
            str(group.films),
            str(group.patients),
            '<span class="none">too few</span>',
            *[""] * 6,
        )
    cells = []
    for measure, _ in MEASURES:
        one = group.means.get(measure)
        cells += ["–", "–"] if one is None else [figure(one.inside), _gap(one)]
    return (escape(group.value), str(group.films), str(group.patients), str(len(group.findings)), *cells)


def _gap(one: Difference) -> str:
    return bold(figure(one.gap, 3, True), not one.gap.low <= 0 <= one.gap.high)


def _by_finding(groups: Sequence[Group]) -> Iterator[str]:
    """Yield the AUROC of each finding in each group that can be judged for some."""
    shown = [group for group in groups if group.findings]
    names = [name for name in OUTPUTS if any(name in group.findings for group in shown)]
    if not names:
        return
    rows = [
        (
            escape(name),
            *(
                f"{figure(group.findings[name]['auroc'].inside)}<small>gap {_plain(group.findings[name]['auroc'])}</small>"
                if name in group.findings
                else '<span class="none">too few</span>'
                for group in shown
            ),
        )
        for name in names
    ]
    yield table(("AUROC of", *(escape(group.value) for group in shown)), rows, "figures small")


def _plain(one: Difference) -> str:
    gap = one.gap
    value, low, high = (decimal(value, "+.3f") for value in (gap.value, gap.low, gap.high))
    text = f"{value} ({low} to {high})"
    return bold(text, not gap.low <= 0 <= gap.high)
