"""``hilum deidentify``: films in, the same films without their patients out; a broken one is reported and the rest goes on."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from hilum.cli.analyze import find_films
from hilum.errors import ConfigError, InputError

if TYPE_CHECKING:
    from hilum.deidentify import Deidentified, Pseudonyms, Rule

_SECRET = 0o600


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one file."""

    file: Path
    film: Deidentified | None = None
    error: InputError | None = None


def deidentify(
    paths: Annotated[list[Path] | None, typer.Argument(help="Films, or folders of films.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; required.")] = None,
    key: Annotated[Path | None, typer.Option(help="File of the secret key; required.")] = None,
    shift_dates: Annotated[
        bool,
        typer.Option("--shift-dates", help="Move dates and times, by each patient's own offset, instead of emptying."),
    ] = False,
    regions: Annotated[Path | None, typer.Option(help="TOML file of where devices burn text in.")] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="CSV to write, of which file became which: as secret as the films.")
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Write a new key to --key FILE, and end.")] = False,
) -> None:
    """Take the patient out of DICOM films (PS3.15 Basic Profile). Exit code 0: all done; 1: some not; 2: none could be."""
    from hilum.deidentify import Pseudonyms, read_key, read_rules

    if key is None:
        raise ConfigError("There is no key. Add --key FILE; with --new-key, one is written there.")
    if new_key:
        _write_secret(key, _fresh_key())
        return
    if not paths or out is None:
        raise ConfigError("Expected films, or folders of them, and --out FOLDER.")
    _check_apart(out, paths)
    pseudonyms = Pseudonyms(read_key(key))
    rules = () if regions is None else read_rules(regions)
    console = Console(stderr=True)
    files = list(find_films(paths))
    looked_at = track(files, "De-identifying", console=console, transient=True, disable=not console.is_terminal)
    outcomes = list(_write_all(looked_at, out, pseudonyms, rules, shift_dates))
    for number, outcome in enumerate(outcomes, 1):
        if outcome.error is not None:
            # By its number, not by its name, which may name the patient, and what a terminal shows is often kept.
            text = f"film {number} of {len(files)}: {outcome.error} ({outcome.error.code})"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    if mapping is not None:
        _write_secret(mapping, _mapping_of(outcomes))
    typer.echo(json.dumps(report_of(outcomes, shift_dates), indent=2))
    raise typer.Exit(1 if any(outcome.error for outcome in outcomes) else 0)


def _check_apart(out: Path, paths: list[Path]) -> None:
    places = [path.resolve() for path in paths if path.is_dir()]
    if any(out.resolve().is_relative_to(place) for place in places):
        raise ConfigError("--out lies in a folder of the films themselves. Choose another, or they are mixed up.")


def _write_all(
    files: Iterable[Path], out: Path, pseudonyms: Pseudonyms, rules: tuple[Rule, ...], shift_dates: bool
) -> Iterator[Outcome]:
    """Write each film that can be, and yield what became of each file, in order."""
    from hilum.deidentify import deidentify as without_patient
    from hilum.images import read_bytes

    written: dict[str, bytes] = {}
    for file in files:
        try:
            film = without_patient(read_bytes(file), pseudonyms, rules=rules, shift_dates=shift_dates)
            if written.setdefault(film.uid, film.digest) != film.digest:
                raise InputError("Another film of this run has the same SOP Instance UID, and is not the same.")
        except InputError as error:
            yield Outcome(file, error=error)
        else:
            _write(out / f"{film.uid}.dcm", film.data)
            yield Outcome(file, film)


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises ConfigError."""
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"The folder of --out can't be written to: {error.strerror}.") from None


def _write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner may read. Raises ConfigError, also where there is one already."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _SECRET), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError("The file of --key or --mapping exists. It is not written over: name another.") from None
    except OSError as error:
        raise ConfigError(f"The file of --key or --mapping can't be written: {error.strerror}.") from None


def _fresh_key() -> str:
    from hilum.deidentify import new_key

    return new_key() + "\n"


def _mapping_of(outcomes: list[Outcome]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("file", "written", "error"))
    for outcome in outcomes:
        name = "" if outcome.film is None else f"{outcome.film.uid}.dcm"
        table.writerow((outcome.file, name, "" if outcome.error is None else outcome.error.code))
    return text.getvalue()


def report_of(outcomes: list[Outcome], shift_dates: bool) -> dict[str, Any]:
    """Return what was done, in counts: no name of a file and nothing of a film."""
    from hilum.deidentify import EDITION

    films = [outcome.film for outcome in outcomes if outcome.film is not None]
    attributes: Counter[str] = Counter()
    for film in films:
        attributes.update(film.counts)
    return {
        "profile": f"DICOM PS3.15 {EDITION}, Basic Application Level Confidentiality Profile",
        "dates": "shifted" if shift_dates else "removed",
        "films": len(outcomes),
        "written": len({film.uid for film in films}),
        "failed": dict(
            sorted(Counter(outcome.error.code for outcome in outcomes if outcome.error is not None).items())
        ),
        "burned_in": dict(sorted(Counter(film.burned_in for film in films).items())),
        "attributes": dict(sorted(attributes.items())),
    }
