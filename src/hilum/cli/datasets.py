"""``hilum datasets``: what a data set holds, splits of its patients, leaks between their sides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid
from rich.text import Text

from hilum.datasets.layouts import Layout
from hilum.errors import ConfigError

if TYPE_CHECKING:
    from hilum.datasets.describe import Description
    from hilum.datasets.leaks import Leaks
    from hilum.datasets.table import Row, Table

app = typer.Typer(no_args_is_help=True, help="Describe, split and check data sets of labelled films.")

Data = Annotated[Path, typer.Argument(help="The folder of a data set, or a CSV of labelled films.", show_default=False)]
LayoutOption = Annotated[Layout | None, typer.Option(help="The data set's; told by its files if not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]

KINDS = {"patients": "patients on both", "same_pixels": "identical films", "near_duplicates": "near-duplicates"}
SHOWN = 20
"""Leaks of a kind that are printed as text; JSON has all."""


@app.command()
def describe(data: Data, layout: LayoutOption = None, as_json: AsJson = False) -> None:
    """Count films, patients, views and label sources, and for each finding what is present, absent, uncertain and unknown."""
    from hilum.datasets.describe import describe as describe_table
    from hilum.datasets.layouts import open_table

    description = describe_table(open_table(data, layout))
    if as_json:
        typer.echo(json.dumps(asdict(description), ensure_ascii=False))
    else:
        print_description(description, Console())


def print_description(description: Description, console: Console) -> None:
    """Print what a data set holds: one line for each kind of count, then one row for each finding."""
    console.print(
        f"Layout {description.layout}: {description.films} films, {description.patients} patients, {description.studies} studies"
    )
    for name, counts in (
        ("Views", description.views),
        ("Sexes", description.sexes),
        ("Sources", description.sources),
        ("Splits", description.splits),
        ("Label sources", description.label_sources),
        ("Licences of the films", description.image_licences),
        ("Licences of the labels", description.label_licences),
    ):
        told = ", ".join(f"{value or 'unknown'} {count}" for value, count in counts.items())
        console.print(Text(f"{name}: {told or 'none'}"), soft_wrap=True)
    if description.age is not None:
        youngest, median, oldest = description.age
        console.print(f"Ages: {youngest:.0f} to {oldest:.0f}, median {median:.0f}")
    if description.not_there:
        console.print(Text(f"{description.not_there} films are listed and not there", style="yellow"))
    if description.dropped:
        console.print(
            Text(f"Columns without a counterpart here, left out: {', '.join(description.dropped)}", style="yellow"),
            soft_wrap=True,
        )
    grid = Grid("Finding", box=None, padding=(0, 2, 0, 0))
    for column in ("Present", "Absent", "Uncertain", "Unknown", "Patients with it"):
        grid.add_column(column, justify="right")
    for name, count in description.findings.items():
        cells = (count.present, count.absent, count.uncertain, count.unknown, count.patients)
        grid.add_row(name, *map(str, cells))
    console.print(grid)


@app.command()
def split(
    data: Data,
    out: Annotated[
        Path, typer.Option(help="The file to write, or the folder for the files of the folds.", show_default=False)
    ],
    fraction: Annotated[float | None, typer.Option(help="Split this share of the patients off, such as 0.1.")] = None,
    folds: Annotated[int | None, typer.Option(help="Deal all patients into so many folds.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same split.")] = 1,
    without: Annotated[
        list[Path] | None,
        typer.Option(help="Leave these patients out, a CSV with the column patient_id; may be repeated."),
    ] = None,
    part: Annotated[
        str, typer.Option("--split", help="Only patients of this part of the publisher's own split, such as train.")
    ] = "",
    layout: LayoutOption = None,
) -> None:
    """Split by patient so that each finding keeps its share; the same data and seed give the same split."""
    from hilum.datasets.layouts import open_table
    from hilum.datasets.split import read_patients, split_folds, split_patients, write_patients

    if (fraction is None) == (folds is None):
        raise ConfigError("Expected either --fraction or --folds.")
    table = open_table(data, layout).where(lambda row: not part or row.split == part)
    if not table.rows:
        raise ConfigError(
            "The data set's own split has no such part. Expected train, validation or test, or no --split."
        )
    for path in without or ():
        table = table.without_patients(read_patients(path))
    if fraction is not None:
        parts = {out: split_patients(table, fraction, seed)}
    else:
        parts = {out / f"fold-{n}.csv": fold for n, fold in enumerate(split_folds(table, folds or 0, seed), start=1)}
    if any(path.exists() for path in parts):
        raise ConfigError("A split of that name exists. Splits are never overwritten: expected another --out.")
    for path, patients in parts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_patients(path, patients)
    sides = {path.name: table.of_patients(patients) for path, patients in parts.items()}
    if fraction is not None:
        sides["the rest"] = table.without_patients(parts[out])
    print_sides(sides, Console())


def print_sides(sides: Mapping[str, Table], console: Console) -> None:
    """Print how many patients each side has, and how many with each finding."""
    from hilum.findings import OUTPUTS

    grid = Grid("Patients", *sides, box=None, padding=(0, 2, 0, 0))
    grid.add_row("all", *(str(len(side.patients)) for side in sides.values()))
    for name in OUTPUTS:
        counts = [len({row.patient for row in side.rows if row.label(name) == 1}) for side in sides.values()]
        if any(counts):
            grid.add_row(name, *map(str, counts))
    console.print(grid)


@app.command()
def leaks(
    data: Data,
    patients: Annotated[
        list[Path] | None,
        typer.Option(
            help="One side of the split, a CSV with the column patient_id; may be repeated. Who is on none is a further side."
        ),
    ] = None,
    layout: LayoutOption = None,
    as_json: AsJson = False,
) -> None:
    """Search every pair of sides for a patient, a film or nearly the same film on both. Exit code 1 if there is one.

    Without --patients the sides are the data set's official split.
    """
    from hilum.datasets.layouts import open_table
    from hilum.datasets.leaks import compare_prints
    from hilum.datasets.prints import choose_prints, read_prints

    table = open_table(data, layout)
    console = Console(stderr=True)
    rows = track(table.rows, "Reading", console=console, transient=True, disable=not console.is_terminal)
    sides = _sides(table, patients or [])
    read, prints = read_prints(table, rows)
    found = []
    for one, other in combinations(sides, 2):
        first, second = ([n for n, row in enumerate(read.rows) if sides[side](row)] for side in (one, other))
        tables = [replace(read, rows=tuple(read.rows[n] for n in places)) for places in (first, second)]
        compared = compare_prints(tables[0], choose_prints(prints, first), tables[1], choose_prints(prints, second))
        found.append({"sides": [one, other], **_in_words(compared, *tables)})
    if as_json:
        unreadable = len(table.rows) - len(read.rows)
        answer = {"films": len(read.rows), "unreadable": unreadable, "pairs": found}
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        print_leaks(found, len(read.rows), len(table.rows) - len(read.rows), Console())
    raise typer.Exit(1 if any(pair[kind] for pair in found for kind in KINDS) else 0)


def _sides(table: Table, files: list[Path]) -> dict[str, Callable[[Row], bool]]:
    """Return each side's name and which films are on it. Raises ``ConfigError`` where there are not two sides."""
    from hilum.datasets.split import read_patients

    if not files:
        official = sorted({row.split for row in table.rows if row.split})
        if len(official) < 2:
            raise ConfigError("The data set has no official split. Expected --patients, once for each side.")
        return {name: partial(_is_in_split, name) for name in official}
    sides = {path.name: read_patients(path) for path in files}
    if len(sides) < len(files):
        raise ConfigError(
            "Two files of patients have the same name. Expected each side once, each with a name of its own."
        )
    known = frozenset().union(*sides.values())
    rest = frozenset(table.patients) - known
    return {name: partial(_is_of, chosen) for name, chosen in {**sides, "the rest": rest}.items()}


def _is_in_split(name: str, row: Row) -> bool:
    return row.split == name


def _is_of(patients: frozenset[str], row: Row) -> bool:
    return row.patient in patients


def _in_words(found: Leaks, first: Table, second: Table) -> dict[str, list[str] | list[list[str]]]:
    """Return patients, and pairs of paths in the data set's folder."""

    def paths(pairs: Iterable[tuple[int, int]]) -> list[list[str]]:
        return [[first.rows[one].image.as_posix(), second.rows[other].image.as_posix()] for one, other in pairs]

    return {
        "patients": list(found.patients),
        "same_pixels": paths(found.same_pixels),
        "near_duplicates": paths(found.near_duplicates),
    }


def print_leaks(found: list[dict[str, Any]], films: int, unreadable: int, console: Console) -> None:
    """Print counts for each pair of sides, and the first of what was found."""
    console.print(f"{films} films read, {unreadable} could not be")
    for pair in found:
        counts = ", ".join(f"{len(pair[kind])} {words}" for kind, words in KINDS.items())
        style = "red" if any(pair[kind] for kind in KINDS) else ""
        console.print(Text(f"{pair['sides'][0]} and {pair['sides'][1]}: {counts}", style=style), soft_wrap=True)
        for kind, words in KINDS.items():
            for leak in pair[kind][:SHOWN]:
                told = leak if isinstance(leak, str) else " and ".join(leak)
                console.print(Text(f"  {words}: {told}"), soft_wrap=True)
