"""``hilum evaluate``: members and ensemble on labelled films, by patient, with intervals."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table as Grid

from hilum.cli.options import Models, open_given
from hilum.errors import DatasetError

if TYPE_CHECKING:
    from hilum.evaluation.compare import Comparison
    from hilum.evaluation.scoring import Scores
    from hilum.pipeline import Engine


def evaluate(
    data: Annotated[Path, typer.Option(help="Table of labelled films, a CSV.", show_default=False)],
    patients: Annotated[
        Path | None, typer.Option(help="Only these patients, a CSV with the column patient_id.")
    ] = None,
    models: Models = None,
    min_original_width: Annotated[int, typer.Option(help="Leave out films made from smaller originals.")] = 0,
    source: Annotated[str, typer.Option(help="Only sources whose name begins so.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Give the AUROC of each member and of the ensemble, with 95 % intervals by bootstrap over patients."""
    from hilum.evaluation.compare import compare

    engine = open_given(models)
    scores = score_patients(engine, data, patients, min_original_width, source)
    comparison = compare(scores)
    if as_json:
        figures = {"films": len(scores.labels), "refused": scores.refused, **asdict(comparison)}
        typer.echo(json.dumps(figures, ensure_ascii=False))
        return
    console = Console()
    console.print(
        f"{len(scores.labels)} films of {len(set(scores.patients))} patients; {scores.refused} refused by the gate"
    )
    print_comparison(comparison, scores.names, console)


def score_patients(
    engine: Engine, data: Path, patients: Path | None, min_original_width: int = 0, source: str = ""
) -> Scores:
    """Score the films of a table that the options leave. Raises ``DatasetError`` where none is left."""
    from hilum.datasets.layouts import open_table
    from hilum.datasets.split import read_patients
    from hilum.evaluation.scoring import score_table

    table = open_table(data).where(
        lambda row: (row.original_width or 0) >= min_original_width and row.source.startswith(source)
    )
    if patients is not None:
        table = table.of_patients(read_patients(patients))
    if not table.rows:
        raise DatasetError("No film of the table is left. Look at --patients, --min-original-width and --source.")
    console = Console(stderr=True)
    rows = track(table.rows, "Analyzing", console=console, transient=True, disable=not console.is_terminal)
    return score_table(engine, table, rows)


def print_comparison(comparison: Comparison, names: tuple[str, ...], console: Console) -> None:
    """Print one column for each member and the ensemble, one row for each finding, then means and gains."""
    grid = Grid("AUROC (95 %)", *comparison.judged, box=None, padding=(0, 2, 0, 0))
    for name in names:
        cells = [judged.auroc.get(name) for judged in comparison.judged.values()]
        grid.add_row(name, *("" if c is None else f"{c.value:.3f} ({c.low:.3f}–{c.high:.3f})" for c in cells))
    means = [judged.mean_auroc for judged in comparison.judged.values()]
    grid.add_row(
        "Mean", *("" if m is None else f"{m.value:.3f} ({m.low:.3f}–{m.high:.3f})" for m in means), style="bold"
    )
    console.print(grid)
    for who, gain in comparison.gain.items():
        console.print(
            f"Ensemble minus {who}, over what it assesses: {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
        )
