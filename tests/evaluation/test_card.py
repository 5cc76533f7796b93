"""The model card, from manifest and evaluation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hilum.errors import Incompatible
from hilum.evaluation import record
from hilum.evaluation.card import model_card
from hilum.evaluation.scoring import ENSEMBLE
from hilum.levels import DISCLAIMER
from hilum.records import CalibratedOn
from made import made_scores


@pytest.fixture
def judged(tiny_engine):
    """An engine, and an evaluation of its first member beside the ensemble."""
    scores = made_scores()
    name = tiny_engine.members[0].name
    both = {
        kind: {ENSEMBLE: given[ENSEMBLE], name: given["A"]}
        for kind, given in (("confidences", scores.confidences), ("evidence", scores.evidence))
    }
    points = {ENSEMBLE: scores.points[ENSEMBLE], name: scores.points["A"]}
    return tiny_engine, record.evaluate(
        tiny_engine, replace(scores, **both, points=points), replicates=30, command="made so"
    )


def test_a_card_needs_only_the_manifest(tiny_engine):
    """Name, data, use, what is not assessed, figures and the disclaimer; nothing of an evaluation that was not made."""
    manifest = tiny_engine.members[0].manifest
    card = model_card(manifest)
    for said in (
        f"# {manifest.name}, version 0.0.1",
        DISCLAIMER,
        "random numbers, for tests, 3 films of 2 patients",
        "Fracture (trained on 3 positive patients; 100 are needed)",
        "| Edema | 200 | 0.700 (0.650–0.750) | 55.0 | 0.70 / 0.80 |",
    ):
        assert said in card, said
    assert "How it was judged" not in card


def test_a_card_of_an_uncalibrated_model_says_so(tiny_engine):
    """Without calibration or operating points the card says that there are none; a later calibration is told."""
    manifest = tiny_engine.members[0].manifest
    bare = tuple(replace(one, calibration=None, operating_points={}, auroc=None) for one in manifest.outputs)
    card = model_card(replace(manifest, outputs=bare))
    assert "nothing: it is not calibrated" in card
    assert "| Edema | 200 | not measured | none | not known |" in card
    done = CalibratedOn(("Edema",), 400, 300, "ab", "cd", "0.0.0")
    assert "400 films of 300 patients, anew from version 0.0.0: Edema" in model_card(
        replace(manifest, calibrated_on=done)
    )


def test_an_evaluation_is_told(judged):
    """The member's own figures, the ensemble's gain over it, the limits, the open items and the command stand in its card."""
    engine, evaluation = judged
    member = engine.members[0]
    card = model_card(member.manifest, evaluation)
    edema = evaluation.judged[member.name].findings["Edema"]
    for said in (
        "On 240 films of 120 patients",
        f"| Edema | {edema.positives} / {edema.films} | {edema.auroc.value:.3f}",
        "The ensemble's mean AUROC minus this member's",
        "Whether the labels are right.",
        "CLAIM",
        "Made by `made so`",
    ):
        assert said in card, said


def test_an_evaluation_of_other_weights_is_refused(judged):
    """The evaluation must name the bundle, its version and its graph."""
    engine, evaluation = judged
    manifest = engine.members[0].manifest
    for wrong, said in (
        (replace(manifest, version="9"), "Expected version 9"),
        (replace(manifest, files=dict(manifest.files) | {"model.onnx": "00"}), "other weights"),
        (replace(manifest, id="other"), "did not judge other"),
    ):
        with pytest.raises(Incompatible, match=said):
            model_card(wrong, evaluation)
