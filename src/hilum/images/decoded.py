"""What decoding gives: stored values, and the table that turns each into a shade. It travels between processes as bytes.

The way back is JSON and plain numbers, not pickle, so that nothing which the other process sends is ever run.
"""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from hilum.errors import ImageTooLarge, InputError, UnreadableImage, UnsupportedSyntax
from hilum.images.limits import Limits
from hilum.records import Array, Radiograph, Reason, Source

_LENGTH = struct.Struct("<I")
_LONGEST = 1 << 16
_ERRORS = {error.code: error for error in (UnreadableImage, UnsupportedSyntax, ImageTooLarge)}


Index = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a film beside its pixels; nothing personal."""

    bits: int
    photometric: str
    projection: str | None
    notes: tuple[str, ...]
    chroma: float
    stated: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """One frame: its shade at a place is ``table[index[place]]``."""

    index: Index
    """H×W."""
    table: Array
    """float32, (256,) or (65536,), 0–1, bright = dense."""
    facts: Facts

    def film(self, sha256: str) -> Radiograph:
        """Return the film; ``sha256`` is of the bytes that it was decoded from."""
        height, width = self.index.shape
        facts = self.facts
        source = Source("DICOM", width, height, facts.bits, sha256, facts.photometric, facts.projection, facts.notes)
        return Radiograph(self.table[self.index], source, facts.chroma, facts.stated)


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to another process: short messages in a stream each way, pixels in memory that both see."""

    incoming: BinaryIO
    outgoing: BinaryIO
    shared: int | None
    """A file in memory, by its descriptor; None where the system has none, and pixels go through the streams."""

    def send(self, content: dict[str, Any], *payload: memoryview) -> None:
        """Write a message and what belongs to it."""
        encoded = json.dumps(content).encode()
        place = 0
        for part in payload if self.shared is not None else ():
            place += os.pwrite(self.shared or 0, part, place)
        self.outgoing.write(_LENGTH.pack(len(encoded)) + encoded)
        for part in payload if self.shared is None else ():
            self.outgoing.write(part)
        self.outgoing.flush()

    def receive(self) -> dict[str, Any]:
        """Read a message. Raises EOFError, or ValueError for one that no honest process sends."""
        (length,) = _LENGTH.unpack(_exactly(self.incoming, _LENGTH.size))
        if length > _LONGEST:
            raise ValueError
        content = json.loads(_exactly(self.incoming, length))
        if not isinstance(content, dict):
            raise ValueError
        return content

    def receive_payload(self, *sizes: int) -> list[bytes]:
        """Read what belongs to the message, in parts of these sizes. Raises EOFError."""
        if self.shared is None:
            return [_exactly(self.incoming, size) for size in sizes]
        parts = [os.pread(self.shared, size, sum(sizes[:place])) for place, size in enumerate(sizes)]
        if [len(part) for part in parts] != list(sizes):
            raise EOFError
        return parts

    def clear(self) -> None:
        """Give back the shared memory, so that no film stays behind in it."""
        if self.shared is not None:
            os.ftruncate(self.shared, 0)


class Request(NamedTuple):
    """What is asked of a process: a file's first frame."""

    data: bytes
    limits: Limits
    enough: int | None = None
    """See ``read_image``."""


def send_request(channel: Channel, request: Request) -> None:
    """Write a request."""
    content = {"size": len(request.data), "limits": asdict(request.limits), "enough": request.enough}
    channel.send(content, memoryview(request.data))


def receive_request(channel: Channel) -> Request:
    """Read a request. Raises EOFError where there are no more."""
    content = channel.receive()
    (data,) = channel.receive_payload(content["size"])
    return Request(data, Limits(**content["limits"]), content["enough"])


def send_answer(channel: Channel, answer: Decoded | InputError) -> None:
    """Write what became of a request."""
    if isinstance(answer, InputError):
        channel.send({"error": answer.code, "message": str(answer)})
    else:
        index = np.ascontiguousarray(answer.index)
        content = {"shape": index.shape, "itemsize": index.itemsize, "facts": asdict(answer.facts)}
        channel.send(content, index.data.cast("B"), answer.table.data.cast("B"))


def receive_answer(channel: Channel, limits: Limits) -> Decoded | InputError:
    """Read an answer. Raises EOFError, ValueError, KeyError or TypeError for one that is not whole or not sound."""
    content = channel.receive()
    if "error" in content:
        return _ERRORS[content["error"]](str(content["message"]))
    height, width = (int(side) for side in content["shape"])
    itemsize = int(content["itemsize"])
    if itemsize not in (1, 2) or min(height, width) < 1 or height * width > limits.max_pixels:
        raise ValueError
    stored, shades = channel.receive_payload(height * width * itemsize, 4 << 8 * itemsize)
    table = np.frombuffer(shades, dtype=np.float32)
    if not (table.min() >= 0 and table.max() <= 1):
        raise ValueError
    index: Index = np.frombuffer(stored, dtype=f"u{itemsize}").reshape(height, width)
    return Decoded(index, table, _facts(**content["facts"]))


def _facts(stated: list[dict[str, Any]], notes: list[str], chroma: float, **facts: Any) -> Facts:
    if not math.isfinite(chroma):
        raise ValueError
    return Facts(**facts, chroma=chroma, notes=tuple(notes), stated=tuple(Reason(**reason) for reason in stated))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """Return so many bytes. Raises EOFError where there are fewer."""
    whole = stream.read(size)
    if len(whole) != size:
        raise EOFError
    return whole
