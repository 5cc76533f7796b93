"""One training from configuration to history: a frozen base is judged on kept features as the whole network would be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from conftest import film_pixels
from hilum.datasets.films import load_films
from hilum.errors import DatasetError
from hilum.training import networks
from hilum.training.architecture import input_spec
from hilum.training.config import TrainingConfig, config_from_dict
from hilum.training.fit import FIGURE
from hilum.training.history import HISTORY
from hilum.training.predict import mean_auroc, predict, shrink
from hilum.training.run import train
from hilum.training.splits import split_table


def tiny_network(outputs: int) -> networks.Network:
    """Stands in for HilumCNN: one convolution of stride 8."""
    trunk = nn.Sequential(nn.Conv2d(3, 8, 8, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return networks.Network(trunk, networks.Head(8, 8, outputs, 0.3))


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """An experiment of 30 films of as many patients, 8 of them for validation and 4 held out."""
    monkeypatch.setitem(networks.BUILDERS, "HilumCNN", tiny_network)
    rng = np.random.default_rng(4)
    rows = ["file,patient_id,Effusion,Normal"]
    for number in range(30):
        ill = number % 2
        pixels = np.clip(film_pixels(60, 60) * (0.6 + 0.4 * ill) + rng.normal(0, 0.2, (60, 60)), 0, 1)
        Image.fromarray((pixels * 255).astype("uint8")).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,p{number},{ill},{1 - ill}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    for name, numbers in (("validation", range(18, 26)), ("holdout", range(26, 30))):
        (tmp_path / f"{name}.csv").write_text("\n".join(["patient_id", *(f"p{number}" for number in numbers)]))
    paths = {name: str(tmp_path / f"{name}.csv") for name in ("table", "holdout", "validation")}
    return {
        "data": {**paths, "film_size": 48},
        "trained_on": {"dataset": "d", "image_licence": "l", "label_licence": "l", "citation": "c"},
        "network": {"architecture": "HilumCNN", "outputs": ["Effusion", "Normal"]},
        "fit": {"phases": [{"size": 32, "epochs": 2, "learning_rate": 0.01, "batch": 8}], "threads": 1},
        "bundle": {"id": "made-up", "version": "1"},
    }


def changed(content: dict[str, object], section: str, **values: object) -> TrainingConfig:
    """Return the experiment with some keys of a section changed."""
    return config_from_dict({**content, section: {**content[section], **values}})


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_the_history_has_the_averaged_networks_figure(content: dict, tmp_path: Path, trainable: str) -> None:
    """Each epoch has a validation figure, and the last one is the returned network's, kept features or not."""
    config = changed(content, "network", trainable=trainable)
    network = train(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / HISTORY).read_text().splitlines()]
    table = split_table(config.data).validation
    logits = predict(network, shrink(load_films(table, 48), 32), input_spec("HilumCNN", 32))
    assert lines[-1][FIGURE] == pytest.approx(mean_auroc(logits, table.labels(("Effusion", "Normal"))), abs=1e-4)
    assert len(lines) == 2
    assert (tmp_path / "run" / "features-32.npy").exists() == (trainable == "head")


def test_a_leak_stops_a_training(content: dict, tmp_path: Path) -> None:
    """A held-out patient's film under another number is found before the first step."""
    (tmp_path / "27.png").write_bytes((tmp_path / "3.png").read_bytes())
    with pytest.raises(DatasetError, match="1 identical films"):
        train(config_from_dict(content), tmp_path / "run")
    assert not (tmp_path / "run" / HISTORY).exists()


def test_no_figure_where_nothing_can_be_judged(content: dict, tmp_path: Path) -> None:
    """Validation patients who are all alike give no AUROC, and the history says null."""
    (tmp_path / "validation.csv").write_text("patient_id\np18\np20\n")
    train(config_from_dict(content), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / HISTORY).read_text().splitlines()]
    assert [line[FIGURE] for line in lines] == [None, None]
