"""``hilum models maps``: find out whether a member's heat maps show what its network used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.labelled import Data, MinOriginalWidth, SourceOption, boxed_films, choose_films, with_bar
from hilum.records import Interval

DRAW = 20263


def maps(
    bundle: Annotated[Path, typer.Argument(help="Folder of the member.", show_default=False)],
    data: Data,
    validation: Annotated[Path, typer.Option(help="Patients whom nothing trained on, a CSV.", show_default=False)],
    source: SourceOption = "",
    min_original_width: MinOriginalWidth = 0,
    films: Annotated[int, typer.Option(min=3, help="How many films, drawn at random.")] = 90,
    boxes: Annotated[
        Path | None,
        typer.Option(help="Boxes that readers drew, a CSV: do the maps point into them?", show_default=False),
    ] = None,
) -> None:
    """Check a member's heat maps by covering parts of films, by shuffling its weights and by readers' boxes; write the result into
    its manifest.

    A finding's map that fails is withheld from then on, with the reason. Records of the ensemble beside the bundle follow.
    """
    from dataclasses import replace

    import numpy as np

    from hilum import explain
    from hilum.evaluation.map_checks import box_gains, check_maps, write_checks
    from hilum.images import read_image
    from hilum.registry import load_bundle

    everything = choose_films(data, validation, min_original_width, source)
    table = everything
    drawn = sorted(np.random.default_rng(DRAW).permutation(len(table.rows))[:films].tolist())
    table = replace(table, rows=tuple(table.rows[index] for index in drawn))
    member = load_bundle(bundle)
    checks = check_maps(member, ((row.patient, read_image(table.root / row.image)) for row in with_bar(table)))
    if boxes is not None:
        boxed = boxed_films(boxes, data)
        seen = {film.image for of_finding in boxed.values() for film in of_finding}
        table = everything.where(lambda row: row.image in seen)
        gains = box_gains(member, table, boxed, with_bar(table))
        checks = {name: replace(check, boxes=gains.get(name)) for name, check in checks.items()}
    write_checks(member, checks)
    for name, check in checks.items():
        withheld = explain.untrusted(check)
        typer.echo(
            f"{name:20}{check.films:3} films  covered {_shown(check.occlusion)}  shuffled {_shown(check.randomised)}"
            f"{'' if check.boxes is None else f'  boxes {_shown(check.boxes)}'}{'' if withheld is None else '  withheld'}"
        )


def _shown(figure: Interval) -> str:
    return f"{figure.value:5.2f} ({figure.low:.2f} to {figure.high:.2f})"
