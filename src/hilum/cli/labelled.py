"""What several commands do with a table of labelled films: choose films, score them, find their boxes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from hilum.datasets.labels import Unmentioned
from hilum.errors import DatasetError

if TYPE_CHECKING:
    from hilum.datasets.table import Row, Table
    from hilum.evaluation.localise import Boxed
    from hilum.evaluation.scoring import Scores
    from hilum.pipeline import Engine

Data = Annotated[Path, typer.Option(help="Labelled films: a CSV, or a data set's folder.", show_default=False)]
Patients = Annotated[Path | None, typer.Option(help="Only these patients, a CSV with the column patient_id.")]
MinOriginalWidth = Annotated[int, typer.Option(help="Leave out films made from smaller originals.")]
SourceOption = Annotated[str, typer.Option(help="Only sources whose name begins so.")]
Split = Annotated[str, typer.Option(help="Only this part of the publisher's own split: train, validation or test.")]
UnmentionedOption = Annotated[
    Unmentioned, typer.Option(help="What a finding becomes that the report does not mention.")
]


def choose_films(
    data: Path,
    patients: Path | None,
    min_original_width: int = 0,
    source: str = "",
    split: str = "",
    unmentioned: Unmentioned = "ignore",
) -> Table:
    """Return the films of a table that the options leave, without laterals. Raises ``DatasetError`` where none is left."""
    from hilum.datasets.layouts import open_table
    from hilum.datasets.split import read_patients
    from hilum.datasets.table import FRONTAL

    table = open_table(data, unmentioned=unmentioned).where(
        lambda row: (
            row.view in FRONTAL
            and (row.original_width or 0) >= min_original_width
            and row.source.startswith(source)
            and (not split or row.split == split)
        )
    )
    if patients is not None:
        table = table.of_patients(read_patients(patients))
    if not table.rows:
        raise DatasetError(
            "No film of the table is left. Look at --patients, --min-original-width, --source and --split."
        )
    return table


def score_patients(
    engine: Engine, data: Path, patients: Path | None, min_original_width: int = 0, source: str = ""
) -> Scores:
    """Score the films of a table that the options leave. Raises ``DatasetError`` where none is left."""
    from hilum.evaluation.scoring import score_table

    table = choose_films(data, patients, min_original_width, source)
    return score_table(engine, table, with_bar(table))


def with_bar(table: Table) -> Iterable[Row]:
    """Return a table's rows behind a progress bar on the error stream, where somebody looks at it."""
    console = Console(stderr=True)
    return track(table.rows, "Analyzing", console=console, transient=True, disable=not console.is_terminal)


def boxed_films(boxes: Path, data: Path) -> dict[str, list[Boxed]]:
    """Return finding → every film of the table that has a box of it, also of patients who are not judged."""
    from hilum.datasets.boxes import read_boxes
    from hilum.datasets.layouts import open_table
    from hilum.evaluation.boxes import masks_of
    from hilum.evaluation.localise import Boxed
    from hilum.images import read_image

    table = open_table(data)
    patients = {row.image: row.patient for row in table.rows}
    drawn = read_boxes(boxes, table)
    if not drawn:
        raise DatasetError("No film of the table has a box. Expected the same names in the column file of both tables.")

    def size_of(image: Path) -> tuple[int, int]:
        height, width = read_image(table.root / image).pixels.shape
        return width, height

    boxed: dict[str, list[Boxed]] = {}
    for image, by_finding in masks_of(drawn, size_of).items():
        for finding, mask in by_finding.items():
            boxed.setdefault(finding, []).append(Boxed(image, patients[image], mask))
    return boxed


def this_command() -> str:
    """Return the command line as it was given."""
    return shlex.join(["hilum", *sys.argv[1:]])
