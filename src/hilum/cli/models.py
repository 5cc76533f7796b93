"""``hilum models``: which models there are, what they say of themselves, whether they are whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hilum.cli.exchange import export, pull
from hilum.cli.figures import figure
from hilum.cli.gate import gate
from hilum.cli.maps import maps
from hilum.cli.options import Models, models_folder, open_given
from hilum.cli.quantise import quantise
from hilum.cli.reference import reference
from hilum.cli.signing import keygen, sign, verify
from hilum.errors import BundleNotFound, ConfigError

app = typer.Typer(no_args_is_help=True, help="List, show, verify, sign, import, fetch and export models.")
for command in (verify, keygen, sign, gate, reference, maps, quantise, pull, export):
    app.command()(command)


@app.command("list")
def list_models(
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """List the models that would be open, with what they were trained on."""
    manifests = [member.manifest for member in open_given(models).members]
    if as_json:
        rows = [
            {
                "name": manifest.name,
                "id": manifest.id,
                "version": manifest.version,
                "architecture": manifest.architecture,
                "trained_on": asdict(manifest.trained_on),
                "findings": list(manifest.assessed),
                "in_ensemble": manifest.in_ensemble,
                "warnings": list(manifest.warnings),
            }
            for manifest in manifests
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("Name", overflow="fold")
    for column in ("Version", "Id", "Findings", "Mean AUROC (95 %)"):
        table.add_column(column, no_wrap=True)
    for manifest in manifests:
        mean = manifest.figures.get("mean_auroc")
        measured = "not measured" if mean is None else figure(mean)
        table.add_row(manifest.name, manifest.version, manifest.id, str(len(manifest.assessed)), measured)
    Console().print(table)


@app.command()
def show(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="As in the list.", show_default=False)],
    models: Models = None,
) -> None:
    """Print a model's manifest as JSON."""
    from hilum.registry import manifest_to_json

    manifests = {member.manifest.id: member.manifest for member in open_given(models).members}
    if identifier not in manifests:
        raise BundleNotFound(f"There is no model {identifier!r}. Expected one of {', '.join(manifests)}.")
    typer.echo(manifest_to_json(manifests[identifier]).decode(), nl=False)


@app.command("import")
def import_h5(
    file: Annotated[
        Path, typer.Argument(help="A Keras .h5 file; its sidecar NAME.toml lies beside it.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder that the bundle is written into.")] = Path("models"),
) -> None:
    """Turn a Keras .h5 file into a bundle, without running anything that is stored in it."""
    from hilum.keras_h5 import bundle_from_h5
    from hilum.registry import MODEL, save_bundle

    bundle = bundle_from_h5(file)
    saved = save_bundle(out / bundle.manifest.id, bundle.manifest, {MODEL: bundle.model})
    typer.echo(f"{saved.manifest.name}, version {saved.manifest.version}: {saved.folder}")
    for warning in saved.manifest.warnings:
        typer.echo(f"  {warning}")


@app.command()
def card(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder, or its id as in the list.", show_default=False)],
    evaluation: Annotated[
        Path | None, typer.Option(help="What hilum evaluate --out wrote of it.", show_default=False)
    ] = None,
    models: Models = None,
) -> None:
    """Write a bundle's model card from its manifest and an evaluation of it; its hashes, and ensemble.json's, follow."""
    from hilum.cli.options import find_bundle
    from hilum.evaluation.card import model_card
    from hilum.evaluation.record import read_evaluation
    from hilum.registry import CARD, write_card

    found = find_bundle(bundle, models)
    if found.folder is None:
        raise ConfigError(f"{found.manifest.id} is a .h5 file, which holds no card. Do first: hilum models import.")
    text = model_card(found.manifest, None if evaluation is None else read_evaluation(evaluation))
    saved = write_card(found.folder, text.encode())
    typer.echo(
        f"{found.folder / CARD}: {saved.manifest.name}, version {saved.manifest.version}, sha256 {saved.sha256[:12]}…"
    )


@app.command()
def combine(
    data: Annotated[Path, typer.Option(help="Table of labelled films, a CSV.", show_default=False)],
    validation: Annotated[
        Path, typer.Option(help="Patients to choose operating points on, a CSV.", show_default=False)
    ],
    holdout: Annotated[Path, typer.Option(help="Patients to judge on, a CSV.", show_default=False)],
    models: Models = None,
    min_original_width: Annotated[int, typer.Option(help="Leave out films made from smaller originals.")] = 0,
) -> None:
    """Measure the members together: the ensemble's operating points and AUROC, written to ensemble.json beside them."""
    from hilum.cli.labelled import score_patients
    from hilum.evaluation.compare import measure_ensemble
    from hilum.registry import find_bundles, save_ensemble, shipped_folder

    engine = open_given(models)
    command = f"hilum models combine --data {data} --validation {validation} --holdout {holdout}"
    command += f" --min-original-width {min_original_width}" + (f" --models {models}" if models else "")
    record = measure_ensemble(
        engine,
        score_patients(engine, data, validation, min_original_width),
        score_patients(engine, data, holdout, min_original_width),
        command,
    )
    shipped = all(member.bundle.folder in find_bundles(shipped_folder()) for member in engine.members)
    folder = shipped_folder() if shipped else (models_folder(models) or shipped_folder())
    save_ensemble(folder, record)
    typer.echo(f"{folder / 'ensemble.json'}: {len(record.operating_points)} findings of {len(record.members)} members")
    typer.echo("  votes: " + ", ".join(f"{member} {votes}" for member, votes in record.votes.items()))
    for name, one in record.figures.items():
        typer.echo(f"  {name}: {one.value:.3f} ({one.low:.3f} to {one.high:.3f})")
