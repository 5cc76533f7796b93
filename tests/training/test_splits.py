"""A training's three sides: which films they hold, and what becomes of uncertain labels on each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hilum.datasets.split import write_patients
from hilum.datasets.table import Table
from hilum.errors import ConfigError
from hilum.training.config import OFFICIAL, Data, config_from_dict, config_to_json, read_config
from hilum.training.initial import first_experiment
from hilum.training.splits import split_table
from tiny_chexpert import HEADER, TRAIN, VALID, make

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_default" / "hilumcnn.toml"
LABELS = """file,patient_id,source,view,split,orig_width,Edema,Effusion
a.png,P1,one,PA,train,1024,-1,
b.png,P1,one,LATERAL,train,1024,1,0
c.png,P2,one,AP,validation,1024,-1,1
d.png,P3,two,,test,1024,0,-1
e.png,P4,two,PA,train,256,1,0
"""


@pytest.fixture
def data(tmp_path: Path) -> Data:
    (tmp_path / "labels.csv").write_text(LABELS)
    return Data(tmp_path / "labels.csv", OFFICIAL, OFFICIAL)


def films(table: Table) -> list[str]:
    return [row.image.stem for row in table.rows]


def test_the_publishers_own_split_can_be_used(data: Data) -> None:
    """Official validation and test patients calibrate and judge, the others train; laterals are left out."""
    splits = split_table(data)
    assert (films(splits.training), films(splits.validation), films(splits.holdout)) == (["a", "e"], ["c"], ["d"])
    everything = split_table(replace(data, views=("PA", "AP", "LATERAL", "")))
    assert films(everything.training) == ["a", "b", "e"]


def test_uncertain_labels_are_decided_for_training_only(data: Data) -> None:
    """A policy makes an uncertain training label certain; to calibrate and to judge it stays unknown."""
    splits = split_table(replace(data, uncertain="ones", unmentioned="zeros"))
    assert splits.training.rows[0].labels == {"Edema": 1.0, "Effusion": 0.0}
    assert splits.validation.rows[0].labels == {"Edema": None, "Effusion": 1.0}
    assert split_table(replace(data, uncertain={"Edema": "zeros"})).training.rows[0].label("Edema") == 0


def test_sources_and_sizes_choose_films(data: Data, tmp_path: Path) -> None:
    """Without sources all are taken, save those that only train; these train however small they are."""
    write_patients(tmp_path / "holdout.csv", {"P3"})
    limited = replace(data, holdout=tmp_path / "holdout.csv", min_original_width=1024)
    assert films(split_table(limited).training) == ["a"]
    assert films(split_table(replace(limited, sources=("two",))).holdout) == ["d"]
    more = split_table(replace(limited, training_only=("two",)))
    assert (films(more.training), films(more.holdout)) == (["a", "e"], [])


def test_a_split_that_the_publisher_lacks_is_refused(data: Data) -> None:
    """An official split that the table does not have is a ConfigError that says how to make one."""
    data.table.write_text(LABELS.replace("test", "train"))
    with pytest.raises(ConfigError, match=r"no official test patients.*hilum datasets split"):
        split_table(data)


def test_films_that_are_not_there_are_said(data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A training on a part of a data set says how many films it does without."""
    folder = make(tmp_path / "chexpert", without="patient00004", train=HEADER + TRAIN, valid=HEADER + VALID)
    write_patients(tmp_path / "holdout.csv", {"patient00001"})
    splits = split_table(replace(data, table=folder, holdout=tmp_path / "holdout.csv"))
    assert "1 films that the data set lists are not there" in caplog.text
    assert splits.training.patients == ("patient00002", "patient00003")


def test_a_configuration_names_layouts_and_policies(tmp_path: Path) -> None:
    """Layout, policies and official splits are read; "official" is no path; a wrong policy is a ConfigError."""
    text = EXAMPLE.read_text("utf-8")
    lines = ['holdout = "official"' if line.startswith("holdout") else line for line in text.splitlines()]
    at = lines.index("[data]") + 1
    lines[at:at] = ['layout = "chexpert"', 'uncertain = { Edema = "ones", Effusion = "soft" }', 'unmentioned = "zeros"']
    path = tmp_path / "experiment.toml"
    path.write_text("\n".join(lines))
    config = read_config(path)
    assert config.data.holdout == OFFICIAL
    assert config.data.validation.is_absolute()
    assert (config.data.layout, config.data.uncertain) == ("chexpert", {"Edema": "ones", "Effusion": "soft"})
    path.write_text("\n".join(lines).replace('"ones"', '"yes"'))
    with pytest.raises(ConfigError, match=r"data.uncertain"):
        read_config(path)


def test_a_second_table_has_its_own_layout() -> None:
    """Pre-training reads its own layout, not the experiment's."""
    first = {
        "dataset": "CheXpert",
        "table": "chexpert",
        "layout": "chexpert",
        "sources": [],
        "phases": [{"size": 64, "epochs": 1, "learning_rate": 0.001}],
    }
    content = json.loads(config_to_json(read_config(EXAMPLE))) | {"pretraining": first}
    config = config_from_dict(content)
    assert config.pretraining is not None
    assert first_experiment(config, config.pretraining).data.layout == "chexpert"
