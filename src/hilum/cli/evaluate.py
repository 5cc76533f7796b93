"""``hilum evaluate``: members and ensemble on labelled films, by patient, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

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
    grid = Grid("AUROC (95 %)", *evaluation.judged, box=None, padding=(0, 2, 0, 0))
    for name in names:
        cells = [judged.auroc.get(name) for judged in evaluation.judged.values()]
        grid.add_row(name, *("" if c is None else f"{c.value:.3f} ({c.low:.3f}–{c.high:.3f})" for c in cells))
    means = [judged.mean_auroc for judged in evaluation.judged.values()]
    grid.add_row(
        "Mean", *("" if m is None else f"{m.value:.3f} ({m.low:.3f}–{m.high:.3f})" for m in means), style="bold"
    )
    console.print(grid)
    for who, gain in evaluation.gain.items():
        console.print(
            f"Ensemble minus {who}, over what it assesses: {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        )
