"""Values that may stay: numbers, the standard's own terms, well-known UIDs and coded concepts. Free text never does.

A value is read from its bytes by the standard's value representation of its tag, whatever the file calls it, and is
written anew. So a name in a field of numbers or of terms is no way around the rules.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from functools import cache
from typing import cast

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

_TEXT = frozenset({"CS", "DS", "IS", "SH", "LO", "UI", "DA", "TM", "DT", "PN", "LT", "ST"})
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ORIENTATION = re.compile(r"[APRLHF]{1,3}")


def text_of(source: Dataset, tag: int) -> str:
    """Return an element's text as it stands; empty where there is none."""
    raw = _raw(source, tag)
    return "" if raw is None else (raw.value or b"").decode("latin-1").strip(" \0")


def tags_of(source: Dataset) -> list[BaseTag]:
    """Return the tags of a data set, without parsing their values, as iterating over it would."""
    return list(source.keys())


def _raw(source: Dataset, tag: int) -> RawDataElement | None:
    """Return an element as it was found, None where there is none or it has been parsed already, as sequences may be."""
    found: object = source.get_item(tag) if tag in source else None
    return found if isinstance(found, RawDataElement) else None


def kept_element(source: Dataset, tag: int, vr: str, rule: str, signed: bool) -> DataElement | None:
    """Return the element as it may stay, or None where its value does not fit ``rule``.

    ``signed``: whether the pixels are, which decides the representation of values that are compared with them.
    """
    raw = _raw(source, tag)
    if raw is None or not raw.value:
        return None
    element = _kept(raw, tag, vr, rule, signed)
    most = dictionary_VM(tag).rpartition("-")[2]
    # Of tables, the bytes are one value.
    return element if element is None or not most.isdecimal() or int(most) >= element.VM else None


def _kept(raw: RawDataElement, tag: int, vr: str, rule: str, signed: bool) -> DataElement | None:
    if rule == "words" or vr in ("US or SS", "US or OW"):
        return _words(raw, tag, vr, signed)
    if vr in _BINARY:
        return _numbers(raw, tag, vr)
    if vr not in _TEXT or raw.VR not in (None, "UN", *_TEXT):
        return None
    values = [value.strip(" \0") for value in (raw.value or b"").decode("latin-1").split("\\")]
    fitting = _fitting(values, rule)
    return DataElement(tag, vr, fitting if len(fitting) > 1 else fitting[0]) if fitting else None


def _fitting(values: list[str], rule: str) -> list[str]:
    """Return the values that fit: all or none, but of several terms those that do."""
    if rule == "number":
        return values if all(_NUMBER.fullmatch(value) and len(value) <= 16 for value in values) else []
    if rule == "uid":
        return values if all(value in UID_dictionary for value in values) else []
    if rule == "orientation":
        return values if all(map(_ORIENTATION.fullmatch, values)) else []
    terms = rule.split("|")
    return [value.upper() for value in values if value.upper() in terms]


def _numbers(raw: RawDataElement, tag: int, vr: str) -> DataElement | None:
    size = struct.calcsize(_BINARY[vr])
    if raw.VR not in (None, "UN", vr) or raw.value is None or len(raw.value) % size:
        return None
    order = "<" if raw.is_little_endian else ">"
    numbers = struct.unpack(f"{order}{len(raw.value) // size}{_BINARY[vr]}", raw.value)
    return DataElement(tag, vr, list(numbers) if len(numbers) > 1 else numbers[0])


def _words(raw: RawDataElement, tag: int, vr: str, signed: bool) -> DataElement | None:
    """Return 16-bit words, their bits unchanged: tables as bytes, others as numbers."""
    if raw.VR not in (None, "UN", "US", "SS", "OW", "OB") or raw.value is None or len(raw.value) % 2:
        return None
    order = "<" if raw.is_little_endian else ">"
    count = len(raw.value) // 2
    if vr in ("OW", "US or OW"):
        return DataElement(tag, "OW", struct.pack(f"<{count}H", *struct.unpack(f"{order}{count}H", raw.value)))
    words = struct.unpack(f"{order}{count}{'h' if signed else 'H'}", raw.value)
    return DataElement(tag, "SS" if signed else "US", list(words) if count > 1 else words[0])


def kept_concept(item: Dataset) -> Dataset | None:
    """Return the code of a sequence's item where it is the standard's own, with its own meaning; else None."""
    value, scheme = text_of(item, 0x00080100), text_of(item, 0x00080102)
    meaning = _meanings().get((scheme, value))
    if meaning is None:
        return None
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = value, scheme, meaning
    return concept


@cache
def _meanings() -> dict[tuple[str, str], str]:
    """Return the meaning of each concept that pydicom's dictionary has, by scheme and value; SNOMED in both its forms."""
    from pydicom.sr._concepts_dict import concepts
    from pydicom.sr._snomed_dict import mapping

    found = {
        (scheme, value): meaning[:64]
        for scheme in ("DCM", "SCT")
        for names in cast("Mapping[str, Mapping[str, tuple[str, list[int]]]]", concepts[scheme]).values()
        for value, (meaning, *_) in names.items()
    }
    old = {("SRT", old): found[("SCT", new)] for old, new in mapping["SRT"].items() if ("SCT", new) in found}
    return found | old
