"""``hilum train``: from a configuration file to a bundle."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from hilum.errors import ConfigError


def train(
    config: Annotated[Path, typer.Argument(help="The experiment, a TOML file.", show_default=False)],
    run: Annotated[
        Path | None, typer.Option(help="Folder of checkpoints and history; a training there goes on.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that the bundle is written into.")] = Path("models"),
) -> None:
    """Train a member, calibrate it, judge it on held-out patients and write its bundle.

    Interrupted, the same command goes on from the last checkpoint. Needs the extra: pip install 'hilum[train]'.
    """
    try:
        from hilum.training.config import read_config
        from hilum.training.export import export
        from hilum.training.run import train as run_training
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Training needs {error.name}, which is not installed. Do: pip install 'hilum[train]'."
        ) from None
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    experiment = read_config(config)
    folder = run or Path("runs") / experiment.bundle.id
    run_training(experiment, folder)
    bundle = export(folder, out, f"hilum train {config}")
    mean = bundle.manifest.figures.get("mean_auroc")
    typer.echo(f"{bundle.manifest.name} {bundle.manifest.version}: {out / bundle.manifest.id}")
    if mean is not None:
        typer.echo(f"mean AUROC on held-out patients {mean.value:.3f} ({mean.low:.3f}–{mean.high:.3f})")
