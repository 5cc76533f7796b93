"""``hilum models reference``: what films are like while all is well."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.labelled import Data, MinOriginalWidth, SourceOption, choose_films, this_command, with_bar
from hilum.cli.options import Models, models_folder, open_given


def reference(
    data: Data,
    validation: Annotated[
        Path, typer.Option(help="Patients whose films are the reference, a CSV.", show_default=False)
    ],
    models: Models = None,
    min_original_width: MinOriginalWidth = 0,
    source: SourceOption = "",
) -> None:
    """Measure what the films of validation patients are like, for hilum monitor, and write it beside the members."""
    from hilum.monitor.measured import measure_films
    from hilum.registry import find_bundles, save_reference, shipped_folder

    table = choose_films(data, validation, min_original_width, source)
    engine = open_given(models)
    found = measure_films(engine, table, with_bar(table), this_command())
    shipped = all(member.bundle.folder in find_bundles(shipped_folder()) for member in engine.members)
    folder = shipped_folder() if shipped else (models_folder(models) or shipped_folder())
    saved = save_reference(folder, found.record, found.values).record
    typer.echo(
        f"{folder / 'reference.json'}: {len(saved.statistics)} statistics of {saved.films} films, {saved.patients} patients"
    )
