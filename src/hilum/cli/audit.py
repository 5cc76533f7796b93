"""``hilum audit``: who saw what, and whether the record of it is whole."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from hilum.errors import ConfigError, InputError

if TYPE_CHECKING:
    from hilum.server.audit import Anchor

app = typer.Typer(no_args_is_help=True, help="Show and verify the record of who saw what.")

File = Annotated[
    Path, typer.Option("--file", envvar="HILUM_AUDIT", show_envvar=False, help="The audit; else HILUM_AUDIT.")
]
KeyFile = Annotated[
    Path, typer.Option("--key", envvar="HILUM_AUDIT_KEY", show_envvar=False, help="Its key; else HILUM_AUDIT_KEY.")
]
AUDIT, KEY = Path("audit.sqlite"), Path("audit.key")


@app.command("new-key")
def new_key(key: KeyFile = KEY) -> None:
    """Write a new audit key. Whoever holds it can make rows: keep a copy where the service's machine can't reach it."""
    from hilum.private import write_private
    from hilum.server.audit import SECRET_BYTES

    write_private(key, f"{secrets.token_hex(SECRET_BYTES)}\n".encode(), "key")
    typer.echo(f"{key}: a new audit key", err=True)


@app.command()
def show(
    file: File = AUDIT,
    key: KeyFile = KEY,
    last: Annotated[int, typer.Option(min=1, help="At most so many rows, the newest.")] = 20,
    by: Annotated[str | None, typer.Option(metavar="ID", help="Only by this API key.")] = None,
    study: Annotated[str | None, typer.Option(metavar="UID", help="Only of this study; needs the audit key.")] = None,
    instance: Annotated[str | None, typer.Option(metavar="UID", help="Only of this instance.")] = None,
    film: Annotated[Path | None, typer.Option(help="Only of this very file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """Show rows, oldest first; of one study, instance or film where its identifier is given."""
    from hilum.server.audit import pseudonym, read_rows, read_secret

    wanted = {} if by is None else {"key": by}
    if study is not None:
        wanted["study"] = pseudonym(read_secret(key), "study", study)
    if instance is not None:
        wanted["instance"] = pseudonym(read_secret(key), "instance", instance)
    if film is not None:
        wanted["film"] = pseudonym(read_secret(key), "film", digest_of(film))
    rows = [row.as_dict() for row in read_rows(file, last, **wanted)]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    shown = ("number", "time", "key", "role", "action", "outcome", "status", "study", "film")
    for column in shown:
        table.add_column(column.capitalize())
    for row in rows:
        table.add_row(*(str(row[name] or "")[: 12 if name in ("study", "film") else None] for name in shown))
    Console().print(table)


@app.command()
def verify(
    file: File = AUDIT,
    key: KeyFile = KEY,
    anchor: Annotated[
        list[str] | None, typer.Option(metavar="ROWS:MAC", help="What the audit ended with earlier; may be repeated.")
    ] = None,
) -> None:
    """Check the whole chain. Exit code 1 if a row was changed, removed or moved, or the end is missing."""
    from hilum.server.audit import read_secret
    from hilum.server.audit import verify as check

    anchors = [parse_anchor(text) for text in anchor or []]
    last, faults = check(file, read_secret(key), anchors)
    for fault in faults:
        typer.echo(f"{file}: {fault}")
    if faults:
        raise typer.Exit(1)
    typer.echo(f"{file}: whole, {last.rows} rows; keep this elsewhere: {last}")


def parse_anchor(text: str) -> Anchor:
    """Return the anchor in a text such as ``12:9f86…``. Raises ConfigError."""
    from hilum.server.audit import Anchor

    rows, _, mac = text.partition(":")
    if not rows.isdecimal() or not re.fullmatch("[0-9a-f]{64}", mac):
        raise ConfigError(
            "An anchor is not of the form ROWS:MAC, as hilum audit verify and the service's log write it."
        )
    return Anchor(int(rows), mac)


def digest_of(film: Path) -> str:
    """Return a file's SHA-256. Raises InputError, without its name."""
    try:
        return hashlib.sha256(film.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"The film can't be read ({type(error).__name__}). Expected a file.") from None
