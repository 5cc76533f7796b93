"""``hilum prevalence``: what a positive and a negative answer mean where findings are as common as at your site."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from hilum.cli.figures import figure
from hilum.cli.labelled import MinOriginalWidth, Patients, SourceOption, score_patients
from hilum.cli.options import Bundles, Models, Prevalences, open_chosen
from hilum.errors import ConfigError
from hilum.levels import DISCLAIMER
from hilum.records import Interval

if TYPE_CHECKING:
    from hilum.evaluation.predictive import Predictive, Share
    from hilum.pipeline import Engine

WIDE = 143
"""Columns of a terminal that a line a finding needs; on a narrower one intervals stand below their figures."""


def prevalence(
    bundles: Bundles = None,
    shares: Prevalences = None,
    models: Models = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled films to measure on: a CSV, or a data set's folder.", show_default=False),
    ] = None,
    patients: Patients = None,
    min_original_width: MinOriginalWidth = 0,
    source: SourceOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Give the predictive values of each finding at each policy's operating point, with 95 % intervals.

    Sensitivity and specificity come from the models' own records, or with --data from your films.
    """
    from hilum.evaluation.bootstrap import patient_draws
    from hilum.evaluation.predictive import from_answers, from_points
    from hilum.evaluation.scoring import points_of, subject_of

    engine = open_chosen(bundles, models, shares)
    who, points = subject_of(engine), points_of(engine)
    assumed = _prevalences(engine)
    if data is None:
        found = list(from_points(points[who], assumed))
    else:
        scores = score_patients(engine, data, patients, min_original_width, source)
        found = list(from_answers(scores.answers(who, patient_draws(scores.patients)), assumed))
    if not found:
        raise ConfigError(
            "No operating point has both a known sensitivity and specificity and a prevalence. Expected --data with labelled "
            "films, or --prevalence FINDING=SHARE, or models that state them."
        )
    if as_json:
        rows = [asdict(one) for one in found]
        whole = {"subject": who, "measured_on": "record" if data is None else "data", "findings": rows}
        typer.echo(json.dumps(whole | {"disclaimer": DISCLAIMER}, ensure_ascii=False))
    else:
        print_predictive(who, found, Console())


def _prevalences(engine: Engine) -> dict[str, float]:
    """Return finding → the site's prevalence, or the first member's reference where the site's was not given."""
    references = {
        output.name: output.prevalence
        for member in reversed(engine.members)
        for output in member.manifest.outputs
        if output.assessed and output.prevalence is not None
    }
    return references | dict(engine.prevalence or {})


def print_predictive(who: str, found: Sequence[Predictive], console: Console) -> None:
    """Print a line for each finding and policy, or two where there is little room, so that no number is cut."""
    console.print(f"{who}: sensitivity, specificity and predictive values, with 95 % intervals")
    wide = console.width >= WIDE
    grid = Grid(box=None, padding=(0, 2 if wide else 1, 0, 0))
    for name in ("Finding", "Policy", "At") if wide else ("Finding",):
        grid.add_column(name, no_wrap=True)
    for name in ("Sens.", "Spec.", "PPV", "NPV", "Positive"):
        grid.add_column(name, no_wrap=True)
    for one in found:
        shares = (one.sensitivity, one.specificity, one.ppv, one.npv, one.flagged)
        at = f"{one.prevalence:.2%}"
        whose = (one.finding, one.policy, at) if wide else (f"{one.finding}\n{one.policy} at {at}",)
        grid.add_row(*whose, *(_text(share, wide) for share in shares))
    console.print(grid)
    if any(one.positives is None for one in found):
        console.print("Without an interval: the record does not say on how many films; --data measures it on yours.")


def _text(share: Share | None, wide: bool) -> str:
    if share is None:
        return "none"
    if share.low is None or share.high is None:
        return f"{share.value:.3f}"
    return figure(Interval(share.value, share.low, share.high), wide)
