"""What became of an archive's films, counted from its results alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of films."""

    films: int
    accepted: int
    refused: Mapping[str, int]
    """By the code of the first reason, most frequent first."""
    failed: Mapping[str, int]
    """By error code, most frequent first."""


def summarise(results: Iterable[Path]) -> Summary:
    """Count the films of some shards' files. A film may have many rows, which stand together."""
    from pyarrow.parquet import read_table

    films = 0
    accepted = 0
    refused: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for path in results:
        table = read_table(path, columns=["file", "accepted", "reasons", "error"])
        rows = {row["file"]: row for row in table.to_pylist()}
        films += len(rows)
        for row in rows.values():
            if row["error"] is not None:
                failed[row["error"]] += 1
            elif row["accepted"]:
                accepted += 1
            else:
                refused[row["reasons"].partition(" ")[0]] += 1
    return Summary(films, accepted, dict(refused.most_common()), dict(failed.most_common()))


def summary_to_json(summary: Summary) -> bytes:
    """Return a summary as its file's bytes."""
    return json.dumps(asdict(summary), indent=2).encode() + b"\n"


def summary_to_text(summary: Summary) -> str:
    """Return a summary for people."""
    lines = [f"films     {summary.films:,}", f"accepted  {summary.accepted:,}"]
    for name, counts in (("refused", summary.refused), ("failed", summary.failed)):
        codes = ", ".join(f"{code} {count:,}" for code, count in counts.items())
        lines.append(f"{name:8}  {sum(counts.values()):,}{'  (' + codes + ')' if codes else ''}")
    return "\n".join(lines)
