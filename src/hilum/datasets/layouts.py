"""The data sets' layouts: a folder or file, told by what lies in it, becomes the one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from hilum.datasets import chexpert, mimic, nih, plain
from hilum.datasets.labels import Uncertain, Unmentioned, settle_labels
from hilum.datasets.table import Table
from hilum.errors import DatasetError

Layout = Literal["csv", "chexpert", "mimic-cxr", "nih"]
_FOLDERS: dict[Layout, tuple[Callable[[Path], bool], Callable[[Path], Table], str]] = {
    # layout: is it this one, how it is read, what it looks like
    "chexpert": (chexpert.matches, chexpert.read_chexpert, chexpert.EXPECTED),
    "mimic-cxr": (mimic.matches, mimic.read_mimic, mimic.EXPECTED),
    "nih": (nih.matches, nih.read_nih, nih.EXPECTED),
    "csv": (plain.matches, plain.read_table, plain.EXPECTED),
}


def open_table(
    path: str | Path,
    layout: Layout | None = None,
    uncertain: Uncertain | Mapping[str, Uncertain] = "ignore",
    unmentioned: Unmentioned = "ignore",
    root: Path | None = None,
) -> Table:
    """Read a data set as the one table, and decide its uncertain and unmentioned labels (``settle_labels``).

    ``layout``: None tells it by the files. ``root``: where image paths start from, for a CSV that lies elsewhere.
    To judge, leave ``uncertain`` as it is: nobody knows whether a film that the publisher calls uncertain shows the finding.

    Raises ``DatasetError`` for what does not match the layout, with what was found.
    """
    path = Path(path)
    chosen = layout or find_layout(path)
    if chosen == "csv":
        table = plain.read_table(path, root)
    elif path.is_dir():
        table = _FOLDERS[chosen][1](path)
    else:
        raise DatasetError(
            f"The layout {chosen} is a folder's, and no folder was found. Expected {_FOLDERS[chosen][2]}."
        )
    return settle_labels(table, uncertain, unmentioned)


def find_layout(path: Path) -> Layout:
    """Tell a data set's layout by its files. Raises ``DatasetError`` with what was found where it is none of those known."""
    if not path.is_dir():
        return "csv"
    for layout, (matches, _, _) in _FOLDERS.items():
        if matches(path):
            return layout
    inside = list(path.iterdir())
    folders = sum(entry.is_dir() for entry in inside)
    tables = sum(entry.name.endswith((".csv", ".csv.gz")) for entry in inside)
    expected = "; ".join(f"{layout}: {looks}" for layout, (_, _, looks) in _FOLDERS.items())
    raise DatasetError(
        f"The folder has the layout of no known data set: {folders} folders, {tables} CSV files and "
        f"{len(inside) - folders - tables} others were found. Expected one of {expected}."
    )
