"""What a publisher's label becomes: 1, 0, a probability between them or unknown, by policies that the user names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError
from hilum.findings import OUTPUTS

Labels = Mapping[str, float | None]
Uncertain = Literal["ignore", "ones", "zeros", "soft"]
"""What an uncertain label (−1) becomes: unknown, 1, 0, or a probability drawn from ``SOFT_RANGE``."""
Unmentioned = Literal["ignore", "zeros"]
"""What a finding becomes that its report does not mention (blank): unknown, or 0."""
SOFT_RANGE = (0.55, 0.85)
"""U-Ones with label smoothing: Pham et al. 2019, "Interpreting chest X-rays via CNNs that exploit hierarchical disease
dependencies and uncertainty labels"."""

_FIXED = {"ignore": None, "ones": 1.0, "zeros": 0.0}


def settle_labels(
    table: Table, uncertain: Uncertain | Mapping[str, Uncertain] = "ignore", unmentioned: Unmentioned = "ignore"
) -> Table:
    """Return the table with its uncertain and its unmentioned labels decided.

    ``uncertain``: one policy, or one for each finding; a finding that is not named is ignored. A soft label is drawn from
    ``SOFT_RANGE`` by film and finding, so it is the same in every run. Raises ``DatasetError`` for a name that is no finding.
    """
    policies = dict.fromkeys(OUTPUTS, uncertain) if isinstance(uncertain, str) else dict(uncertain)
    if unknown := sorted(set(policies) - set(OUTPUTS)):
        raise DatasetError(f"A policy for uncertain labels names {unknown[0]!r}. Expected one of {', '.join(OUTPUTS)}.")
    if unmentioned == "ignore" and set(policies.values()) <= {"ignore"}:
        return table
    # Hundreds of thousands of films have a few thousand different sets of labels: each is kept once.
    kept: dict[tuple[tuple[str, float | None], ...], Labels] = {}
    rows = []
    for row in table.rows:
        labels = _settle(row, policies, None if unmentioned == "ignore" else 0.0)
        rows.append(replace(row, labels=kept.setdefault(tuple(labels.items()), labels)))
    return replace(table, rows=tuple(rows))


def _settle(row: Row, policies: Mapping[str, Uncertain], blank: float | None) -> Labels:
    settled: dict[str, float | None] = {}
    for name, value in (row.labels or {}).items():
        if value is not None:
            settled[name] = value
        elif name not in row.uncertain:
            settled[name] = blank
        elif (policy := policies.get(name, "ignore")) == "soft":
            settled[name] = _draw(row.image, name)
        else:
            settled[name] = _FIXED[policy]
    return settled


def _draw(image: Path, name: str) -> float:
    digest = hashlib.blake2b(f"{image.as_posix()}\0{name}".encode(), digest_size=4).digest()
    low, high = SOFT_RANGE
    return low + (high - low) * int.from_bytes(digest) / 2**32
