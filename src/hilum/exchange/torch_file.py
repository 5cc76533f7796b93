"""A file that ``torch.save`` wrote → its arrays, read as data: nothing that it names is imported or called.

torch pickles whole networks, and unpickling runs what a file asks for. Here every class that a file names becomes an inert
record, so that only numbers and the names of modules come out. Both of torch's formats are read: the zip file of torch 1.6
and later, and the row of pickles from before, which ``torch.load(weights_only=True)`` refuses for whole networks.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.errors import Incompatible, UnsafeFile

MAX_BYTES = 2**30

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

State = dict[str, npt.NDArray[Any]]

_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "BoolStorage": "?",
}
_DAMAGE = (
    pickle.UnpicklingError, zipfile.BadZipFile, struct.error, EOFError, OSError, KeyError, ValueError, TypeError, IndexError,
    AttributeError, ImportError, MemoryError, OverflowError, RecursionError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What reading a damaged file raises depends on where the damage lies."""


def read_torch_file(content: bytes) -> State:
    """Return name → array of the parameters and buffers in a saved network or state dict, such as ``features.conv0.weight``.

    Raises ``UnsafeFile`` for a file that names what no saved network needs, ``Incompatible`` for one that can't be read.
    """
    try:
        root = _read_zip(content) if zipfile.is_zipfile(io.BytesIO(content)) else _read_legacy(content)
        state: State = {}
        _collect(root, "", state, set())
    except _DAMAGE as error:
        raise Incompatible(
            f"This is not a readable file of torch.save ({type(error).__name__}). Fetch it again."
        ) from None
    if not state:
        raise Incompatible("The file holds no weights. Expected a network or a state dict saved by torch.")
    return state


@dataclass(eq=False)
class _Storage:
    """Numbers that tensors are views of; filled when the file's end is reached."""

    dtype: str
    values: npt.NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> npt.NDArray[Any]:
        """Return the tensor's numbers. Raises ``ValueError`` where they lie outside of its storage."""
        values = self.storage.values
        reach = self.offset + sum((side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True))
        if values is None or min((self.offset, *self.shape, *self.strides), default=0) < 0:
            raise ValueError
        if 0 in self.shape:
            return np.zeros(self.shape, values.dtype)
        if max(reach + 1, math.prod(self.shape)) > values.size:
            raise ValueError
        steps = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps).copy()


class _Record:
    """Stands in for an object of any class: keeps its state and does nothing."""

    fields: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.fields = state if isinstance(state, dict) else {}


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(data: object, *_: object) -> object:
    return data


_KNOWN: Mapping[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}
_INERT = ("torch", "torchvision", "torchxrayvision")
"""Packages whose classes a saved network may name."""


class _Reader(pickle.Unpickler):
    """Unpickles without importing anything."""

    def __init__(self, file: io.BufferedIOBase, load: Callable[[tuple[Any, ...]], object]) -> None:
        super().__init__(file, encoding="latin-1")
        self._load = load

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands in for a class or function."""
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "torch" and name in _DTYPES:
            return name
        if module.split(".")[0] in _INERT:
            return type(name.rpartition(".")[2], (_Record,), {})
        raise UnsafeFile(
            f"The file names {ascii(f'{module}.{name}')[:80]}, which no saved network needs. Do not trust it: fetch it again."
        )

    def persistent_load(self, given: Any) -> object:
        """Return what a file keeps beside its pickle."""
        if not isinstance(given, tuple):
            raise pickle.UnpicklingError
        return self._load(given)


def _read_zip(content: bytes) -> object:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise UnsafeFile(f"The file unpacks to more than {MAX_BYTES:,} bytes.")
        (main,) = [name for name in names if name.endswith("/data.pkl")]
        folder = main.removesuffix("data.pkl")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise Incompatible("The file's numbers are big-endian. Save it again on another machine.")
        storages: dict[str, _Storage] = {}

        def load(given: tuple[Any, ...]) -> object:
            _, dtype, key, *_ = given
            if key not in storages:
                raw = archive.read(f"{folder}data/{key}")
                storages[key] = _Storage(_DTYPES[dtype], np.frombuffer(raw, _DTYPES[dtype]))
            return storages[key]

        return _Reader(io.BytesIO(archive.read(main)), load).load()


def _read_legacy(content: bytes) -> object:
    file = io.BytesIO(content)
    storages: dict[str, _Storage] = {}

    def load(given: tuple[Any, ...]) -> object:
        if given[0] == "module":  # a class with its source code, which is passed over
            return given[1]
        _, dtype, key, _, _, view = given
        if view is not None:
            raise NotImplementedError
        return storages.setdefault(key, _Storage(_DTYPES[dtype]))

    def refuse(_: tuple[Any, ...]) -> object:
        raise pickle.UnpicklingError

    if _Reader(file, refuse).load() != LEGACY_MAGIC or _Reader(file, refuse).load() != LEGACY_PROTOCOL:
        raise pickle.UnpicklingError
    if _Reader(file, refuse).load()["little_endian"] is not True:
        raise Incompatible("The file's numbers are big-endian. Save it again on another machine.")
    root = _Reader(file, load).load()
    for key in _Reader(file, refuse).load():
        (count,) = struct.unpack("<q", file.read(8))
        dtype = np.dtype(storages[key].dtype)
        raw = file.read(count * dtype.itemsize) if count >= 0 else b""
        if len(raw) != count * dtype.itemsize:
            raise EOFError
        storages[key].values = np.frombuffer(raw, dtype)
    return root


def _collect(node: object, path: str, state: State, seen: set[int]) -> None:
    """Gather tensors from a state dict or from records of modules, under torch's names; each record once."""
    if isinstance(node, _Tensor):
        state[path] = node.array()
    elif id(node) in seen:
        return
    elif isinstance(node, _Record):
        seen.add(id(node))
        for part in ("_parameters", "_buffers", "_modules"):
            _collect(node.fields.get(part), path, state, seen)
    elif isinstance(node, dict):
        seen.add(id(node))
        for name, below in node.items():
            _collect(below, f"{path}.{name}" if path else str(name), state, seen)
