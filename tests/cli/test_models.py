"""``hilum models``."""

from __future__ import annotations

import json

from made import labelled_films
from tiny import tiny_manifest, write_tiny


def test_list_as_json(hilum, tiny_models):
    """Name, version, architecture, training data and findings of every model."""
    done = hilum("models", "list", "--json")
    rows = json.loads(done.out)
    assert [row["architecture"] for row in rows] == ["DenseNet121", "MobileNetV2", "HilumCNN"]
    assert {"name", "version", "architecture", "trained_on", "findings"} <= set(rows[0])
    assert "Fracture" not in rows[0]["findings"]
    assert done.code == 0


def test_list_as_text(hilum, tiny_models):
    """One line a model; a figure that was not measured is said not to be."""
    done = hilum("models", "list")
    assert done.out.count("random numbers, for tests-trained") == 3
    assert "not measured" in done.out


def test_a_narrow_list_cuts_no_id(hilum, tiny_models, monkeypatch):
    """Ids are what other commands ask for; long names are folded."""
    monkeypatch.setenv("COLUMNS", "72")
    done = hilum("models", "list")
    assert "…" not in done.out
    assert "densenet121-tiny" in done.out


def test_show_prints_the_manifest(hilum, tiny_models):
    """The manifest as it stands on disk; an unknown id names the known ones."""
    done = hilum("models", "show", "hilumcnn-tiny")
    assert done.out.encode() == (tiny_models / "hilumcnn-tiny" / "manifest.json").read_bytes()
    wrong = hilum("models", "show", "none")
    assert wrong.code == 2
    assert "hilumcnn-tiny" in wrong.err


def test_verify_finds_damage(hilum, tmp_path, monkeypatch, tiny_folder):
    """Whole bundles are said to be whole; a changed byte gives exit code 1 and the file's name."""
    from hilum import registry

    monkeypatch.setattr(registry, "shipped_folder", lambda: tiny_folder)
    assert hilum("models", "verify").out.count("whole") == 3
    bundle = write_tiny(tmp_path / "own", tiny_manifest("ResNet50", None, ("Edema",)))
    (bundle.folder / "card.md").write_bytes(b"other")
    done = hilum("models", "verify", "--models", tmp_path / "own")
    assert done.code == 1
    assert "card.md" in done.out


def test_combine_and_evaluate(hilum, tmp_path, monkeypatch, tiny_folder):
    """The members are measured together on their patients; the record is used from then on, and evaluate reports them."""
    import shutil

    from hilum import pipeline, registry

    shipped = shutil.copytree(tiny_folder, tmp_path / "shipped")
    for module in (pipeline, registry):
        monkeypatch.setattr(module, "shipped_folder", lambda: shipped)
    films = labelled_films(tmp_path)
    splits = ("--validation", films / "validation.csv", "--holdout", films / "holdout.csv")
    done = hilum("models", "combine", "--data", films / "table.csv", *splits, "--min-original-width", 1000)
    assert done.code == 0, done.err
    record = json.loads((shipped / "ensemble.json").read_text())
    assert set(record["operating_points"]) == {"Effusion", "Edema"}
    assert (
        record["figures"]["mean_auroc"]["value"] in (0.0, 0.5, 1.0) or 0 < record["figures"]["mean_auroc"]["value"] < 1
    )
    assert "--min-original-width 1000" in record["command"]
    assert pipeline.open_engine(threads=1).record is not None
    text = hilum("evaluate", "--data", films / "table.csv", "--patients", films / "holdout.csv")
    assert "12 films of 6 patients; 0 refused by the gate" in text.out
    assert "Ensemble minus DenseNet121" in text.out
    figures = json.loads(hilum("evaluate", "--data", films / "table.csv", "--json").out)
    assert figures["films"] == 24
    assert set(figures["judged"]["Ensemble"]["auroc"]) == {"Effusion", "Edema"}


def test_evaluate_without_films_says_so(hilum, tmp_path, tiny_models):
    """Options that leave no film are named."""
    films = labelled_films(tmp_path)
    done = hilum("evaluate", "--data", films / "table.csv", "--source", "nowhere")
    assert done.code == 2
    assert "--source" in done.err


def test_maps_are_checked_and_the_manifest_says_so(hilum, tmp_path, tiny_folder):
    """Each assessed output gets a line, and what was measured stands in the bundle's manifest."""
    import shutil

    own = shutil.copytree(tiny_folder, tmp_path / "own") / "densenet121-tiny"
    films = labelled_films(tmp_path)
    given = ("--data", films / "table.csv", "--validation", films / "validation.csv", "--films", 6)
    done = hilum("models", "maps", own, *given)
    assert done.code == 0, done.err
    assessed = [one for one in json.loads((own / "manifest.json").read_text())["outputs"] if one["assessed"]]
    assert len(done.out.splitlines()) == len(assessed)
    assert all(one["map_check"]["films"] == 2 for one in assessed)


def test_quantise_and_compute_in_eight_bits(hilum, tmp_path):
    """The command says what was lost; from then on int8 can be asked for, and the answer says so."""
    films = labelled_films(tmp_path)
    own = tmp_path / "own"
    write_tiny(own, tiny_manifest("ResNet50", None, ("Edema", "Effusion")))
    data = ("--data", films / "table.csv", "--validation", films / "validation.csv", "--holdout", tmp_path / "none.csv")
    (tmp_path / "none.csv").write_text("patient_id\nnobody\n")
    done = hilum("models", "quantise", own / "resnet50-tiny", *data, "--films", 4)
    assert done.code == 0, done.err
    assert "mean AUROC lost" in done.out
    assert "on 12 films" in done.out
    figures = json.loads((own / "resnet50-tiny" / "manifest.json").read_text())["int8"]
    assert figures["command"].startswith("hilum models quantise")
    told = hilum("analyze", films / "0.png", "--json", "--models", own, "--precision", "int8")
    assert "int8" in {model["precision"] for model in json.loads(told.out)["models"]}
    assert hilum("evaluate", own / "resnet50-tiny", "--data", films / "table.csv", "--precision", "int8").code == 0
