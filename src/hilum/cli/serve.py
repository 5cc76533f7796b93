"""``hilum serve``: the HTTP service and the page."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hilum.cli.options import open_set
from hilum.errors import ConfigError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from hilum.pipeline import Engine
    from hilum.server.settings import Settings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond loopback an API key is needed.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 lets the system choose.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of bundles and .h5 files; ./models is used where it exists.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Print a new API key and its hash, and end.")] = False,
) -> None:
    """Serve the page and the HTTP interface."""
    if new_key:
        print_new_key(Console())
        return
    from hilum.server.settings import load_settings

    settings = load_settings(config, host=host, port=port, models=models)
    run(settings, Console())


def print_new_key(console: Console) -> None:
    """Print a key, which is nowhere kept, and the setting that lets it in."""
    from hilum.server.auth import hash_key, new_key

    key = new_key()
    console.print("The key, for those who call the service. It is not kept anywhere:", highlight=False)
    console.print(key, highlight=False, soft_wrap=True)
    console.print("Its hash, for the service:", highlight=False)
    console.print(f"HILUM_API_KEY_HASHES='[\"{hash_key(key)}\"]'", highlight=False, markup=False, soft_wrap=True)


def run(settings: Settings, console: Console) -> None:
    """Open the engine, listen, say where, and serve until stopped.

    Raises ConfigError where the address can't be listened on, BundleError where a model can't be opened.
    """
    from hilum import logs
    from hilum.server.app import create_app

    logs.configure(settings.log_level)
    engine = open_set(settings)
    listener = listen(settings.host, settings.port)
    greet(console, engine, address(listener))
    try:
        http_server(create_app(settings, engine), settings).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn has stopped in good order, and passes on what it was stopped with
        console.print("hilum has stopped", highlight=False)


def http_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """Return the server for ``app``: no WebSockets, no log of its own, no name in its answers."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.stop_seconds,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ConfigError where the address is taken, unknown or not allowed."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"Can't listen on {host} port {port}: {error.strerror or error}. "
            "Stop what uses it, or choose another with --host and --port (0: any free one)."
        ) from None
    return listener


def address(listener: socket.socket) -> str:
    """Return the address that people type."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def greet(console: Console, engine: Engine, where: str) -> None:
    """Say which models are open, where the service listens, and what it is not for."""
    from hilum.levels import DISCLAIMER

    for member in engine.members:
        manifest = member.bundle.manifest
        console.print(f"  {manifest.name}, version {manifest.version}", highlight=False, markup=False)
    console.print(DISCLAIMER, highlight=False, markup=False, style="dim")
    console.print(f"hilum is listening on {where}", highlight=False, markup=False, soft_wrap=True)
