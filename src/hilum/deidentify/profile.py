"""What becomes of each attribute: the standard's Table E.1-1, and the list of what else may stay.

``profile.csv`` holds the facts of the table: tag, keyword, action, the attribute's type in the CR, DX and secondary
capture IODs where the action depends on it (1, 2 or 3, the strictest of the three; empty: in none of them), and ``C``
where the option Retain Longitudinal Temporal Information with Modified Dates cleans it instead.

``keep.csv`` holds the attributes that the table does not name and that may stay, each with a rule for its value (see
``hilum.deidentify.values``) and its type: of type 2, what can't stay is emptied, else removed. What stands in neither
list is removed, so an attribute of a later edition never slips through.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast

from pydicom.datadict import tag_for_keyword

EDITION = "2026c"
"""Of the DICOM standard that Table E.1-1 was taken from."""

Action = Literal["D", "Z", "X", "U", "U*"]
"""Dummy, zero length, remove, keyed UID; ``U*``: a sequence that stays, with keyed UIDs in its items."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of Table E.1-1."""

    tag: str
    """Eight hex digits; ``x`` stands for any, in the two repeating groups."""
    keyword: str
    code: str
    """As in the table: ``D``, ``Z``, ``X``, ``U``, or several with slashes."""
    type: str
    modified_dates: bool

    @property
    def action(self) -> Action:
        """The one action that the type leaves of a compound code."""
        if self.code == "X/Z/U*":
            return "U*"
        choices = self.code.split("/")
        wanted = {"1": "DZX", "2": "ZDX"}.get(self.type, "XZD")
        return cast(Action, choices[0] if len(choices) == 1 else next(code for code in wanted if code in choices))


@dataclass(frozen=True, slots=True)
class Kept:
    """An attribute outside the table that may stay."""

    keyword: str
    type: str
    rule: str


def _rows(name: str) -> list[dict[str, str]]:
    text = files("hilum.deidentify").joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def table() -> tuple[Attribute, ...]:
    """Return Table E.1-1, but for its row on private attributes: those are always removed."""
    return tuple(
        Attribute(row["tag"], row["keyword"], row["action"], row["type"], bool(row["modified_dates"]))
        for row in _rows("profile.csv")
    )


@cache
def by_tag() -> dict[int, Attribute]:
    """Return the table by tag, without the repeating groups, of which nothing may stay."""
    return {int(row.tag, 16): row for row in table() if "x" not in row.tag}


@cache
def kept() -> dict[int, Kept]:
    """Return what may stay besides, by tag."""
    rows = [Kept(row["keyword"], row["type"], row["rule"]) for row in _rows("keep.csv")]
    return {tag: row for row in rows if (tag := tag_for_keyword(row.keyword)) is not None}
