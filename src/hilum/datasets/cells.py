"""Publishers' CSV files: opened, plain or gzipped, checked for their columns, and their cells read."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hilum.errors import DatasetError

Cells = Mapping[str, str]

_LABELS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1, "": None}


@contextmanager
def open_csv(path: Path, required: Collection[str], what: str) -> Iterator[tuple[list[str], Iterator[Cells]]]:
    """Open a CSV, gzipped where its name ends in ``.gz``; give its columns and its rows.

    ``what`` names the file in messages. Raises ``DatasetError`` if it is not there, is no text or lacks a ``required`` column.
    """
    if not path.is_file():
        wanted = f" with the columns {', '.join(required)}" if required else ""
        raise DatasetError(f"There is no {what}. Expected a CSV file{wanted}.")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = list(reader.fieldnames or ())
            if missing := [name for name in required if name not in columns]:
                raise DatasetError(
                    f"{len(columns)} columns were found in {what}, but not {', '.join(missing)}. Expected {', '.join(required)}."
                )
            yield columns, iter(reader)
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DatasetError(f"{what} can't be read: {type(error).__name__}. Expected a CSV file in UTF-8.") from None


def read_label(text: str | None, line: int, column: str) -> int | None:
    """Return a cell's label: 1 present, 0 absent, −1 uncertain, None for a blank. Raises ``DatasetError`` for another."""
    try:
        return _LABELS[(text or "").strip()]
    except KeyError:
        raise DatasetError(
            f"Line {line} has an unexpected label for {column}. Expected 1 (present), 0 (absent), -1 (uncertain) or nothing."
        ) from None


def split_uncertain(cells: Mapping[str, int | None]) -> tuple[dict[str, float | None], frozenset[str]]:
    """Return labels (an uncertain one is unknown until a policy decides) and which of them are uncertain."""
    labels = {name: None if value is None or value < 0 else float(value) for name, value in cells.items()}
    return labels, frozenset(name for name, value in cells.items() if value == -1)


def read_number(text: str | None) -> float | None:
    """Return a cell's finite number, or None where there is none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def read_name(text: str | None, line: int, column: str) -> str:
    """Return a cell that may not be empty. Raises ``DatasetError``."""
    if not text:
        raise DatasetError(f"Line {line} has no {column}. Expected one on every line.")
    return text
