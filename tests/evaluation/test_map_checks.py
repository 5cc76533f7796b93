"""Heat maps are checked by covering parts of films and by shuffling the network's weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hilum import explain
from hilum.errors import Incompatible
from hilum.evaluation.map_checks import check_maps, covered_drops, rank_correlation, shuffle_weights, write_checks
from hilum.graph import read_head
from hilum.normalise import normalise
from hilum.records import Radiograph, Source
from hilum.registry import load_bundle
from hilum.runtime import open_session
from tiny import SIDE, tiny_manifest, write_tiny

NAMES = ("Edema", "Fracture", "Effusion")


def films(count: int = 12) -> list[tuple[str, Radiograph]]:
    """Return films of random patches, and their patients."""
    rng = np.random.default_rng(0)
    patches = rng.random((count, 4, 4)).astype(np.float32)
    source = Source("PNG", SIDE, SIDE, 8, "")
    return [
        (f"{number // 2}", Radiograph(np.kron(one, np.ones((8, 8), np.float32)), source))
        for number, one in enumerate(patches)
    ]


def test_what_is_covered_decides(tmp_path: Path) -> None:
    """A cell's drop is the logit without its place covered minus the one with it: the film's mean, two cells wide."""
    bundle = write_tiny(tmp_path, tiny_manifest("DenseNet121", "densenet", NAMES))
    session, spec = open_session(bundle.model), bundle.manifest.input
    x = normalise(films(1)[0][1], spec)
    logits, _ = session.evaluate(x, "logits", "features")
    drops = covered_drops(session, x, logits[0], spec, (4, 4))
    assert drops.shape == (3, 4, 4)
    covered = x.copy()
    covered[0, :, 4:20, 0:12] = x[0].mean(axis=(1, 2))[:, np.newaxis, np.newaxis]
    expected = logits[0] - session.evaluate(covered, "logits")[0][0]
    np.testing.assert_allclose(drops[:, 1, 0], expected, atol=1e-5)


def test_every_assessed_output_is_checked(tmp_path: Path) -> None:
    """The loudest third of the films counts; figures are correlations with intervals, the same each time."""
    bundle = write_tiny(tmp_path, tiny_manifest("DenseNet121", "densenet", NAMES))
    checks = check_maps(bundle, films())
    assert list(checks) == ["Edema", "Effusion"]
    assert checks == check_maps(bundle, films())
    for check in checks.values():
        assert check.films == 4
        for figure in (check.occlusion, check.randomised):
            assert -1 <= figure.low <= figure.value <= figure.high <= 1
    written = write_checks(bundle, checks)
    assert [one.map_check for one in load_bundle(tmp_path / bundle.manifest.id).manifest.outputs] == [
        checks["Edema"],
        None,
        checks["Effusion"],
    ]
    assert written.sha256 != bundle.sha256


def test_a_network_that_only_looks_where_its_map_says_agrees(tmp_path: Path) -> None:
    """Maps of a network whose cells do not overlap agree with covering; the same maps shuffled over their cells do not."""
    bundle = write_tiny(tmp_path, tiny_manifest("DenseNet121", "densenet", NAMES))
    session, head = open_session(bundle.model), read_head(bundle.model)
    assert head is not None
    own, moved = [], []
    for _, film in films():
        x = normalise(film, bundle.manifest.input)
        logits, features = session.evaluate(x, "logits", "features")
        maps = explain.signed_activation(features[0], head)
        drops = covered_drops(session, x, logits[0], bundle.manifest.input, (4, 4))
        own.append(rank_correlation(maps, drops).mean())
        moved.append(rank_correlation(maps[:, ::-1, ::-1], drops).mean())
    assert np.mean(own) > 0.3
    assert abs(np.mean(moved)) < 0.2


def test_shuffled_weights_are_the_same_numbers_elsewhere(tmp_path: Path) -> None:
    """Kernels and dense layers keep their values but not their places; biases stay where they are."""
    bundle = write_tiny(tmp_path, tiny_manifest("DenseNet121", "densenet", NAMES))
    before, after = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model_from_string(model).graph.initializer}
        for model in (bundle.model, shuffle_weights(bundle.model))
    )
    for name, values in before.items():
        np.testing.assert_array_equal(np.sort(values.ravel()), np.sort(after[name].ravel()))
        assert np.array_equal(values, after[name]) == (values.ndim == 1)


def test_ranks_not_sizes_are_compared() -> None:
    """Equal values share a rank; a flat map resembles nothing."""
    one = np.array([[[1.0, 2, 3, 4]], [[1, 1, 2, 2]], [[5, 5, 5, 5]]])
    other = np.array([[[1.0, 20, 300, 4000]], [[4, 3, 2, 1]], [[1, 2, 3, 4]]])
    assert rank_correlation(one, other).tolist() == pytest.approx([1, -2 / np.sqrt(5), 0])


def test_a_network_without_maps_is_refused(tmp_path: Path) -> None:
    """There is nothing to check, and the error says so."""
    bundle = write_tiny(tmp_path, tiny_manifest("DenseNet121", "densenet", NAMES), pooled=False)
    with pytest.raises(Incompatible, match="no heat maps"):
        check_maps(bundle, films(1))
