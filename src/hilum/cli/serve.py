"""``hilum serve``: the HTTP service and the page."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hilum.cli.options import open_monitor, open_set
from hilum.errors import ConfigError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from hilum.pipeline import Engine
    from hilum.server.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; beyond loopback API keys are needed.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 lets the system choose.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of bundles and .h5 files; ./models is used where it exists.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
) -> None:
    """Serve the page and the HTTP interface."""
    from hilum.server.settings import load_settings

    settings = load_settings(config, host=host, port=port, models=models)
    run(settings, Console())


def run(settings: Settings, console: Console) -> None:
    """Open the engine, listen, say where, and serve until stopped.

    Raises ConfigError where the address can't be listened on, BundleError where a model can't be opened.
    """
    from hilum import logs
    from hilum.server.app import create_app

    logs.configure(settings.log_level)
    engine = open_set(settings)
    server = http_server(create_app(settings, engine, monitor=open_monitor(settings, engine)), settings)
    listener = listen(settings.host, settings.port)
    greet(console, engine, address(listener, settings.tls_certificate is not None))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn has stopped in good order, and passes on what it was stopped with
        console.print("hilum has stopped", highlight=False)


def http_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """Return the server for ``app``: no WebSockets, no log of its own, no name in its answers; TLS where it is set.

    No client can hold a connection for nothing. Raises ConfigError for TLS files that can't be used.
    """
    import uvicorn

    from hilum.server.connections import Connection
    from hilum.tls import server_context

    certificate = settings.tls_certificate
    context = None if certificate is None else server_context(certificate, settings.tls_key)

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.stop_seconds,
            ssl_context_factory=None if context is None else lambda _config, _default: context,
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


def address(listener: socket.socket, tls: bool = False) -> str:
    """Return the address that people type."""
    host, port = listener.getsockname()[:2]
    return f"http{'s' * tls}://" + (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def greet(console: Console, engine: Engine, where: str) -> None:
    """Say which models are open, where the service listens, and what it is not for."""
    from hilum.levels import DISCLAIMER

    for member in engine.members:
        manifest = member.bundle.manifest
        console.print(f"  {manifest.name}, version {manifest.version}", highlight=False, markup=False)
    console.print(DISCLAIMER, highlight=False, markup=False, style="dim")
    console.print(f"hilum is listening on {where}", highlight=False, markup=False, soft_wrap=True)
