"""Teachers' scores: by film and output, from files and finished trainings, the mean of those that are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilum.datasets.table import Row, Table
from hilum.errors import ConfigError
from hilum.normalise import scale_pixels
from hilum.runtime import open_session
from hilum.training.checkpoint import CHECKPOINT, Run
from hilum.training.config import Distillation, TrainingConfig, config_from_dict, config_to_json
from hilum.training.run import claim
from hilum.training.soft_labels import SOFT_LABELS, read_soft_labels, soft_labels, teachers
from small_training import FIT, small_network
from tiny import tiny_manifest, write_tiny

OUTPUTS = ("Effusion", "Pleural Thickening")
TABLE = Table(Path("films"), tuple(Row(Path(f"a/{number}.png"), f"P{number}") for number in range(3)))
FILMS = np.random.default_rng(0).integers(0, 255, (3, 32, 32)).astype(np.uint8)


@pytest.fixture
def config() -> TrainingConfig:
    """An experiment of two outputs whose network stands in for HilumCNN."""
    return config_from_dict(
        {
            "data": {"table": "table.csv", "holdout": "holdout.csv"},
            "trained_on": {"dataset": "d", "image_licence": "l", "label_licence": "l", "citation": "c"},
            "network": {"architecture": "HilumCNN", "outputs": OUTPUTS},
            "fit": {"phases": []},
            "bundle": {"id": "teacher", "version": "1"},
        }
    )


def write_npz(path: Path, **changes: object) -> Path:
    """Write scores of two films, one of them unknown for the first output."""
    content = {"files": ["a/2.png", "a/0.png"], "outputs": ["Effusion", "Normal"], "scores": [[0.25, 1], [np.nan, 1]]}
    np.savez(path, **{name: value for name, value in (content | changes).items() if value is not None})
    return path


def test_a_csv_is_read_by_film_and_output(tmp_path: Path) -> None:
    """Order does not matter, publishers' names are understood, and what the file lacks is unknown."""
    path = tmp_path / "soft.csv"
    path.write_text("Pleural_Thickening,file,Effusion,remark\n0.5,a/2.png,,x\n1,a/0.png,0.25,y\n0,elsewhere.png,0,z\n")
    expected = [[0.25, 1], [np.nan, np.nan], [np.nan, 0.5]]
    np.testing.assert_array_equal(read_soft_labels(path, TABLE, OUTPUTS), expected)


def test_an_npz_is_read_by_film_and_output(tmp_path: Path) -> None:
    """The same from arrays."""
    scores = read_soft_labels(write_npz(tmp_path / "soft.npz"), TABLE, OUTPUTS)
    np.testing.assert_array_equal(scores, [[np.nan, np.nan], [np.nan, np.nan], [0.25, np.nan]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("film,Effusion\na/0.png,0.5\n", "no column file"),
        ("file,Effusion\na/0.png,much\n", "not a number"),
        ("file,Effusion\na/0.png,7\n", "no scores between 0 and 1"),
        ("file,Effusion\nelsewhere.png,0.5\n", "no scores between 0 and 1"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """A file without films, numbers or scores of these films is a ConfigError that says what is wrong."""
    path = tmp_path / "soft.csv"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_soft_labels(path, TABLE, OUTPUTS)


def test_a_missing_or_partial_file_is_refused(tmp_path: Path) -> None:
    """No file, and arrays that lack one of the three, are ConfigErrors."""
    with pytest.raises(ConfigError, match="does not exist"):
        read_soft_labels(tmp_path / "none.csv", TABLE, OUTPUTS)
    with pytest.raises(ConfigError, match="lacks scores"):
        read_soft_labels(write_npz(tmp_path / "soft.npz", scores=None), TABLE, OUTPUTS)


def test_the_mean_is_over_what_is_known(
    tmp_path: Path, config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished training and a file teach together; where only one has a score it counts alone. The result is kept."""
    monkeypatch.setattr("hilum.training.finished.new_network", lambda _architecture, _outputs: small_network())
    claim(tmp_path / "run", config)
    Run(small_network(), small_network(), FIT).save(tmp_path / "run" / CHECKPOINT)
    alone = replace(config, distillation=Distillation(runs=(tmp_path / "run",)))
    (tmp_path / "first").mkdir()
    first = soft_labels(alone, TABLE, FILMS, tmp_path / "first")
    assert first is not None
    assert 0 < first.min() <= first.max() < 1
    (tmp_path / "second").mkdir()
    both = Distillation(
        runs=(tmp_path / "run",), soft_labels=write_npz(tmp_path / "soft.npz"), teachers=("somebody's ensemble",)
    )
    mean = soft_labels(replace(config, distillation=both), TABLE, FILMS, tmp_path / "second")
    expected = first.copy()
    expected[2, 0] = (first[2, 0] + 0.25) / 2
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    assert teachers(both) == ("teacher", "somebody's ensemble")
    np.save(tmp_path / "second" / SOFT_LABELS, np.zeros((3, 2)))
    kept = soft_labels(replace(config, distillation=both), TABLE, FILMS, tmp_path / "second")
    assert kept is not None
    assert not kept.any()


def test_members_teach_what_they_assess(tmp_path: Path, config: TrainingConfig) -> None:
    """A bundle's scores are those that serving gives; what it does not assess, or not know, it does not teach."""
    bundle = write_tiny(tmp_path, tiny_manifest("MobileNetV2", None, ("Fracture", "Effusion", "Normal")))
    taught = replace(
        config,
        network=replace(config.network, outputs=("Effusion", "Fracture", "Edema")),
        distillation=Distillation(bundles=(bundle.folder,)),
    )
    found = soft_labels(taught, TABLE, FILMS, tmp_path)
    assert found is not None
    x = np.ascontiguousarray(scale_pixels(FILMS.astype(np.float32) / 255, bundle.manifest.input))
    (logits,) = open_session(bundle.model).evaluate(x, "logits")
    np.testing.assert_allclose(found[:, 0], 1 / (1 + np.exp(-logits[:, 1])), atol=1e-3)
    assert np.isnan(found[:, 1:]).all()
    assert teachers(taught.distillation) == ("mobilenetv2-tiny 0.0.1, MobileNetV2 (random numbers, for tests-trained)",)


def test_without_teachers_there_are_no_soft_labels(tmp_path: Path, config: TrainingConfig) -> None:
    """No distillation: nothing is computed or named."""
    assert soft_labels(config, TABLE, FILMS, tmp_path) is None
    assert teachers(None) == ()


def test_a_folder_belongs_to_one_experiment(tmp_path: Path, config: TrainingConfig) -> None:
    """The resolved configuration is saved; another is refused, and one that only lacks what is default is the same."""
    claim(tmp_path, config)
    assert (tmp_path / "config.json").read_bytes() == config_to_json(config)
    older = json.loads(config_to_json(config))
    del older["folds"], older["fit"]["clip"]
    (tmp_path / "config.json").write_text(json.dumps(older))
    claim(tmp_path, config)
    with pytest.raises(ConfigError, match="another configuration"):
        claim(tmp_path, replace(config, min_positive_patients=3))
