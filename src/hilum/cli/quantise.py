"""``hilum models quantise``: a member in 8 bits, where its accuracy holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.exchange import needing
from hilum.cli.labelled import Data, MinOriginalWidth, SourceOption, choose_films, this_command, with_bar
from hilum.cli.options import Models, find_bundle


def quantise(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder, or its id as in the list.", show_default=False)],
    data: Data,
    validation: Annotated[
        Path, typer.Option(help="Patients that the losses are measured on, a CSV.", show_default=False)
    ],
    holdout: Annotated[Path, typer.Option(help="Patients to leave out, a CSV.", show_default=False)],
    models: Models = None,
    source: SourceOption = "",
    min_original_width: MinOriginalWidth = 0,
    films: Annotated[int, typer.Option(min=1, help="Films that the ranges are measured on.")] = 100,
) -> None:
    """Write the network in 8 bits into its bundle, with what that loses; exit code 2, and nothing written, where it loses too much.

    Needs the extra: pip install 'hilum[train]'.
    """
    from hilum.datasets.split import read_patients

    with needing("train"):
        from hilum.exchange.quantise import quantise as make

        found = find_bundle(bundle, models)
        table = choose_films(data, None, min_original_width, source)
        checked = read_patients(validation)
        judged = table.of_patients(checked)
        ranges = table.without_patients(checked | read_patients(holdout))
        made = make(found, ranges, judged, films, this_command(), with_bar(judged))
    typer.echo(f"{made.manifest.name}, version {made.manifest.version}: {made.folder}")
    if (figures := made.manifest.int8) is not None:
        loss, correlation = figures.mean_auroc_loss, figures.heatmap_correlation
        typer.echo(
            f"  mean AUROC lost: {loss.value:+.4f} ({loss.low:+.4f} to {loss.high:+.4f}) on {figures.films} films"
        )
        if correlation is not None:
            typer.echo(f"  heat maps' correlation with the exact ones: {correlation:.3f} (median)")
