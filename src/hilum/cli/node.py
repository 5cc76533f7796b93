"""``hilum node``: the DICOM node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hilum.cli.options import need_hospital, open_monitor, open_set, stop_signal

if TYPE_CHECKING:
    from hilum.node.settings import NodeSettings


def node(
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    retry_dead: Annotated[
        bool, typer.Option("--retry-dead", help="Put dead letters back into the queue at the start.")
    ] = False,
) -> None:
    """Receive films by DICOM, analyze them, and return the results to the peers that are set."""
    need_hospital()
    from hilum.node.settings import load_node_settings

    run(load_node_settings(config), Console(), retry_dead)


def run(settings: NodeSettings, console: Console, retry_dead: bool = False) -> None:
    """Open the engine, listen, say where, and serve until SIGTERM or SIGINT.

    Raises ConfigError where a setting can't be followed, BundleError where a model can't be opened.
    """
    from hilum import logs
    from hilum.images import DEFAULT_LIMITS
    from hilum.levels import DISCLAIMER
    from hilum.node.answer import read_with
    from hilum.node.service import run_node

    logs.configure(settings.log_level)
    engine = open_set(settings)
    stop = stop_signal()

    def greet(port: int) -> None:
        for member in engine.members:
            console.print(f"  {member.name}, version {member.manifest.version}", highlight=False, markup=False)
        console.print(DISCLAIMER, highlight=False, markup=False, style="dim")
        console.print(
            f"hilum is listening as {settings.ae_title} on {settings.host} port {port}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    monitor = open_monitor(settings, engine)
    read = read_with(engine, settings.returns, DEFAULT_LIMITS, monitor)
    weights = [member.bundle.sha256 for member in engine.members]
    run_node(settings, read, weights, stop, greet, retry_dead, monitor)
    console.print("hilum has stopped", highlight=False)
