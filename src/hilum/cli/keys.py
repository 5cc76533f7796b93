"""``hilum keys``: who may call the service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Add, list, rotate and revoke API keys.")

KeyFile = Annotated[
    Path, typer.Option("--file", envvar="HILUM_KEYS", show_envvar=False, help="The key file; else HILUM_KEYS.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="As in the list.", show_default=False)]


@app.command()
def add(
    label: Annotated[str, typer.Argument(help="What will hold the key, such as ris-gateway.", show_default=False)],
    role: Annotated[Literal["reader", "analyst", "admin"], typer.Option(help="What the key may do.")] = "analyst",
    days: Annotated[float | None, typer.Option(min=0.01, help="How long it is let in; unset: until revoked.")] = None,
    file: KeyFile = Path("keys.json"),
) -> None:
    """Add a key and print it, this once: the file holds its hash."""
    from hilum.server.keys import add_key

    show_once(add_key(file, role, label, datetime.now(UTC), days))


@app.command("list")
def list_keys(
    file: KeyFile = Path("keys.json"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """List the keys, without anything that would let one in."""
    from hilum.server.keys import read_keys

    now = datetime.now(UTC)
    rows = [
        {
            "id": key.id,
            "role": key.role,
            "label": key.label,
            "state": key.state(now),
            "created": key.created.isoformat(),
            "expires": key.expires and key.expires.isoformat(),
            "revoked": key.revoked and key.revoked.isoformat(),
        }
        for key in read_keys(file)
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("Id", "Role", "Label", "State", "Created", "Expires"):
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(row[name] or "") for name in ("id", "role", "label", "state", "created", "expires")))
    Console().print(table)


@app.command()
def rotate(
    identifier: Id,
    hours: Annotated[float, typer.Option(min=0, help="How long the old key is still let in.")] = 24.0,
    file: KeyFile = Path("keys.json"),
) -> None:
    """Add a key with the role and label of another, which expires, and print the new one, this once."""
    from hilum.server.keys import rotate_key

    show_once(rotate_key(file, identifier, datetime.now(UTC), hours))


@app.command()
def revoke(identifier: Id, file: KeyFile = Path("keys.json")) -> None:
    """Let a key in no more. A running service notices at once."""
    from hilum.server.keys import revoke_key

    revoke_key(file, identifier, datetime.now(UTC))
    typer.echo(f"{identifier} is let in no more", err=True)


def show_once(key: str) -> None:
    """Print a key alone on the standard output, so that it can be piped to where secrets are kept."""
    typer.echo("This is the only time that the key is shown:", err=True)
    typer.echo(key)
