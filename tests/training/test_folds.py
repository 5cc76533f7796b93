"""Cross-validation: every film judged by a network that never saw its patient, then one trained on all of them."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from conftest import film_pixels
from hilum import cli
from hilum.calibrate import fit_platt
from hilum.datasets.split import read_patients
from hilum.errors import ConfigError
from hilum.pipeline import check_golden
from hilum.registry import load_bundle
from hilum.runtime import open_session
from hilum.training import networks
from hilum.training.config import Distillation, Phase, TrainingConfig, read_config
from hilum.training.finished import load_run
from hilum.training.folds import FIGURES, FINAL, FOLDS, OUT_OF_FOLD, cross_validate, out_of_fold, read_folds
from hilum.training.judged import judge_table
from hilum.training.splits import split_table

CONFIG = """
min_positive_patients = 4
[data]
table = "table.csv"
holdout = "holdout.csv"
sources = ["test"]
training_only = ["more"]
film_size = 48
[trained_on]
dataset = "Made-up films"
image_licence = "none needed"
label_licence = "none needed"
citation = "nobody"
[network]
architecture = "HilumCNN"
outputs = ["Effusion", "Normal"]
auxiliary_outputs = ["Nodule"]
[fit]
phases = [{ size = 32, epochs = 2, learning_rate = 0.001, batch = 8 }]
threads = 1
[folds]
phases = [{ size = 32, epochs = 1, learning_rate = 0.001, batch = 8 }]
[bundle]
id = "made-up"
version = "1.0.0"
"""


def tiny_network(outputs: int) -> networks.Network:
    """Stands in for HilumCNN: one convolution of stride 8."""
    trunk = nn.Sequential(nn.Conv2d(3, 8, 8, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return networks.Network(trunk, networks.Head(8, 8, outputs, 0.3))


@pytest.fixture(scope="module", autouse=True)
def tiny_architecture():
    """HilumCNN is the tiny network here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.BUILDERS, "HilumCNN", tiny_network)
        yield


def hilum(*words: object) -> int:
    """Run the program in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["hilum", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 48 films of 24 patients, of whom 4 are held out, 2 only train, and p0 is p1 under another number."""
    folder = tmp_path_factory.mktemp("experiment")
    rng = np.random.default_rng(4)
    rows = ["file,patient_id,source,Effusion,Normal,Nodule"]
    for number in range(48):
        patient, ill = number // 2, number // 2 % 2
        pixels = np.clip(film_pixels(60, 60) * (0.6 + 0.4 * ill) + rng.normal(0, 0.2, (60, 60)), 0, 1)
        Image.fromarray((pixels * 255).astype("uint8")).save(folder / f"{number}.png")
        source = "more" if patient in (22, 23) else "test"
        rows.append(f"{number}.png,p{patient},{source},{ill},{1 - ill},{'' if number % 3 else ill}")
    shutil.copy(folder / "0.png", folder / "2.png")
    shutil.copy(folder / "4.png", folder / "44.png")
    (folder / "table.csv").write_text("\n".join(rows))
    (folder / "holdout.csv").write_text("patient_id\n" + "\n".join(f"p{n}" for n in range(18, 22)))
    (folder / "experiment.toml").write_text(CONFIG)
    assert (
        hilum("train", folder / "experiment.toml", "--folds", 3, "--final", "--run", folder / "run", "--out", folder)
        == 0
    )
    return folder


@pytest.fixture
def config(experiment: Path) -> TrainingConfig:
    """The experiment, in three folds."""
    config = read_config(experiment / "experiment.toml")
    return replace(config, folds=replace(config.folds, count=3))


def test_every_film_is_judged_once_by_a_network_that_never_saw_its_patient(
    experiment: Path, config: TrainingConfig
) -> None:
    """Each film that may judge has one row, of the fold that left its patient out, with that fold's network's logits."""
    with (experiment / "run" / FOLDS / OUT_OF_FOLD).open() as lines:
        rows = list(csv.DictReader(lines))
    assert sorted(int(row["file"].split(".")[0]) for row in rows) == list(range(36))
    folds = read_folds(experiment / "run" / FOLDS / "folds.csv")
    assert len(folds) == 3
    assert all(row["patient_id"] in folds[int(row["fold"]) - 1] for row in rows)
    kept = out_of_fold(config, experiment / "run")
    for number, patients in enumerate(folds, start=1):
        own, network = load_run(experiment / "run" / FOLDS / str(number))
        splits = split_table(own.data)
        assert set(splits.training.patients).isdisjoint(patients)
        assert set(splits.training.patients).isdisjoint(read_patients(experiment / "holdout.csv"))
        assert own.fit.phases == (Phase(32, 1, 0.001, 8),)
        judged = judge_table(own, network, splits.validation)
        places = [kept.images.index(image) for image in judged.images]
        np.testing.assert_allclose(kept.logits[places], judged.logits, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(kept.labels[places], judged.labels)


def test_one_person_under_two_numbers_stays_in_one_fold(experiment: Path) -> None:
    """Patients who share a film are dealt together, and one who only trains is left out with the fold that has their film."""
    (first,) = [fold for fold in read_folds(experiment / "run" / FOLDS / "folds.csv") if "p0" in fold]
    assert "p1" in first
    (second,) = [fold for fold in read_folds(experiment / "run" / FOLDS / "folds.csv") if "p2" in fold]
    assert "p22" in second
    assert not any("p23" in fold for fold in read_folds(experiment / "run" / FOLDS / "folds.csv"))


def test_figures_by_fold_and_pooled(experiment: Path) -> None:
    """The file of figures has each fold's AUROC and that of all out-of-fold predictions, with intervals."""
    figures = json.loads((experiment / "run" / FOLDS / "figures.json").read_text())
    assert len(figures["folds"]) == 3
    assert figures["pooled"]["films"] == sum(fold["films"] for fold in figures["folds"]) == 36
    interval = figures["pooled"]["auroc"]["Effusion"]
    assert interval["low"] <= interval["value"] <= interval["high"]


def test_the_final_member_is_trained_on_all_and_calibrated_out_of_fold(
    experiment: Path, config: TrainingConfig
) -> None:
    """The bundle counts everybody but the held-out, runs the whole schedule, and its calibration is that of the kept logits."""
    bundle = load_bundle(experiment / "made-up")
    assert bundle.manifest.trained_on.patients == 20
    assert bundle.manifest.trained_on.command.endswith("experiment.toml --folds 3 --final")
    final, _ = load_run(experiment / "run" / FINAL)
    assert final.data.validation is None
    assert final.fit.phases == (Phase(32, 2, 0.001, 8),)
    kept = out_of_fold(config, experiment / "run")
    assert bundle.manifest.outputs[0].calibration == fit_platt(kept.logits[:, 0], kept.labels[:, 0])
    check_golden(bundle, open_session(bundle.model))


def test_a_cross_validation_goes_on(experiment: Path, config: TrainingConfig) -> None:
    """With one fold and the predictions lost, that fold is trained again to the same predictions; a finished one is only read."""
    folds = experiment / "run" / FOLDS
    before = (folds / OUT_OF_FOLD).read_bytes()
    (folds / FIGURES).unlink()
    (folds / OUT_OF_FOLD).unlink()
    shutil.rmtree(folds / "3")
    again = cross_validate(config, experiment / "run")
    assert (folds / OUT_OF_FOLD).read_bytes() == before
    assert cross_validate(config, experiment / "run") == again


def test_a_teacher_must_not_know_the_patients_left_out(
    experiment: Path, tmp_path: Path, config: TrainingConfig
) -> None:
    """A fold learns from the same fold of a teacher, and a teacher without that fold is refused."""
    student = replace(config, distillation=Distillation(runs=(experiment / "run",)))
    assert cross_validate(student, tmp_path / "student") is not None
    own, _ = load_run(tmp_path / "student" / FOLDS / "2")
    assert own.distillation is not None
    assert own.distillation.runs == (experiment / "run" / FOLDS / "2",)
    other = replace(student, folds=replace(config.folds, seed=9))
    with pytest.raises(ConfigError, match="not cross-validated with the same folds"):
        cross_validate(other, tmp_path / "other")


def test_early_stopping_has_no_place_here(config: TrainingConfig, tmp_path: Path) -> None:
    """Stopping on the patients that a fold is judged on is refused."""
    with pytest.raises(ConfigError, match=r"fit\.patience"):
        cross_validate(replace(config, fit=replace(config.fit, patience=1)), tmp_path)


def test_without_validation_patients_a_plain_training_is_refused(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing could be calibrated: the message names the key, and the option that does without."""
    assert hilum("train", experiment / "experiment.toml", "--run", tmp_path, "--out", tmp_path) == 2
    assert "data.validation is missing" in capsys.readouterr().err
