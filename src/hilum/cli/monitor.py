"""``hilum monitor``: has the world moved?"""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from hilum.cli.options import Models, models_folder
from hilum.errors import ConfigError

if TYPE_CHECKING:
    from hilum.monitor.journal import Rows
    from hilum.monitor.summary import Summary
    from hilum.records import Reference

Baseline = Annotated[
    int, typer.Option(min=0, help="Hold films against the folder's own first so many, not against the reference.")
]


def monitor(
    folder: Annotated[Path, typer.Argument(help="The folder that the setting monitor names.", show_default=False)],
    baseline: Baseline = 0,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="Only films of this day and later.")
    ] = None,
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(help="File that the page is written to.", show_default=False)] = None,
    power: Annotated[bool, typer.Option("--power", help="Say how many films a shift takes to be seen.")] = False,
) -> None:
    """Say whether the films have moved away from the reference. Exit code 0: they have not; 1: some statistic has."""
    from hilum.monitor.summary import summarise, to_dict

    rows, reference = _open(folder, baseline, since, models)
    summary = summarise(rows, reference, baseline)
    if html is not None:
        from hilum.monitor.page import to_html

        html.write_bytes(to_html(summary))
    if as_json:
        typer.echo(json.dumps(to_dict(summary), ensure_ascii=False, allow_nan=False))
    else:
        _print(summary, Console())
    if power:
        _print_power(summary, Console(stderr=as_json))
    raise typer.Exit(1 if summary.moved else 0)


def _open(folder: Path, baseline: int, since: datetime | None, models: Path | None) -> tuple[Rows, Reference | None]:
    """Return the rows by the last members that wrote any, and the reference of these members."""
    from hilum.monitor.journal import read_rows
    from hilum.monitor.statistics import weights_of
    from hilum.registry import load_reference, shipped_folder

    rows = read_rows(folder)
    if rows is not None and since is not None:
        rows = rows.where([date.fromisoformat(day) >= since.date() for day in rows.days])
    if rows is None or not len(rows.values):
        raise ConfigError("The folder holds no films. Expected rows that a service with the setting monitor wrote.")
    if baseline:
        return rows, None
    own = models_folder(models)
    for place in (*((own,) if own else ()), shipped_folder()):
        reference = load_reference(place)
        if reference is not None and weights_of(reference.record.members) == rows.weights:
            return rows, reference
    raise ConfigError(
        "There is no reference of the members that these films were read by. Give --baseline N, or measure one: "
        "hilum models reference."
    )


def _print(summary: Summary, console: Console) -> None:
    days = f"{summary.first_day} to {summary.last_day}"
    console.print(f"{summary.films:,} films, {days}, against {summary.reference}", highlight=False, markup=False)
    if summary.other:
        console.print(f"{summary.other:,} lines were left out: by other members, or not to be read", highlight=False)
    if not summary.moved:
        nearest = summary.levels[-1].max()
        console.print(f"Nothing has moved; the nearest statistic is at {nearest:.0%} of an alarm.", highlight=False)
    for one in summary.moved:
        console.print(f"\n{one.sentence}", highlight=False, markup=False, soft_wrap=True)
        console.print(f"  since about film {one.since_film:,} ({one.since_day})", highlight=False)
        console.print(f"  seen at film {one.seen_film:,} ({one.seen_day}); alarms: {one.alarms}", highlight=False)
        console.print(f"  look at: {one.look_at}", highlight=False, markup=False, soft_wrap=True)


def _print_power(summary: Summary, console: Console) -> None:
    from hilum.monitor.power import SHIFTS, quantiles, spoken

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("Shift (standard deviations)", "Films, median", "Films, 90 %"):
        table.add_column(column)
    for shift in SHIFTS:
        median, most = quantiles(summary.reference_films, len(summary.names), shift)
        table.add_row(f"{shift:g}", spoken(median), spoken(most))
    console.print()
    console.print(table)
