"""A torch file is read as data, whatever it names."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from hilum.errors import Incompatible, UnsafeFile
from hilum.exchange.torch_file import read_torch_file
from lookalike import saved


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_network_gives_its_state(public_network, library, zipped):
    """Names and numbers are torch's own, in the format of today and in that of 2020, without the class being imported."""
    state = read_torch_file(saved(public_network, zipped))
    expected = public_network.state_dict()
    assert state.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(state[name], values.numpy())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_and_views_are_read(zipped):
    """Types, transposed tensors, views of one storage and empty ones come out as they were."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    given = {
        "turned": base.T,
        "part": base[1:3, ::2],
        "whole": torch.tensor([1, 2]),
        "half": torch.ones(2, dtype=torch.float16),
        "none": torch.zeros(0, 3),
        "number": torch.tensor(3.5),
    }
    state = read_torch_file(saved(given, zipped))
    assert state.keys() == given.keys()
    for name, values in given.items():
        np.testing.assert_array_equal(state[name], values.numpy())


class Command:
    """What a hostile file holds: unpickled by pickle or torch.load, it runs a command."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_a_file_asks_for_is_never_done(tmp_path, zipped):
    """A file that names a function outside torch is unsafe, and the function does not run."""
    with pytest.raises(UnsafeFile, match="mkdir"):
        read_torch_file(saved({"weight": Command(str(tmp_path / "made"))}, zipped))
    assert not (tmp_path / "made").exists()


def test_a_function_of_torch_itself_does_not_run_either(tmp_path, library):
    """Names below torch stand for inert records: torch.load of a second file is not called."""

    class Sly:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return torch.load, (str(tmp_path / "second.pt"),)

    with pytest.raises(Incompatible, match="no weights"):
        read_torch_file(saved({"weight": Sly()}, True))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04broken", pickle.dumps([1, 2])])
def test_what_is_no_torch_file_is_refused(content):
    """An error page or a broken file is incompatible, not a traceback."""
    with pytest.raises(Incompatible, match="Fetch it again"):
        read_torch_file(content)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_cut_file_is_refused(zipped):
    """Half a file is incompatible wherever it was cut."""
    content = saved({"a": torch.ones(1000), "b": torch.ones(10)}, zipped)
    for size in range(0, len(content) - 1, 97):
        with pytest.raises(Incompatible):
            read_torch_file(content[:size])


def test_a_tensor_outside_of_its_storage_is_refused():
    """Shapes and strides that reach beyond the numbers that there are give no memory of others."""
    content = saved({"a": torch.ones(3, 5)}, True)
    for found, put in ((b"K\x03K\x05", b"K\x03K\x09"), (b"K\x05K\x01", b"K\x09K\x01")):
        changed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(changed, "w") as target:
            for entry in source.infolist():
                held = source.read(entry)
                if entry.filename.endswith("data.pkl"):
                    assert found in held
                    held = held.replace(found, put)
                target.writestr(entry, held)
        with pytest.raises(Incompatible):
            read_torch_file(changed.getvalue())
