"""The command line: one module a command."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from hilum.cli import datasets, models
from hilum.cli.analyze import analyze
from hilum.cli.deidentify import deidentify
from hilum.cli.evaluate import evaluate
from hilum.cli.serve import serve
from hilum.cli.train import train
from hilum.errors import HilumError

app = typer.Typer(
    name="hilum",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # brackets in a help text are brackets
    help="Reads chest radiographs with an ensemble of trained networks. For research and education only.",
)
for command in (analyze, serve, deidentify, train, evaluate):
    app.command()(command)
app.add_typer(models.app, name="models")
app.add_typer(datasets.app, name="datasets")


def main() -> None:
    """Run the command line. What can't be done at all ends with exit code 2 and says why."""
    try:
        app()
    except HilumError as error:
        Console(stderr=True).print(f"hilum: {error} ({error.code})", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
