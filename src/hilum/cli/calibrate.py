"""``hilum calibrate``: a bundle's evidence and operating points from films of one's own, as a new version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.labelled import Data, MinOriginalWidth, Patients, SourceOption, choose_films, this_command, with_bar
from hilum.cli.options import Models, Prevalences, find_bundle, parse_prevalences


def calibrate(
    bundle: Annotated[
        str, typer.Argument(help="A bundle's folder, or the id of a model that would be open.", show_default=False)
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder that the new bundle is written into.", show_default=False)],
    patients: Patients = None,
    models: Models = None,
    min_original_width: MinOriginalWidth = 0,
    source: SourceOption = "",
    prevalence: Prevalences = None,
    version: Annotated[
        str | None, typer.Option(help="Of the new bundle; unset: the last number one higher.", show_default=False)
    ] = None,
) -> None:
    """Calibrate a model on your films: evidence and operating points are fitted anew, the weights stay as they are.

    Use patients whom the model never saw, and judge it on others.
    """
    from hilum.evaluation.card import model_card
    from hilum.evaluation.recalibrate import next_version, recalibrate, score_logits
    from hilum.pipeline import open_bundles
    from hilum.registry import CARD, bundle_files, save_bundle

    shares = parse_prevalences(prevalence or [])
    base = find_bundle(bundle, models)
    table = choose_films(data, patients, min_original_width, source)
    scored = score_logits(open_bundles([base], prevalence=shares), table, with_bar(table))
    manifest = recalibrate(base, scored, version or next_version(base.manifest.version), shares, this_command())
    files = bundle_files(base) | {CARD: model_card(manifest).encode()}
    saved = save_bundle(out / manifest.id, manifest, files)
    done = manifest.calibrated_on
    typer.echo(f"{saved.manifest.name}, version {saved.manifest.version}: {saved.folder}")
    if done is not None:
        kept = [name for name in manifest.assessed if name not in done.outputs]
        typer.echo(f"  on {done.films} films of {done.patients} patients: {', '.join(done.outputs)}")
        if kept:
            typer.echo(f"  too few patients, left as they were: {', '.join(kept)}")
