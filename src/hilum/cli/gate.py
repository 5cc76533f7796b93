"""``hilum models gate``: teach a member to tell radiographs from other pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.labelled import Data, MinOriginalWidth, SourceOption, choose_films
from hilum.errors import ConfigError


def gate(
    bundle: Annotated[
        Path, typer.Argument(help="Folder of the member whose features the gate reads.", show_default=False)
    ],
    data: Data,
    others: Annotated[
        Path, typer.Option(help="Table of other pictures, a CSV: file, kind, source, split.", show_default=False)
    ],
    validation: Annotated[Path, typer.Option(help="Patients whose films set the limits, a CSV.", show_default=False)],
    holdout: Annotated[Path, typer.Option(help="Patients to leave out, a CSV.", show_default=False)],
    source: SourceOption = "",
    min_original_width: MinOriginalWidth = 0,
    spoiled: Annotated[int, typer.Option(help="How many films to turn, invert, crop, blur … as well.")] = 400,
) -> None:
    """Fit the gate on a member's features and write it into its bundle, whose manifest changes with it.

    Measure the ensemble again afterwards: hilum models combine. Needs the extra: pip install 'hilum[train]'.
    """
    try:
        from hilum.training.gate import fit_gate, read_pictures
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Fitting the gate needs {error.name}, which is not installed. Do: pip install 'hilum[train]'."
        ) from None
    from hilum.datasets.split import read_patients
    from hilum.registry import load_bundle

    films = choose_films(data, None, min_original_width, source).where(lambda row: row.age is None or row.age >= 18)
    checked = read_patients(validation)
    kept_out = checked | read_patients(holdout)
    pictures = [picture for picture in read_pictures(others) if picture.split == "train"]
    fitted = fit_gate(
        load_bundle(bundle), films.without_patients(kept_out), films.of_patients(checked), pictures, spoiled
    )
    typer.echo(f"{fitted.manifest.name}: the gate learnt from {len(pictures)} other pictures")
