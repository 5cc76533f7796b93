"""``hilum train``: from a configuration file to a bundle."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.figures import figure
from hilum.errors import ConfigError

if TYPE_CHECKING:
    from hilum.training.config import TrainingConfig
    from hilum.training.folds import CrossValidation


def train(
    config: Annotated[Path, typer.Argument(help="The experiment, a TOML file.", show_default=False)],
    run: Annotated[
        Path | None, typer.Option(help="Folder of checkpoints and history; a training there goes on.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that the bundle is written into.")] = Path("models"),
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Cross-validate by patient over everything but the hold-out, in so many folds.",
            show_default=False,
        ),
    ] = None,
    final: Annotated[
        bool,
        typer.Option(
            "--final", help="Cross-validate, then train on everything but the hold-out, calibrated out of fold."
        ),
    ] = False,
) -> None:
    """Train a member, calibrate it, judge it on held-out patients and write its bundle.

    Interrupted, the same command goes on from the last checkpoint. Needs the extra: pip install 'hilum[train]'.
    """
    try:
        from hilum.training.config import read_config
        from hilum.training.folds import cross_validate, train_final
        from hilum.training.run import train as run_training
        from hilum.training.workers import joined
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Training needs {error.name}, which is not installed. Do: pip install 'hilum[train]'."
        ) from None
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    experiment = read_config(config)
    if folds is not None:
        experiment = replace(experiment, folds=replace(experiment.folds, count=folds))
    folder = run or Path("runs") / experiment.bundle.id
    command = " ".join(
        ["hilum train", str(config), *([f"--folds {folds}"] if folds else []), *(["--final"] if final else [])]
    )
    crossed = folds is not None or final
    if not crossed and experiment.data.validation is None:
        raise ConfigError(
            "data.validation is missing. Expected a CSV of patients, or --final, which calibrates out of fold."
        )
    with joined(experiment.fit.device) as worker:
        if crossed:
            figures = cross_validate(experiment, folder, worker)
            if worker.leads and figures is not None:
                _say_folds(figures)
        if final:
            train_final(experiment, folder, worker)
        elif not crossed:
            run_training(experiment, folder, worker)
    if worker.leads and (final or not crossed):
        _export(experiment, folder, out, command, final)


def _say_folds(figures: CrossValidation) -> None:
    for name, judged in (
        *((f"fold {fold}", one) for fold, one in enumerate(figures.folds, 1)),
        ("all folds", figures.pooled),
    ):
        mean = "unknown" if judged.mean_auroc is None else figure(judged.mean_auroc)
        typer.echo(f"{name}: mean AUROC {mean} on {judged.films} films of {judged.patients} patients")


def _export(experiment: TrainingConfig, folder: Path, out: Path, command: str, final: bool) -> None:
    from hilum.training.export import export
    from hilum.training.folds import FINAL, out_of_fold

    bundle = (
        export(folder / FINAL, out, command, out_of_fold(experiment, folder)) if final else export(folder, out, command)
    )
    typer.echo(f"{bundle.manifest.name} {bundle.manifest.version}: {out / bundle.manifest.id}")
    if (mean := bundle.manifest.figures.get("mean_auroc")) is not None:
        typer.echo(f"mean AUROC on held-out patients {figure(mean)}")
