"""Bundles on disk."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from hilum.errors import BundleNotFound, HashMismatch, Incompatible
from hilum.records import (
    Calibration,
    ConformalCuts,
    EnsembleRecord,
    Interval,
    OperatingPoint,
    ReferenceRecord,
    Uncertainty,
)
from hilum.registry import (
    find_bundles,
    load_bundle,
    load_ensemble,
    load_reference,
    manifest_from_json,
    manifest_to_json,
    save_ensemble,
    save_reference,
    write_card,
)
from tiny import output, tiny_manifest, write_tiny

MANIFEST = tiny_manifest("DenseNet121", "densenet", ("Edema", "Effusion", "Fracture"))


@pytest.fixture
def bundle(tmp_path):
    """A bundle in a folder of its own, to be damaged."""
    return write_tiny(tmp_path, MANIFEST)


def edit(bundle, change):
    """Change the manifest on disk."""
    path = bundle.folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_saved_and_loaded_is_the_same(bundle):
    """What was saved comes back: manifest with hashes, graph, golden vectors."""
    again = load_bundle(bundle.folder)
    assert again.manifest == bundle.manifest
    assert again.manifest.outputs == MANIFEST.outputs
    assert set(again.manifest.files) == {"model.onnx", "golden.npz", "card.md"}
    assert again.sha256 == bundle.sha256


def test_the_name_is_composed():
    """The name comes from architecture and training data; there is no other."""
    assert MANIFEST.name == "DenseNet121 (random numbers, for tests-trained)"
    assert "name" not in json.loads(manifest_to_json(MANIFEST))


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "card.md"])
def test_one_changed_byte_is_found(bundle, name):
    """Any file that is not the one that the manifest names is refused, before it is parsed."""
    path = bundle.folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(HashMismatch, match=name):
        load_bundle(bundle.folder)


def test_a_missing_file_is_named(bundle):
    """A file that the manifest names must be there."""
    (bundle.folder / "card.md").unlink()
    with pytest.raises(HashMismatch, match=r"card\.md"):
        load_bundle(bundle.folder)


def test_no_bundle_is_not_found(tmp_path):
    """A folder without a manifest is no bundle."""
    with pytest.raises(BundleNotFound):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema=2), "schema 2"),
        (lambda m: m.update(colour="red"), "unknown field colour"),
        (lambda m: m["outputs"][1].update(weight=1), r"unknown field outputs\.1\.weight"),
        (lambda m: m.pop("version"), "version"),
        (lambda m: m["outputs"][0].update(assessed="perhaps"), r"outputs\.0\.assessed"),
        (lambda m: m["outputs"][1].update(name="Edema"), "an output twice"),
        (lambda m: m.update(outputs=[]), "no outputs"),
        (lambda m: m.update(id="../up"), "an id"),
        (lambda m: m["files"].update({"../../etc/passwd": "00"}), "plain name"),
        (lambda m: m["files"].pop("model.onnx"), "names no model.onnx"),
        (lambda m: m["input"].update(mean=[0.5]), "differ in length"),
        (lambda m: m["input"].update(std=[0.5, 0, 0.5]), "standard deviation of 0"),
        (lambda m: m["outputs"][0].update(prevalence=1.5), "prevalence"),
    ],
)
def test_a_wrong_manifest_is_refused_by_name(bundle, change, message):
    """Each field that is unknown, missing or impossible is named."""
    edit(bundle, change)
    with pytest.raises(Incompatible, match=message):
        load_bundle(bundle.folder)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
def test_what_is_no_manifest_is_refused(raw):
    """Broken JSON and JSON of another shape are Incompatible."""
    with pytest.raises(Incompatible, match="manifest"):
        manifest_from_json(raw)


def test_an_oversized_manifest_is_not_read(bundle):
    """A manifest of more than a megabyte is refused by its size."""
    (bundle.folder / "manifest.json").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(Incompatible, match="bytes"):
        load_bundle(bundle.folder)


def test_bundles_are_found_in_order(bundle, tmp_path):
    """Every folder with a manifest, sorted; other folders are passed over."""
    shutil.copytree(bundle.folder, tmp_path / "a-copy")
    (tmp_path / "notes").mkdir()
    assert [path.name for path in find_bundles(tmp_path)] == ["a-copy", bundle.manifest.id]


def test_the_ensemble_record_comes_back(tmp_path):
    """What was measured of members together is stored beside them, strictly."""
    assert load_ensemble(tmp_path) is None
    record = EnsembleRecord(
        {"a": "00"},
        {"Edema": {"youden": OperatingPoint(50.0, 0.7, 0.8)}},
        {"Edema": Interval(0.8, 0.7, 0.9)},
        {"mean_auroc": Interval(0.8, 0.7, 0.9)},
        "hilum models combine",
    )
    save_ensemble(tmp_path, record)
    assert load_ensemble(tmp_path) == record
    older = json.loads((tmp_path / "ensemble.json").read_text())
    del older["uncertainty"]
    (tmp_path / "ensemble.json").write_text(json.dumps(older))
    assert load_ensemble(tmp_path) == record
    fitted = Uncertainty(9, 8, 0.9, {"Edema": Calibration(1.1, 0.0)}, sets={"Edema": ConformalCuts(1.0, 2.0, 3, 4)})
    save_ensemble(tmp_path, replace(record, uncertainty=fitted))
    assert load_ensemble(tmp_path).uncertainty == fitted
    (tmp_path / "ensemble.json").write_text("{}")
    with pytest.raises(Incompatible, match="ensemble record"):
        load_ensemble(tmp_path)


def test_made_up_figures_are_assessed():
    """The tests' own outputs cover both kinds."""
    assert output("Edema").assessed
    assert not output("Fracture").assessed


def test_a_new_card_keeps_what_was_measured(tmp_path):
    """Only the card and the manifest's hash change; the ensemble record beside names the new one, and one of others stays."""
    bundle = write_tiny(tmp_path, tiny_manifest("DenseNet121", "densenet", ("Edema",)))
    record = EnsembleRecord({bundle.manifest.id: bundle.sha256, "other": "ab"}, {}, {})
    save_ensemble(tmp_path, record)
    after = write_card(bundle.folder, b"# new\n")
    assert (after.folder / "card.md").read_bytes() == b"# new\n"
    assert (after.model, after.golden) == (bundle.model, bundle.golden)
    assert dict(load_ensemble(tmp_path).members) == {bundle.manifest.id: after.sha256, "other": "ab"}
    save_ensemble(tmp_path, EnsembleRecord({bundle.manifest.id: "of another"}, {}, {}))
    write_card(bundle.folder, b"# newer\n")
    assert dict(load_ensemble(tmp_path).members) == {bundle.manifest.id: "of another"}


def test_a_reference_comes_back_as_it_was(tmp_path):
    """Record and values are what was saved, absent numbers too; where there is none, there is none."""
    assert load_reference(tmp_path) is None
    values = np.array([[1.5, np.nan], [2.0, 3.0]], dtype=np.float32)
    saved = save_reference(tmp_path, ReferenceRecord({"one": "ab"}, 2, 1, "cd", ("a", "b"), ""), values)
    found = load_reference(tmp_path)
    assert found.record == saved.record
    assert np.array_equal(found.values, values, equal_nan=True)


def test_a_changed_reference_is_refused(tmp_path):
    """Values that are not those that the record names are not parsed; a record that does not fit its values is refused."""
    record = ReferenceRecord({"one": "ab"}, 1, 1, "cd", ("a",), "")
    save_reference(tmp_path, record, np.ones((2, 1), dtype=np.float32))
    with pytest.raises(Incompatible, match="one row a film"):
        load_reference(tmp_path)
    (tmp_path / "reference.npz").write_bytes(b"other")
    with pytest.raises(HashMismatch, match=r"reference\.npz"):
        load_reference(tmp_path)
    changed = json.loads((tmp_path / "reference.json").read_text())
    changed["sha256"] = hashlib.sha256(b"other").hexdigest()
    (tmp_path / "reference.json").write_text(json.dumps(changed))
    with pytest.raises(Incompatible, match="can't be read"):
        load_reference(tmp_path)
