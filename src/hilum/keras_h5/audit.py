"""Is an HDF5 file nothing but data of its own? Looked at link by link before a value is read.

HDF5 can name other files (external links, external storage, virtual datasets), load code (filter plug-ins) and declare
arrays that it does not hold. None of this is in a file that Keras writes, and all of it is refused here.
"""

from __future__ import annotations

import math

from h5py import h5a, h5d, h5f, h5g, h5l, h5o, h5s, h5t, h5z

from hilum.errors import UnsafeFile

MAX_OBJECTS = 50_000
"""DenseNet121 with its optimiser's state has about 5,000."""
MAX_DEPTH = 32
MAX_ATTRIBUTES = 1_000
MAX_ATTRIBUTE_BYTES = 64 * 2**20
MAX_EXPANSION = 20
"""Declared over stored bytes of a compressed dataset. Trained weights hardly compress at all."""
MAX_CHUNK_BYTES = 256 * 2**20

_FILTERS = frozenset({h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32})
_CLASSES = frozenset({h5t.FLOAT, h5t.INTEGER, h5t.STRING})


def audit(file: h5f.FileID, size: int) -> None:
    """Walk every object of an open file of ``size`` bytes. Raises ``UnsafeFile`` at the first that is more than data."""
    root = h5o.open(file, b"/")
    seen = {h5o.get_info(root).addr}
    pending: list[tuple[h5g.GroupID, int]] = [(root, 0)]
    _check_attributes(root, size)
    while pending:
        group, depth = pending.pop()
        if depth >= MAX_DEPTH:
            raise UnsafeFile(f"The file nests its groups deeper than {MAX_DEPTH}. Expected a model saved by Keras.")
        for link in group:
            child = _follow(group, link)
            address = h5o.get_info(child).addr
            if address in seen:
                raise UnsafeFile(f"The file names one object twice, at {_shown(link)}. Expected a tree without loops.")
            seen.add(address)
            if len(seen) > MAX_OBJECTS:
                raise UnsafeFile(f"The file holds more than {MAX_OBJECTS:,} objects. Expected a model saved by Keras.")
            _check_attributes(child, size)
            if isinstance(child, h5g.GroupID):
                pending.append((child, depth + 1))
            elif isinstance(child, h5d.DatasetID):
                _check_dataset(child, _shown(link), size)
            else:
                raise UnsafeFile(
                    f"The file holds a named data type, {_shown(link)}. Expected groups and datasets only."
                )


def _shown(name: bytes) -> str:
    """Return a name from the file so that it can stand in a message."""
    return ascii(name.decode("utf-8", "replace"))[:80]


def _follow(group: h5g.GroupID, link: bytes) -> h5o.ObjectID:
    kind = group.links.get_info(link).type
    if kind == h5l.TYPE_EXTERNAL:
        raise UnsafeFile(f"{_shown(link)} is an external link, to another file. Expected all data in the file itself.")
    if kind != h5l.TYPE_HARD:
        raise UnsafeFile(
            f"{_shown(link)} is a soft or user-defined link. Expected all data in its place: save the model again."
        )
    return h5o.open(group, link)


def _check_attributes(owner: h5o.ObjectID, size: int) -> None:
    count = h5a.get_num_attrs(owner)
    if count > MAX_ATTRIBUTES:
        raise UnsafeFile(f"An object has {count:,} attributes. Expected at most {MAX_ATTRIBUTES:,}.")
    for index in range(count):
        attribute = h5a.open(owner, index=index)
        kind, space = attribute.get_type(), attribute.get_space()
        if kind.get_class() not in _CLASSES:
            raise UnsafeFile(f"The attribute {_shown(attribute.name)} is neither number nor text.")
        declared = math.prod(space.shape or ()) * kind.get_size()
        if declared > min(size, MAX_ATTRIBUTE_BYTES):
            raise UnsafeFile(
                f"The attribute {_shown(attribute.name)} declares {declared:,} bytes in a file of {size:,}."
            )


def _check_dataset(dataset: h5d.DatasetID, name: str, size: int) -> None:
    kind, space, plan = dataset.get_type(), dataset.get_space(), dataset.get_create_plist()
    if kind.get_class() not in _CLASSES:
        raise UnsafeFile(f"The dataset {name} holds neither numbers nor text. Expected weights as plain numbers.")
    if plan.get_external_count():
        raise UnsafeFile(f"The dataset {name} is stored in another file. Expected all data in the file itself.")
    layout = plan.get_layout()
    if layout == h5d.VIRTUAL:
        raise UnsafeFile(f"The dataset {name} is virtual: put together from others. Expected its own numbers.")
    used = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
    if foreign := sorted(set(used) - _FILTERS):
        raise UnsafeFile(f"The dataset {name} needs the filter {foreign[0]}, which is code. Expected gzip or none.")
    if space.get_simple_extent_type() == h5s.NULL:
        return
    declared = math.prod(space.shape) * kind.get_size()
    stored = dataset.get_storage_size()
    # A dataset that nothing was written to stores no byte, whatever it declares, and reads as fill values.
    allowed = min(size, stored) * (MAX_EXPANSION if used else 1)
    if declared > allowed:
        raise UnsafeFile(f"The dataset {name} declares {declared:,} bytes and stores {stored:,} in a file of {size:,}.")
    if layout == h5d.CHUNKED and math.prod(plan.get_chunk()) * kind.get_size() > MAX_CHUNK_BYTES:
        raise UnsafeFile(f"The dataset {name} has chunks of more than {MAX_CHUNK_BYTES:,} bytes.")
