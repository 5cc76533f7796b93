"""``hilum evaluate``: members and ensemble on labelled films, by patient, with intervals."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from hilum.cli.figures import BELOW, BESIDE, figure
from hilum.cli.labelled import (
    Data,
    MinOriginalWidth,
    Patients,
    SourceOption,
    Split,
    UnmentionedOption,
    boxed_films,
    choose_films,
    this_command,
    with_bar,
)
from hilum.cli.options import Bundles, Models, PrecisionOption, open_chosen

if TYPE_CHECKING:
    from hilum.evaluation.record import Evaluation

HEAD = "AUROC (95 %)"


def evaluate(
    data: Data,
    bundles: Bundles = None,
    patients: Patients = None,
    models: Models = None,
    min_original_width: MinOriginalWidth = 0,
    source: SourceOption = "",
    split: Split = "",
    unmentioned: UnmentionedOption = "ignore",
    boxes: Annotated[
        Path | None, typer.Option(help="Boxes that readers drew, a CSV, to judge heat maps by.", show_default=False)
    ] = None,
    precision: PrecisionOption = "fp32",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="File that the JSON is written to.", show_default=False)] = None,
    html: Annotated[
        Path | None, typer.Option(help="File that the scorecard is written to.", show_default=False)
    ] = None,
) -> None:
    """Judge members and ensemble on labelled films, every figure with a 95 % interval by bootstrap over patients."""
    from hilum.evaluation import record
    from hilum.evaluation.scorecard import to_html
    from hilum.evaluation.scoring import score_table

    engine = open_chosen(bundles, models, precision=precision)
    table = choose_films(data, patients, min_original_width, source, split, unmentioned)
    boxed = {} if boxes is None else boxed_films(boxes, data)
    with_heatmaps = {film.image for films in boxed.values() for film in films}
    scores = score_table(engine, table, with_bar(table), with_heatmaps)
    evaluation = record.evaluate(
        engine,
        scores,
        boxed=boxed,
        command=this_command(),
    )
    if out is not None:
        out.write_bytes(record.evaluation_to_json(evaluation))
    if html is not None:
        html.write_bytes(to_html(evaluation))
    if as_json:
        typer.echo(record.evaluation_to_json(evaluation).decode())
    else:
        print_evaluation(evaluation, scores.names, Console())


def print_evaluation(evaluation: Evaluation, names: tuple[str, ...], console: Console) -> None:
    """Print AUROC, one column for each member and the ensemble, one row for each finding, then means and gains."""
    console.print(
        f"{evaluation.films} films of {evaluation.patients} patients; {evaluation.refused} refused by the gate"
    )
    _print_areas(evaluation, names, console)
    for who, gain in evaluation.gain.items():
        console.print(
            f"Ensemble minus {who}, over what it assesses: {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        )


def _print_areas(evaluation: Evaluation, names: tuple[str, ...], console: Console) -> None:
    """Print the table of AUROC; where there is little room, intervals stand below their figures, and letters for members."""
    from hilum.evaluation.scoring import ENSEMBLE

    judged = evaluation.judged
    first = max(map(len, (*names, HEAD)))
    wide = console.width >= first + 2 + len(judged) * (len(BESIDE) + 2)
    heads = dict(zip(judged, judged, strict=True))
    if not wide:
        letters = iter(ascii_uppercase)
        heads = {who: who if who == ENSEMBLE else next(letters) for who in judged}
        for who, letter in heads.items():
            if letter != who:
                console.print(f"{letter}: {who}")
    grid = Grid(box=None, padding=(0, 2 if wide else 1, 0, 0))
    grid.add_column(HEAD, no_wrap=True, width=first)
    for head in heads.values():
        grid.add_column(Text(head, no_wrap=False, overflow="fold"), no_wrap=True, width=len(BESIDE if wide else BELOW))
    rows = {name: [one.auroc.get(name) for one in judged.values()] for name in names}
    rows["Mean"] = [one.mean_auroc for one in judged.values()]
    for name, cells in rows.items():
        shown = ("" if one is None else figure(one, wide) for one in cells)
        grid.add_row(name, *shown, style="bold" if name == "Mean" else "")
    console.print(grid)
