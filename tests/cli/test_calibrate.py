"""``hilum calibrate``, ``hilum prevalence`` and ``hilum models card``."""

from __future__ import annotations

import json
import shutil

import pytest

from hilum import pipeline, registry
from made import labelled_films


@pytest.fixture
def shipped(tmp_path, monkeypatch, tiny_folder):
    """A copy of the tiny bundles that may be written to, in place of those that ship."""
    folder = shutil.copytree(tiny_folder, tmp_path / "shipped")
    for module in (pipeline, registry):
        monkeypatch.setattr(module, "shipped_folder", lambda: folder)
    return folder


def test_calibrate_writes_a_new_version(hilum, tmp_path, shipped):
    """The new bundle is whole, opens, has the same graph and another calibration, and its card says on how many films."""
    films = labelled_films(tmp_path)
    done = hilum(
        "calibrate", "hilumcnn-tiny", "--data", films / "table.csv", "--out", "new", "--prevalence", "Edema=0.3"
    )
    assert done.code == 0, done.err
    assert "version 0.0.2" in done.out
    assert "on 24 films of 12 patients: Edema, Effusion" in done.out
    new, old = registry.load_bundle(tmp_path / "new" / "hilumcnn-tiny"), registry.load_bundle(shipped / "hilumcnn-tiny")
    assert new.model == old.model
    assert set(new.manifest.files) == set(old.manifest.files)
    assert new.manifest.calibrated_on.base_sha256 == old.sha256
    assert next(one for one in new.manifest.outputs if one.name == "Edema").prevalence == 0.3
    assert "24 films of 12 patients" in (new.folder / "card.md").read_text()
    assert hilum("evaluate", new.folder, "--data", films / "table.csv").code == 0


def test_prevalence_from_the_records(hilum, tiny_models):
    """Each finding at each policy at the site's prevalence, or the reference; without counts no interval, and that is said."""
    found = json.loads(hilum("prevalence", "hilumcnn-tiny", "--prevalence", "Edema=0.2", "--json").out)
    edema = [one for one in found["findings"] if one["finding"] == "Edema"]
    assert [one["policy"] for one in edema] == ["youden", "rule_in", "rule_out"]
    assert edema[0]["ppv"]["value"] == pytest.approx(0.14 / (0.14 + 0.16))
    assert {one["prevalence"] for one in found["findings"] if one["finding"] != "Edema"} == {0.05}
    text = hilum("prevalence", "hilumcnn-tiny")
    assert "0.700" in text.out
    assert "does not say on how many films" in text.out


def test_prevalence_of_an_ensemble_without_record_needs_films(hilum, tmp_path, tiny_models):
    """A mean of members' cuts was never measured: that is said, and --data measures it."""
    missing = hilum("prevalence")
    assert missing.code == 2
    assert "--data" in missing.err
    films = labelled_films(tmp_path)
    found = json.loads(hilum("prevalence", "--data", films / "table.csv", "--json").out)
    assert (found["subject"], found["measured_on"]) == ("Ensemble", "data")
    assert found["findings"][0]["sensitivity"]["low"] is not None
    wrong = hilum("prevalence", "hilumcnn-tiny", "--prevalence", "Edema=2")
    assert wrong.code == 2


@pytest.mark.parametrize("columns", ["160", "80"])
def test_no_predictive_value_is_cut(hilum, tmp_path, tiny_models, monkeypatch, columns):
    """Where there is little room, intervals stand below their figures, policy and prevalence below the finding."""
    monkeypatch.setenv("COLUMNS", columns)
    films = labelled_films(tmp_path)
    text = hilum("prevalence", "--data", films / "table.csv").out
    assert "…" not in text
    assert ("rule_in at" in text) == (columns == "80")


def test_a_card_is_written_and_hashes_follow(hilum, tmp_path, shipped):
    """The evaluation's figures come into the card, the bundle stays whole, and the ensemble's record still fits."""
    films = labelled_films(tmp_path)
    splits = ("--validation", films / "validation.csv", "--holdout", films / "holdout.csv")
    assert hilum("models", "combine", "--data", films / "table.csv", *splits).code == 0
    assert hilum("evaluate", "--data", films / "table.csv", "--out", films / "evaluation.json").code == 0
    before = registry.load_bundle(shipped / "hilumcnn-tiny").sha256
    done = hilum("models", "card", "hilumcnn-tiny", "--evaluation", films / "evaluation.json")
    assert done.code == 0, done.err
    after = registry.load_bundle(shipped / "hilumcnn-tiny")
    assert "On 24 films of 12 patients" in (after.folder / "card.md").read_text()
    assert after.sha256 != before
    assert pipeline.open_engine(threads=1).record.members["hilumcnn-tiny"] == after.sha256
    assert hilum("models", "verify").code == 0
    assert json.loads((shipped / "ensemble.json").read_text())["calibration"]["Edema"]["ece_floor"]["value"] > 0
