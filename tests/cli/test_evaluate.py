"""``hilum evaluate``."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from hilum.evaluation.record import evaluation_to_json, read_evaluation
from hilum.evaluation.scorecard import to_html
from made import labelled_films


def test_the_evaluation_is_written_and_read_back(hilum, tmp_path, tiny_models):
    """--out writes what --json prints but for the command; films, models, command and heat maps against boxes are in it."""
    films = labelled_films(tmp_path)
    rows = [f"{number}.png,Effusion,10,10,30,40" for number in range(1, 24, 2)]
    (films / "boxes.csv").write_text("\n".join(["file,finding,x,y,w,h", *rows]))
    options = ("--data", films / "table.csv", "--patients", films / "holdout.csv", "--boxes", films / "boxes.csv")
    done = hilum("evaluate", *options, "--out", films / "evaluation.json", "--html", films / "scorecard.html")
    assert done.code == 0, done.err
    assert "12 films of 6 patients" in done.out
    evaluation = read_evaluation(films / "evaluation.json")
    assert (films / "scorecard.html").read_bytes() == to_html(evaluation)
    assert evaluation_to_json(evaluation) == (films / "evaluation.json").read_bytes()
    assert evaluation.subject == "Ensemble"
    assert [one.model.bundle for one in evaluation.models] == ["densenet121-tiny", "mobilenetv2-tiny", "hilumcnn-tiny"]
    assert evaluation.command.startswith("hilum evaluate --data")
    pointing = evaluation.localisation["Ensemble"]["Effusion"]
    assert (pointing.films, pointing.patients) == (6, 6)
    assert evaluation.data.sources == {"test": 12}
    assert evaluation.data.views == {"not stated": 12}


def test_only_the_models_named_are_judged(hilum, tmp_path, tiny_models):
    """A bundle is named by folder or id; judged alone, it leads. An unknown name lists the known ones."""
    films = labelled_films(tmp_path)
    for name in ("hilumcnn-tiny", tiny_models / "hilumcnn-tiny"):
        found = json.loads(hilum("evaluate", name, "--data", films / "table.csv", "--json").out)
        assert [one["model"]["bundle"] for one in found["models"]] == ["hilumcnn-tiny"]
        assert found["subject"] == "HilumCNN (random numbers, for tests-trained)"
    two = json.loads(
        hilum("evaluate", "hilumcnn-tiny", "mobilenetv2-tiny", "--data", films / "table.csv", "--json").out
    )
    assert two["subject"] == "Ensemble"
    assert len(two["gain"]) == 2
    wrong = hilum("evaluate", "none", "--data", films / "table.csv")
    assert wrong.code == 2
    assert "hilumcnn-tiny" in wrong.err


def test_boxes_of_other_films_are_refused(hilum, tmp_path, tiny_models):
    """Boxes that belong to no film of the table are a mistake, and said to be."""
    films = labelled_films(tmp_path)
    (films / "boxes.csv").write_text("file,finding,x,y,w,h\nelsewhere.png,Effusion,1,2,3,4\n")
    done = hilum("evaluate", "--data", films / "table.csv", "--boxes", films / "boxes.csv")
    assert done.code == 2
    assert "No film of the table has a box" in done.err


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"films": "many"}'])
def test_a_wrong_evaluation_file_is_refused(tmp_path, text):
    """What hilum evaluate did not write is a DatasetError that says what was expected."""
    from hilum.errors import DatasetError

    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(DatasetError, match="hilum evaluate --out"):
        read_evaluation(tmp_path / "evaluation.json")
    with pytest.raises(DatasetError, match="can't be read"):
        read_evaluation(tmp_path / "none.json")


def test_a_member_outside_the_ensemble_is_judged(tmp_path):
    """A model that takes no part in the ensemble has figures too, and leads when it is alone."""
    from hilum.datasets.plain import read_table
    from hilum.evaluation.compare import compare
    from hilum.evaluation.scoring import score_table
    from hilum.pipeline import open_bundles
    from tiny import tiny_manifest, write_tiny

    films = labelled_films(tmp_path)
    bundle = write_tiny(tmp_path / "own", tiny_manifest("ResNet50", None, ("Effusion",), in_ensemble=False))
    scores = score_table(open_bundles([bundle], threads=1), read_table(films / "table.csv"))
    assert scores.subject == "ResNet50 (random numbers, for tests-trained)"
    comparison = compare(scores, 20)
    assert list(comparison.judged) == [scores.subject]
    assert comparison.gain == {}
    assert np.isfinite(comparison.judged[scores.subject].auroc["Effusion"].value)


@pytest.mark.parametrize(("columns", "named"), [("160", True), ("80", False)])
def test_no_number_is_cut(hilum, tmp_path, tiny_models, monkeypatch, columns, named):
    """Where there is little room, intervals stand below their figures and a letter stands for each member's name."""
    monkeypatch.setenv("COLUMNS", columns)
    films = labelled_films(tmp_path)
    done = hilum("evaluate", "--data", films / "table.csv", "--patients", films / "holdout.csv")
    assert done.code == 0, done.err
    assert "…" not in done.out
    assert ("A: DenseNet121" not in done.out) == named
    figure = r"\d\.\d{3} \(\d\.\d{3}–\d\.\d{3}\)" if named else r"^ +\d\.\d{3}–\d\.\d{3}"
    assert re.search(figure, done.out, re.MULTILINE)
