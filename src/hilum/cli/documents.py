"""The files that ``hilum analyze`` writes: documents of each film into a folder, or one table of all films."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from hilum.cli.answer import Answer
from hilum.errors import ConfigError, HilumError, InputError
from hilum.report.documents import FORMS, Kind, render


def is_file(out: Path, films: int, kinds: Sequence[Kind]) -> bool:
    """Say whether ``out`` names the one document of one film, by its suffix, rather than a folder."""
    alone = films == len(kinds) == 1 and not out.is_dir()
    return alone and out.suffix == Path(f"film{FORMS[kinds[0]].suffix}").suffix


def write_documents(answers: Iterator[Answer], out: Path, kinds: Sequence[Kind], films: int) -> int:
    """Write documents of each film into the folder ``out``, or the only one of the only film into the file of that name.

    Returns how many films lack something. Raises ``ConfigError``.

    A film that could not be read or written is told by its number: the error stream is often kept, and a name may name the
    patient.
    """
    failed = 0
    for number, answer in enumerate(answers, 1):
        if answer.analysis is None or answer.image is None:
            failed += 1
            _say(number, answer.error)
            continue
        # Two films of one name in two folders must not overwrite each other's documents.
        name = f"{Path(answer.file).stem}-{answer.analysis.source.sha256[:8]}"
        problems = 0
        for kind in kinds:
            try:
                document = render(kind, answer.analysis, answer.image, answer.study, datetime.now().astimezone())
                path = out if is_file(out, films, kinds) else out / f"{name}{FORMS[kind].suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(document)
            except InputError as error:
                problems += 1
                _say(number, error)
            except OSError as error:
                raise ConfigError(f"A document can't be written to the place of --out: {error.strerror}.") from None
        failed += problems > 0
    return failed


def write_parquet(answers: Iterator[Answer], path: Path) -> int:
    """Write the rows of all films as one Parquet file; return how many films could not be read."""
    from hilum.report import csv_rows, to_parquet

    to_parquet([])  # before hours of reading: without its extra there is nothing to begin
    failed = 0
    rows: list[dict[str, object]] = []
    for answer in answers:
        if answer.analysis is not None:
            rows += csv_rows(answer.file, answer.analysis)
        elif answer.error is not None:
            failed += 1
            rows.append({"file": answer.file, "error": answer.error.code})
    try:
        path.write_bytes(to_parquet(rows))
    except OSError as error:
        raise ConfigError(f"The file of --out can't be written: {error.strerror}.") from None
    return failed


def _say(number: int, error: HilumError | None) -> None:
    Console(stderr=True).print(f"film {number}: {error}", highlight=False, markup=False, soft_wrap=True)
