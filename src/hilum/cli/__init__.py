"""The command line: one module a command."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import NoReturn

import typer
from rich.console import Console

from hilum.cli import audit, datasets, keys, models
from hilum.cli.analyze import analyze
from hilum.cli.archive import archive
from hilum.cli.calibrate import calibrate
from hilum.cli.deidentify import deidentify
from hilum.cli.dicomweb import dicomweb
from hilum.cli.evaluate import evaluate
from hilum.cli.monitor import monitor
from hilum.cli.node import node
from hilum.cli.prevalence import prevalence
from hilum.cli.serve import serve
from hilum.cli.train import train
from hilum.cli.watch import watch
from hilum.errors import HilumError
from hilum.logs import where

app = typer.Typer(
    name="hilum",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # brackets in a help text are brackets
    help="Reads chest radiographs with an ensemble of trained networks. For research and education only.",
)
for command in (
    analyze,
    archive,
    serve,
    node,
    watch,
    dicomweb,
    deidentify,
    train,
    evaluate,
    calibrate,
    prevalence,
    monitor,
):
    app.command()(command)
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(models.app, name="models")
app.add_typer(datasets.app, name="datasets")


def main() -> None:
    """Run the command line. What can't be done at all ends with exit code 2 and says why."""
    forbid_core_dumps()
    try:
        app()
    except HilumError as error:
        _end(f"{error} ({error.code})")
    except Exception as error:  # noqa: BLE001 - the edge: a traceback would quote what stands in a film, or its path
        _end(
            f"Something went wrong in the program, at {where(error)}. Report these places; they tell nothing of a film. (error)"
        )


def forbid_core_dumps() -> None:
    """Let no crash of a decoder or engine write this process's memory, films among it, to disk, where the system can say so."""
    with suppress(ImportError):  # Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _end(why: str) -> NoReturn:
    Console(stderr=True).print(f"hilum: {why}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(2)
