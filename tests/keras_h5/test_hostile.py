"""Files that ask for more than being read as data, or that make no sense: refused, by name, and without harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hilum.errors import BundleError, BundleNotFound, HilumError, Incompatible, UnsafeFile
from hilum.keras_h5 import load
from hilum.keras_h5.container import read_container
from hilum.keras_h5.description import read_model
from hilum.keras_h5.network import Stored
from hilum.keras_h5.weights import assign_weights
from tiny_h5 import chain, classifier, film, layer, write_h5

GOLDEN = Path(__file__).parents[1] / "golden" / "keras"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that loads, for a test to spoil."""
    return classifier(tmp_path / "network.h5", 3)


def test_the_file_that_is_spoilt_below_loads(path: Path) -> None:
    """Nothing but what each test adds is wrong with it."""
    assert load(path).predict(np.zeros((1, 32, 32, 3))).shape == (1, 3)


# --- HDF5 that reaches outside or declares what it does not hold ---------------------------------------------------


def external_link(file: h5py.File) -> None:
    file["model_weights/other"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file: h5py.File) -> None:
    file["model_weights/other"] = h5py.SoftLink("/model_weights/conv")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("other", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def virtual_dataset(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", shape=(4,))
    file.create_virtual_dataset("other", layout)


def loop(file: h5py.File) -> None:
    file["model_weights/conv/back"] = file["model_weights"]


def named_type(file: h5py.File) -> None:
    file["other"] = np.dtype("f4")


def compound(file: h5py.File) -> None:
    file.create_dataset("other", data=np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))


def reference(file: h5py.File) -> None:
    file.create_dataset("other", (1,), dtype=h5py.ref_dtype)[0] = file.ref


def of_any_length(file: h5py.File) -> None:
    file.create_dataset("other", (2,), dtype=h5py.vlen_dtype(np.dtype("f4")))


def attribute_of_references(file: h5py.File) -> None:
    file.attrs["other"] = file.ref


def never_written(file: h5py.File) -> None:
    file.create_dataset("other", (2**20, 2**20), "f4")


def never_written_in_chunks(file: h5py.File) -> None:
    file.create_dataset("other", (2**20, 2**20), "f4", chunks=(64, 64), compression="gzip")


def compressed_zeros(file: h5py.File) -> None:
    file.create_dataset("other", data=np.zeros(2**21, "f4"), compression="gzip")


def filter_code(file: h5py.File) -> None:
    file.create_dataset("other", data=np.zeros(100, "f4"), compression="lzf")


def deep(file: h5py.File) -> None:
    file.create_group("/".join("g" * 40))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (external_link, "external link"),
        (soft_link, "soft or user-defined link"),
        (external_storage, "another file"),
        (virtual_dataset, "virtual"),
        (loop, "twice"),
        (named_type, "named data type"),
        (compound, "neither numbers nor text"),
        (reference, "neither numbers nor text"),
        (of_any_length, "neither numbers nor text"),
        (attribute_of_references, "neither number nor text"),
        (never_written, "declares"),
        (never_written_in_chunks, "declares"),
        (compressed_zeros, "declares"),
        (filter_code, "which is code"),
        (deep, "deeper"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_hdf5_that_is_more_than_data_is_unsafe(path: Path, spoil: Callable[[h5py.File], None], named: str) -> None:
    """Links and storage outside, code, loops and sizes beyond the file's own are refused wherever they stand."""
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(UnsafeFile, match=named):
        load(path)


def test_weights_that_gzip_compressed_are_read(path: Path) -> None:
    """A file whose weights were repacked with gzip answers as before."""
    before = load(path).predict(np.ones((1, 32, 32, 3)))
    name = "model_weights/conv/conv/kernel:0"
    with h5py.File(path, "r+") as file:
        kernel = file[name][()]
        del file[name]
        file.create_dataset(name, data=kernel, compression="gzip", shuffle=True)
    np.testing.assert_array_equal(load(path).predict(np.ones((1, 32, 32, 3))), before)


def test_too_many_objects_are_unsafe(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk stops at a limit, not at the file's own number of objects."""
    monkeypatch.setattr("hilum.keras_h5.audit.MAX_OBJECTS", 10)
    with pytest.raises(UnsafeFile, match="more than 10 objects"):
        load(path)


def test_too_many_weights_are_unsafe(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of all layers together have a limit, counted before they are read."""
    monkeypatch.setattr("hilum.keras_h5.container.MAX_WEIGHT_BYTES", 500)
    with pytest.raises(UnsafeFile, match="more than 500 bytes"):
        load(path)


# --- layers that would be code -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("described", "named"),
    [
        (layer("Lambda", "evil", function=["4wEAAAA=", None, None]), "Lambda"),
        (layer("TFOpLambda", "evil", function="math.add"), "TFOpLambda"),
        ({**layer("Attention9", "evil"), "module": "my_package.layers"}, "custom"),
        ({**layer("Dense", "evil", units=3), "registered_name": "Custom>Dense"}, "custom"),
        (
            layer("Activation", "evil", activation={"class_name": "function", "config": "my_function"}),
            "custom activation",
        ),
        (
            layer("Activation", "evil", activation={"class_name": "__lambda__", "config": {"value": []}}),
            "custom activation",
        ),
    ],
)
def test_code_is_unsafe(tmp_path: Path, described: dict[str, Any], named: str) -> None:
    """A Lambda, a custom layer and a custom activation are refused by name and never run."""
    with pytest.raises(UnsafeFile, match=named):
        load(classifier(tmp_path / "network.h5", 3, first=[described]))


def test_unknown_layers_are_named(tmp_path: Path) -> None:
    """One of Keras's own layers that is not read here is named, with its type and what is known."""
    with pytest.raises(Incompatible, match=r"'words' is of the type 'StringLookup'.*Known are .*Conv2D"):
        load(classifier(tmp_path / "network.h5", 3, first=[layer("StringLookup", "words", vocabulary="/etc/passwd")]))


# --- absurd sizes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "described",
    [
        layer("ZeroPadding2D", "huge", padding=[[10**9, 0], [0, 0]]),
        layer("ZeroPadding2D", "huge", padding=[[9000, 0], [9000, 0]]),
        layer("MaxPooling2D", "huge", pool_size=[10**400, 1]),
    ],
)
def test_absurd_sizes_are_unsafe(tmp_path: Path, described: dict[str, Any]) -> None:
    """A layer of an absurd size, or one that would make a tensor of it, is refused before anything is reserved."""
    with pytest.raises(UnsafeFile, match=r"absurdly large|at most"):
        load(classifier(tmp_path / "network.h5", 3, first=[described]))


def test_an_absurd_number_of_units_is_unsafe(path: Path) -> None:
    """A layer that declares more outputs than any network has is refused before its weights are compared."""
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"units": 8', f'"units": {10**12}')
    with pytest.raises(UnsafeFile, match="units is absurdly large"):
        load(path)


def test_an_absurd_input_is_unsafe(tmp_path: Path) -> None:
    """An input of a million by a million pixels is refused."""
    with pytest.raises(UnsafeFile, match="1000000×1000000×3"):
        load(classifier(tmp_path / "network.h5", 3, side=10**6))


def test_models_that_call_each_other_over_and_over_are_unsafe(tmp_path: Path) -> None:
    """A few nested models that are each called many times do not become billions of steps."""

    def many(inner: dict[str, Any], name: str) -> dict[str, Any]:
        calls = [[["film", 0, 0, {}]], *([[inner["config"]["name"], number, 0, {}]] for number in range(50))]
        called = {**inner, "name": inner["config"]["name"], "inbound_nodes": calls}
        listed = [{**film(), "name": "film", "inbound_nodes": []}, called]
        ends = {"input_layers": [["film", 0, 0]], "output_layers": [[inner["config"]["name"], 50, 0]]}
        return {"class_name": "Functional", "config": {"name": name, "layers": listed, **ends}}

    model = chain(film(), layer("ReLU", "relu"), name="a")
    for name in "bcdef":
        model = many(model, name)
    with pytest.raises(UnsafeFile, match="more than 20,000 steps"):
        load(write_h5(tmp_path / "network.h5", model))


def test_weights_used_over_and_over_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file can't grow into gigabytes by calling one large layer many times."""
    monkeypatch.setattr("hilum.keras_h5.ops.MAX_WEIGHT_BYTES", 1000)
    with pytest.raises(UnsafeFile, match="more than 1,000 bytes"):
        load(classifier(tmp_path / "network.h5", 3))


def test_deep_and_long_descriptions_are_unsafe(tmp_path: Path) -> None:
    """Models in models in models, thousands of layers, and JSON nested without end are refused."""
    model = chain(film(), layer("ReLU", "relu"))
    for number in range(9):
        model = chain(film(), model, name=f"m{number}")
    with pytest.raises(UnsafeFile, match="nested deeper than 8"):
        load(write_h5(tmp_path / "deep.h5", model))
    with pytest.raises(UnsafeFile, match="more than 4,000 layers"):
        load(write_h5(tmp_path / "long.h5", chain(film(), *(layer("ReLU", f"r{n}") for n in range(4001)))))
    with pytest.raises(UnsafeFile, match="nested too deep"):
        load(write_h5(tmp_path / "json.h5", "[" * 30_000 + "]" * 30_000))


# --- what does not fit ---------------------------------------------------------------------------------------------


def test_no_file_is_not_found(tmp_path: Path) -> None:
    """A path that leads nowhere is an error of its own."""
    with pytest.raises(BundleNotFound):
        load(tmp_path / "network.h5")


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_what_is_no_hdf5_is_refused(tmp_path: Path, content: bytes) -> None:
    """Text, nothing, or a bare signature is not a model."""
    (tmp_path / "network.h5").write_bytes(content)
    with pytest.raises(Incompatible, match="not a readable HDF5 file"):
        load(tmp_path / "network.h5")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_half_a_file_is_refused(path: Path, share: float) -> None:
    """A download that was cut short is refused."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BundleError):
        load(path)


def test_weights_alone_are_refused(path: Path) -> None:
    """A file of ``save_weights`` has no network in it: the message says how to save the whole."""
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    with pytest.raises(Incompatible, match=r"model\.save"):
        load(path)


def test_a_network_without_weights_is_refused(path: Path) -> None:
    """A description alone never becomes a network with made-up weights."""
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
    with pytest.raises(Incompatible, match="no weights"):
        load(path)


def test_missing_weights_are_refused(path: Path) -> None:
    """A layer whose arrays are missing is named; nothing is filled in."""
    with h5py.File(path, "r+") as file:
        file["model_weights/answer"].attrs["weight_names"] = np.array([], dtype="S1")
    with pytest.raises(Incompatible, match="'answer' has 0 arrays of weights in the file, and 2"):
        load(path)


def test_weights_of_another_shape_are_refused(path: Path) -> None:
    """An array that contradicts the description is named with both shapes."""
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"units": 8', '"units": 9')
    with pytest.raises(Incompatible, match="'hidden' has a kernel of 6×8 in the file, 6×9"):
        load(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """A diverged training, saved, gives no answers."""
    path = classifier(tmp_path / "network.h5", 3)
    with h5py.File(path, "r+") as file:
        file["model_weights/answer/answer/bias:0"][0] = np.nan
    with pytest.raises(Incompatible, match="not all finite"):
        load(path)


@pytest.mark.parametrize(
    ("described", "named"),
    [
        (layer("MaxPooling2D", "odd", data_format="channels_first"), "'odd' has its channels first"),
        (layer("Activation", "odd", activation="cube"), "activation 'cube'"),
        (layer("BatchNormalization", "odd", axis=1, scale=False, center=False), "arrays of weights"),
        (layer("MaxPooling2D", "odd", pool_size=[64, 64]), "window of 64 on a map of 32"),
        (layer("Reshape", "odd", target_shape=[7, -1]), "makes 7×"),
        (layer("Concatenate", "odd", axis=9), "axis that its inputs do not have"),
        (layer("ReLU", "odd", threshold=1.0), "threshold other than 0"),
        (layer("MaxPooling2D", "odd", padding="causal"), "padding 'causal'"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, described: dict[str, Any], named: str) -> None:
    """A setting that is not read here is refused with the layer's name, not read as another."""
    with pytest.raises(Incompatible, match=named):
        load(classifier(tmp_path / "network.h5", 3, first=[described]))


@pytest.mark.parametrize("version", ["1.2.2", "4.0", "x"])
def test_other_versions_are_refused(path: Path, version: str) -> None:
    """Keras 1, and a Keras that does not exist yet, are not read as if they were Keras 2 or 3."""
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["keras_version"] = version
    with pytest.raises(Incompatible, match="Expected Keras 2 or 3"):
        load(path)


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    """Layers that take each other's output never end in an endless loop."""
    listed = [
        {**film(), "name": "film", "inbound_nodes": []},
        {**layer("ReLU", "a"), "name": "a", "inbound_nodes": [[["b", 0, 0, {}]]]},
        {**layer("ReLU", "b"), "name": "b", "inbound_nodes": [[["a", 0, 0, {}]]]},
    ]
    config = {"name": "m", "layers": listed, "input_layers": [["film", 0, 0]], "output_layers": [["b", 0, 0]]}
    with pytest.raises(Incompatible, match="takes what no layer makes"):
        load(write_h5(tmp_path / "network.h5", {"class_name": "Functional", "config": config}))


def test_messages_have_no_control_characters(tmp_path: Path) -> None:
    """A layer's name from the file can't write into a log or a terminal."""
    with pytest.raises(HilumError) as raised:
        load(classifier(tmp_path / "network.h5", 3, first=[layer("Nothing", "a\x1b[31m\nb")]))
    assert str(raised.value).isprintable()


# --- any description at all ----------------------------------------------------------------------------------------

CONTAINERS = {path.stem: read_container(path) for path in sorted(GOLDEN.glob("*.h5"))}
ODD: list[Any] = [None, -1, 0, 10**12, 10**400, "x", [], {}, True, 1e308, [[]], [1, 2, 3], {"class_name": "x"}]


def _places(config: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    return [place for key, value in items for place in [(*at, key), *_places(value, (*at, key))]]


PLACES = {name: _places(container.config) for name, container in CONTAINERS.items()}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(CONTAINERS)), st.randoms(use_true_random=False), st.sampled_from(ODD))
def test_any_odd_value_is_read_or_refused(name: str, random: Any, odd: Any) -> None:
    """Whatever stands anywhere in a description, the file is converted or refused by an error of ours."""
    container = CONTAINERS[name]
    config = json.loads(json.dumps(container.config))
    *way, last = random.choice(PLACES[name])
    inside = config
    for key in way:
        inside = inside[key]
    inside[last] = odd
    try:
        model = read_model(config)
        weights = assign_weights(model, container.weights)
        Stored("0", int(container.keras_version[0]), model, weights, (16, 16, 3)).convert()
    except BundleError:
        return
