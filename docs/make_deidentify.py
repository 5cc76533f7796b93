"""Write the reference of de-identification from the two tables that the program itself obeys.

python docs/make_deidentify.py
"""

from __future__ import annotations

from pathlib import Path

from pydicom.datadict import dictionary_VR

from hilum.deidentify.profile import EDITION, Attribute, kept, table

PAGE = Path(__file__).parent / "reference" / "deidentify.md"
WORDS = {
    "D": "dummy",
    "Z": "emptied",
    "X": "removed",
    "U": "keyed UID",
    "U*": "its items stay, with keyed UIDs",
}
HEAD = """# De-identification, attribute by attribute

This page is written by `python docs/make_deidentify.py` from the tables that
[`hilum deidentify`](command-line.md#hilum-deidentify) obeys.
[De-identify films](../how-to/de-identify.md) says how to use it, and what it does not promise.

An attribute is decided in this order, in the data set and in the items of each sequence that stays:

1. A private attribute is removed.
2. An attribute of the standard's Table E.1-1 has the action that stands there.
3. An attribute of the list of what may stay is kept where its value obeys the list's rule. If not: emptied where it is of
   type 2, else removed.
4. **Any other attribute is removed**, so that one of a later edition never slips through.

The preamble is zeroed and the file meta information is written anew. Patient ID and Patient's Name are a keyed pseudonym.
"""


def page() -> str:
    """Return the page."""
    return f"{HEAD}\n{_table_of_the_standard()}\n{_list_of_what_stays()}"


def _table_of_the_standard() -> str:
    rows = [
        f"| ({row.tag[:4]},{row.tag[4:]}) | `{row.keyword}` | {row.code} | {_done(row)} | {_shifted(row)} |"
        for row in table()
    ]
    return (
        f"## Table E.1-1 of PS3.15, edition {EDITION}\n\n"
        f"{len(rows)} attributes, two repeating groups among them. A code of several letters is decided by the attribute's type "
        "in the objects that are taken (CR, DX, secondary capture): type 1 a dummy, type 2 emptied, type 3 or not there removed. "
        "With `--shift-dates`, what the option *Retain Longitudinal Temporal Information with Modified Dates* cleans is shifted "
        "where it is a date or time that can be read.\n\n"
        "| tag | keyword | standard | done | with `--shift-dates` |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _done(row: Attribute) -> str:
    if row.keyword in ("PatientID", "PatientName"):
        return "keyed pseudonym"
    return WORDS[row.action]


def _shifted(row: Attribute) -> str:
    return "shifted" if row.modified_dates else ""


def _list_of_what_stays() -> str:
    rules = {
        "number": "numbers",
        "words": "16-bit words",
        "uid": "UIDs that the standard itself names",
        "orientation": "A, P, R, L, H, F",
        "items": "items, by these same rules",
        "code": "codes of DCM, SNOMED CT and SRT that pydicom's dictionary has, with the dictionary's meaning",
        "empty": "emptied",
    }
    rows = [
        f"| `{row.keyword}` | {dictionary_VR(tag)} | {rules.get(row.rule, row.rule.replace('|', ', '))} |"
        for tag, row in sorted(kept().items())
    ]
    return (
        f"## What else may stay\n\n{len(rows)} attributes: the picture, its geometry, the view, the body part, the exposure. "
        "No free text is among them: what is text must be one of the terms named here.\n\n"
        "| keyword | VR | values that stay |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
