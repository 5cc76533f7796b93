"""``hilum models pull`` and ``export``: public weights come in, weights go out to other people's software."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from hilum.cli.options import Models, open_given
from hilum.errors import BundleNotFound, ConfigError

Choice = Literal["chex", "mimic", "nih", "pc", "all"]


def pull(
    weights: Annotated[Choice, typer.Argument(help="What they were trained on.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Models folder that the bundle is written into.")] = Path("models"),
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="What the file must have; unset: as when it was fetched first.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept licence and terms without being asked.")] = False,
) -> None:
    """Fetch torchxrayvision's public DenseNet121 weights and turn them into a bundle.

    Licences and citation are shown first, and asked for. Needs the extra: pip install 'hilum[public]'.
    """
    with needing("public"):
        from hilum.exchange.catalogue import CATALOGUE, WEIGHTS_LICENCE
        from hilum.exchange.library import read_entry
        from hilum.exchange.pull import check_free
        from hilum.exchange.pull import pull as fetch_and_convert
    chosen = CATALOGUE[weights]
    trained = chosen.trained_on
    check_free(chosen, out)
    entry = read_entry(chosen.entry)
    for what, text in (
        ("Weights", f"torchxrayvision {chosen.entry}, DenseNet121 ({trained.dataset}-trained)"),
        ("From", entry.address),
        ("Licence", WEIGHTS_LICENCE),
        ("Films", trained.image_licence),
        ("Labels", ", ".join(trained.label_sources)),
        ("Cite", trained.citation),
        ("Use", "research and education only; the terms of the films may bind you too"),
    ):
        typer.echo(f"{what + ':':<9}{text}")
    if not yes:
        typer.confirm("Fetch them under these terms?", abort=True)
    with _progress() as progress:
        pulled = fetch_and_convert(chosen, entry, out, sha256, progress)
    manifest = pulled.bundle.manifest
    typer.echo(f"{manifest.name}, version {manifest.version}: {pulled.bundle.folder}")
    typer.echo(f"  sha256 of the download: {pulled.sha256}")
    if not pulled.expected:
        typer.echo(
            "  torchxrayvision publishes no hashes: this one was not checked against anything. It is recorded in "
            f"{out / 'public-weights.json'}, and later downloads must have it."
        )
    for warning in manifest.warnings:
        typer.echo(f"  {warning}")
    typer.echo("  not part of the ensemble: a raw score can't be averaged with calibrated confidences")


def export(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Id of a model, as in the list.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="File to write: .h5, .onnx or .pt.", show_default=False)],
    to: Annotated[Literal["keras-h5", "onnx", "torch"], typer.Option(help="What for.", show_default=False)],
    models: Models = None,
) -> None:
    """Write a model as a file for Keras, ONNX or torch, with what explains it beside it. Its scores are the bundle's."""
    from hilum.exchange.export import export as write

    found = {member.manifest.id: member.bundle for member in open_given(models).members}
    if bundle not in found:
        raise BundleNotFound(f"There is no model {bundle!r}. Expected one of {', '.join(found)}.")
    with needing("train"):
        files = write(found[bundle], to, out)
    typer.echo("\n".join(map(str, files)))


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turn a missing package into a ``ConfigError`` that names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"This needs {error.name}, which is not installed. Do: pip install 'hilum[{extra}]'."
        ) from None


@contextmanager
def _progress() -> Iterator[Callable[[int, int | None], None]]:
    columns = (TextColumn("fetching"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fetching", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
