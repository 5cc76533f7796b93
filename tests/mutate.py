"""Spoiling files: any bytes, and texts, JSON and DICOM by their own structure. The same random numbers spoil the same way."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

Mutate = Callable[[Random, bytes], bytes]

SIZES = (0, 1, 2, 7, 8, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 10**12, 10**400, 0.5, -1e308, 1e308, float("nan"), float("inf"),
    "", "x", "../../x", "\0", "é" * 300,
    [], {}, [[]], [None], {"x": 1}, ["x", 1], [0] * 1000,
)  # fmt: skip
WORDS = (
    "1e400", "-1", "nan", "inf", "9" * 5000, "''", '"', "[", "]", "{", "=", "\n", "\r", "\0", "#", ",", ",,,", "true",
    "0x1", "\x1b[31m",
)  # fmt: skip
VRS = (
    "UI",
    "SQ",
    "US",
    "DS",
    "IS",
    "LO",
    "PN",
    "OB",
    "OW",
    "UN",
    "FD",
    "AT",
    "UT",
    "DA",
    "TM",
    "SS",
    "OF",
    "??",
    "\0\0",
)
TAGS = (
    (0x0002, 0x0010), (0x0008, 0x0005), (0x0008, 0x0016), (0x0008, 0x0060), (0x0028, 0x0002), (0x0028, 0x0004), (0x0028, 0x0006),
    (0x0028, 0x0008), (0x0028, 0x0010), (0x0028, 0x0011), (0x0028, 0x0100), (0x0028, 0x0101), (0x0028, 0x0102), (0x0028, 0x0103),
    (0x0028, 0x1050), (0x0028, 0x1052), (0x0028, 0x1053), (0x0028, 0x3000), (0x0028, 0x3010), (0x7FE0, 0x0010), (0x7FE0, 0x0001),
    (0xFFFE, 0xE000), (0xFFFE, 0xE0DD),
)  # fmt: skip
_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")


def mutate_bytes(random: Random, data: bytes) -> bytes:
    """Flip, overwrite, cut out, double, insert and cut off, a few times."""
    spoilt = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        if not spoilt:
            break
        place = random.randrange(len(spoilt))
        length = min(len(spoilt) - place, random.choice((1, 2, 4, 16, 200)))
        match random.randrange(7):
            case 0:
                spoilt[place] ^= 1 << random.randrange(8)
            case 1:
                spoilt[place : place + length] = random.randbytes(length)
            case 2:
                number = struct.pack(random.choice("<>") + "I", random.choice(SIZES))
                spoilt[place : place + 4] = number[: len(spoilt) - place]
            case 3:
                del spoilt[place : place + length]
            case 4:
                spoilt[place:place] = spoilt[place : place + length] * random.choice((1, 1, 50))
            case 5:
                spoilt[place:place] = random.randbytes(length)
            case _:
                del spoilt[place if random.random() < 0.2 else -1 :]
    return bytes(spoilt)


def mutate_text(random: Random, data: bytes) -> bytes:
    """Change lines and words of a text such as TOML or CSV; sometimes its bytes."""
    if random.random() < 0.2:
        return mutate_bytes(random, data)
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(lines))
        words = [found.span() for found in re.finditer(r"[\w.]+", lines[place])]
        kind = random.randrange(5)
        if kind == 0:
            del lines[place : place + 1]
            lines = lines or [""]
        elif kind == 1:
            lines.insert(place, lines[random.randrange(len(lines))])
        elif kind == 2 or not words:
            at = random.randrange(len(lines[place]) + 1)
            lines[place] = lines[place][:at] + random.choice(WORDS) + lines[place][at:]
        else:
            start, end = random.choice(words)
            lines[place] = lines[place][:start] + random.choice(WORDS) + lines[place][end:]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def mutate_json(random: Random, data: bytes) -> bytes:
    """Replace, drop, double and rename values of a JSON document; sometimes change its bytes."""
    if random.random() < 0.1:
        return mutate_bytes(random, data)
    document = json.loads(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = _places(document)
        if not places:
            break
        inside, key = random.choice(places)
        kind = random.randrange(4)
        if kind == 0:
            del inside[key]
        elif kind == 1 and isinstance(inside, dict):
            inside[f"{key}_"] = inside.pop(key)
        elif kind == 2 and isinstance(inside, list):
            inside.insert(key, deepcopy(inside[key]))
        else:
            inside[key] = deepcopy(random.choice(ODD))
    return json.dumps(document).encode()


def _places(document: Any) -> list[tuple[Any, Any]]:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [place for key, value in items for place in [(document, key), *_places(value)]]


def mutate_dicom(random: Random, data: bytes) -> bytes:
    """Change tags, value representations, lengths and values of explicit little endian DICOM; sometimes its bytes."""
    elements = _elements(data)
    if not elements or random.random() < 0.3:
        return mutate_bytes(random, data)
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(elements))
        head, value = elements[place]
        match random.randrange(7):
            case 0:
                head = struct.pack("<HH", *random.choice(TAGS)) + head[4:]
            case 1:
                head = head[:4] + random.choice(VRS).encode() + head[6:]
            case 2:
                size = random.choice(SIZES)
                head = (
                    head[:6] + struct.pack("<H", size & 0xFFFF)
                    if len(head) == 8
                    else head[:8] + struct.pack("<I", size)
                )
            case 3:
                value = random.randbytes(len(value)) if len(value) < 5000 else mutate_bytes(random, value)
            case 4:
                word = random.choice(WORDS).encode().ljust(len(value), b" ")
                value = struct.pack("<H", random.choice(SIZES) & 0xFFFF) if len(value) == 2 else word
            case 5:
                elements.insert(random.randrange(len(elements)), elements[place])
                continue
            case _:
                del elements[place]
                if not elements:
                    break
                continue
        elements[place] = head, value
    start = 132 if data[128:132] == b"DICM" else 0
    return data[:start] + b"".join(head + value for head, value in elements)


def _elements(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return heads and values of a file's elements as far as they can be told; what is left is the last one's value."""
    place, found = 132 if data[128:132] == b"DICM" else 0, []
    while place + 12 <= len(data):
        vr = data[place + 4 : place + 6].decode("latin-1")
        size, layout = (12, "<8xI") if vr in _LONG else (8, "<6xH")
        (length,) = struct.unpack_from(layout, data, place)
        end = place + size + length
        found.append((data[place : place + size], data[place + size : end]))
        if end > len(data) or not vr.isalpha():
            break
        place = end
    return found
