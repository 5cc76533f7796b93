"""A data set built anew from what may stay of another. Nothing is deleted from the old one: what isn't copied is gone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_keyword, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from hilum.deidentify.dates import shifted_date, shifted_date_time, shifted_time
from hilum.deidentify.profile import Attribute, by_tag, kept
from hilum.deidentify.pseudonyms import Pseudonyms
from hilum.deidentify.values import kept_concept, kept_element, tags_of, text_of
from hilum.errors import UnreadableImage

MAX_DEPTH = 8
"""Sequences within sequences. No film needs more than three."""

_DUMMIES: dict[str, str | int | float] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED"),
    **dict.fromkeys(("DS", "IS"), "0"),
    **dict.fromkeys(("SL", "SS", "UL", "US"), 0),
    **dict.fromkeys(("FL", "FD"), 0.0),
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a data set is rebuilt, and the tally of what was done."""

    pseudonyms: Pseudonyms
    offset: timedelta | None
    """How far dates and times move; None: they go, as the basic profile has it."""
    signed: bool
    """Whether the pixels are."""
    counts: Counter[str] = field(default_factory=Counter)


def rebuild(source: Dataset, plan: Plan) -> Dataset:
    """Return what may stay of ``source``, at any depth, with each attribute's action done. Pixels are not copied.

    Raises UnreadableImage for sequences nested deeper than MAX_DEPTH.
    """
    root = Dataset()
    waiting = [(source, root, False, 0)]
    while waiting:
        old, new, in_code, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise UnreadableImage(f"Sequences are nested deeper than {MAX_DEPTH}. Expected the header of a film.")
        for tag in sorted(tags_of(old)):
            items = _copy(old, new, tag, in_code, plan)
            waiting += [(before, after, code, depth + 1) for before, after, code in items]
    return root


def _copy(old: Dataset, new: Dataset, tag: BaseTag, in_code: bool, plan: Plan) -> list[tuple[Dataset, Dataset, bool]]:
    """Put into ``new`` what may stay of one element; return the items of a sequence that are still to be rebuilt."""
    row, keep = by_tag().get(tag), kept().get(tag)
    if tag.is_private:
        plan.counts["private"] += 1
    elif tag.group < 8:
        plan.counts["removed"] += 1  # of a message or of file meta information, which have no place in a data set
    elif keep is not None and keep.rule in ("items", "code"):
        return _copy_items(old, new, tag, keep.rule == "code", plan)
    elif in_code:
        pass  # the code itself is written from the dictionary; the rest of its item goes
    elif row is not None and row.action == "U*":
        return _copy_items(old, new, tag, False, plan)
    elif row is not None:
        _act(old, new, tag, row, plan)
    elif keep is None:
        plan.counts["unlisted"] += tag != 0x7FE00010
    elif keep.rule == "empty":
        _empty(new, tag, plan)
    else:
        element = kept_element(old, tag, dictionary_VR(tag), keep.rule, plan.signed)
        if element is not None:
            plan.counts["kept"] += 1
            new.add(element)
        elif keep.type == "2":
            _empty(new, tag, plan)
        else:
            plan.counts["unfit"] += 1
    return []


def _copy_items(
    old: Dataset, new: Dataset, tag: BaseTag, code: bool, plan: Plan
) -> list[tuple[Dataset, Dataset, bool]]:
    sequence = old[tag].value
    if not isinstance(sequence, Sequence):
        plan.counts["unfit"] += 1
        return []
    pairs = [(item, kept_concept(item) if code else Dataset()) for item in sequence]
    items = [(item, after, code) for item, after in pairs if after is not None]
    plan.counts["unfit"] += len(pairs) - len(items)
    plan.counts["kept"] += 1
    new.add(DataElement(tag, "SQ", Sequence([after for _, after, _ in items])))
    return items


def _act(old: Dataset, new: Dataset, tag: BaseTag, row: Attribute, plan: Plan) -> None:
    """Do one attribute's action of Table E.1-1."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        vr = ""  # newer than pydicom's dictionary
    moved = _moved(old, tag, vr, plan.offset) if row.modified_dates else None
    if moved is not None:
        new.add(DataElement(tag, vr, moved))
        plan.counts["dates"] += 1
    elif row.action == "U" and (uids := _keyed(text_of(old, tag), plan.pseudonyms)):
        new.add(DataElement(tag, "UI", uids))
        plan.counts["uids"] += 1
    elif row.action == "D" and vr in _DUMMIES:
        new.add(DataElement(tag, vr, _DUMMIES[vr]))
        plan.counts["dummies"] += 1
    elif row.action == "Z" and vr:
        _empty(new, tag, plan)
    else:
        # Bulk data and sequences have no dummy; they are of type 1 in no object that is taken here.
        plan.counts["removed"] += 1


def _empty(new: Dataset, tag: BaseTag, plan: Plan) -> None:
    vr = dictionary_VR(tag)
    new.add(DataElement(tag, vr, Sequence() if vr == "SQ" else None))
    plan.counts["emptied"] += 1


def _keyed(text: str, pseudonyms: Pseudonyms) -> list[str]:
    """Return keyed UIDs; those that the standard itself names stay, such as the frame of reference of an atlas."""
    values = [value.strip(" \0") for value in text.split("\\")]
    return [uid if uid in UID_dictionary else pseudonyms.uid(uid) for uid in values if uid]


def _moved(old: Dataset, tag: BaseTag, vr: str, offset: timedelta | None) -> str | None:
    """Return a date or time moved by the offset, a date with its time where both are there."""
    if offset is None or vr not in ("DA", "TM", "DT"):
        return None
    value = text_of(old, tag)
    if vr == "DT":
        return shifted_date_time(value, offset)
    name = dictionary_keyword(tag)
    other = tag_for_keyword(name.removesuffix("Date") + "Time" if vr == "DA" else name.removesuffix("Time") + "Date")
    partner = text_of(old, other) if other is not None else ""
    return shifted_date(value, partner, offset) if vr == "DA" else shifted_time(partner, value, offset)
