"""The configuration: everything is checked before the first film is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hilum.errors import ConfigError
from hilum.training.config import config_from_dict, config_to_json, read_config

EXAMPLES = Path(__file__).parents[2] / "examples" / "train_default"


@pytest.mark.parametrize("name", ["densenet121", "mobilenetv2", "hilumcnn", "efficientnet-lite2"])
def test_the_shipped_recipes_are_valid(name: str) -> None:
    """Each committed recipe reads, keeps its paths beside itself and takes only films made from large originals."""
    config = read_config(EXAMPLES / f"{name}.toml")
    assert config.data.holdout == EXAMPLES.parents[1] / "splits" / "holdout.csv"
    assert config.data.min_original_width == 1024
    assert "kermany" not in config.data.sources
    assert set(config.network.outputs).isdisjoint(config.network.auxiliary_outputs)


def test_a_resolved_configuration_reads_back() -> None:
    """What is saved with a result, every default written out, is the same experiment."""
    config = read_config(EXAMPLES / "densenet121.toml")
    assert config_from_dict(json.loads(config_to_json(config))) == config


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[fit]\nphases = []\nspeed = 1", "fit.speed"),
        ("[data]\ntable = 3", "data.table"),
        ("[network", "not valid TOML"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, line: str, message: str) -> None:
    """Unknown keys, wrong types and broken TOML are ConfigErrors that say where."""
    path = tmp_path / "experiment.toml"
    path.write_text(line)
    with pytest.raises(ConfigError, match=message):
        read_config(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """A configuration that is not there is a ConfigError."""
    with pytest.raises(ConfigError, match="does not exist"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("architecture", "initial", "message"),
    [
        ("ResNet50", "random", "network.architecture"),
        ("MobileNetV2", "timm", "begins with timm:"),
        ("timm:resnet18", "bundle", "can't start from bundle"),
    ],
)
def test_a_start_must_fit_its_architecture(architecture: str, initial: str, message: str) -> None:
    """An architecture that nobody has, and weights that it can't start from, are refused before the first film is read."""
    content = json.loads(config_to_json(read_config(EXAMPLES / "mobilenetv2.toml")))
    content["network"] |= {"architecture": architecture, "initial": initial}
    with pytest.raises(ConfigError, match=message):
        config_from_dict(content)
    content["network"] |= {"architecture": "timm:resnet18", "initial": "timm"}
    assert config_from_dict(content).network.architecture == "timm:resnet18"


def test_teachers_must_be_there_and_named() -> None:
    """Distillation without a teacher, a file of nobody's scores, and names of nobody are refused."""
    content = json.loads(config_to_json(read_config(EXAMPLES / "mobilenetv2.toml")))
    for wrong in ({}, {"soft_labels": "scores.csv"}, {"runs": ["a"], "teachers": ["somebody"]}):
        with pytest.raises(ConfigError, match="distillation"):
            config_from_dict(content | {"distillation": wrong})
    good = content | {"distillation": {"soft_labels": "scores.csv", "teachers": ["somebody"]}}
    assert config_from_dict(good).distillation is not None
