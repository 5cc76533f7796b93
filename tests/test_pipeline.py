"""Opening an engine, and a film all the way through it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hilum
from hilum import pipeline
from hilum.calibrate import sigmoid
from hilum.errors import BundleNotFound, ConfigError, HashMismatch, Incompatible
from hilum.normalise import resample
from hilum.pipeline import analyze, check_golden, open_engine, unique_names
from hilum.records import ConformalCuts, EnsembleRecord, Interval, Look, NormalClaim, OperatingPoint, Uncertainty
from hilum.registry import save_bundle, save_ensemble
from hilum.runtime import open_session
from tiny import output, tiny_golden, tiny_graph, tiny_manifest, write_classic, write_tiny

ROOT = Path(__file__).parents[1]
EDEMA = tiny_manifest("DenseNet121", "densenet", ("Edema", "Effusion", "Fracture"))


def test_three_members_answer_together(film, tiny_engine):
    """Every assessed finding is answered, by the members that assess it, with provenance, level and heat maps."""
    analysis = analyze(film, tiny_engine)
    assert analysis.verdict.accepted
    assert [model.name.split(" ")[0] for model in analysis.provenance.models] == [
        "DenseNet121",
        "MobileNetV2",
        "HilumCNN",
    ]
    assert analysis.not_assessed == ("Fracture", "Tuberculosis")
    by_name = {finding.name: finding for finding in analysis.findings}
    assert len(by_name["Pneumonia"].members) == 3
    assert len(by_name["Emphysema"].members) == 1
    confidences = [finding.confidence for finding in analysis.findings]
    assert confidences == sorted(confidences, reverse=True)
    top = next(finding for finding in analysis.findings if finding.name != "Normal")
    assert analysis.ensemble_confidence == round(top.confidence, 1)
    assert len(analysis.heatmaps) == sum(len(member.predictions) for member in analysis.members)
    assert all(one.box == (0, 0, 80, 96) for one in analysis.heatmaps)
    assert not analysis.no_heatmap


def test_the_same_film_has_the_same_answer(film, tiny_engine):
    """Nothing random and nothing kept between films."""
    first, second = analyze(film, tiny_engine), analyze(film, tiny_engine)
    assert first.findings == second.findings


def test_a_refused_film_has_reasons_and_nothing_else(film, tiny_engine):
    """A refusal carries source and provenance, and no finding, confidence or level."""
    refused = analyze(replace(film, chroma=0.5), tiny_engine)
    assert [reason.code for reason in refused.verdict.reasons] == ["colour_photograph"]
    assert refused.findings == refused.members == refused.heatmaps == ()
    assert refused.ensemble_confidence is refused.level is refused.recommendation is None
    assert len(refused.provenance.models) == 3


def test_a_bundle_in_the_folder_joins(film, tiny_models, tmp_path):
    """A further bundle takes part in the ensemble beside those that ship, under a name of its own."""
    write_tiny(tmp_path, tiny_manifest("ResNet50", None, ("Edema", "Hernia")), seed=9)
    analysis = analyze(film, open_engine(tmp_path, threads=1))
    by_name = {finding.name: finding for finding in analysis.findings}
    assert len(analysis.members) == 4
    assert list(by_name["Hernia"].members) == ["ResNet50 (random numbers, for tests-trained)"]
    assert len(by_name["Edema"].members) == 4


def test_a_bundle_of_a_shipped_id_replaces_it(tiny_models, tmp_path):
    """One's own training of a shipped member stands in for it."""
    write_tiny(tmp_path, tiny_manifest("DenseNet121", "densenet", ("Edema",), version="9.9.9"), seed=9)
    engine = open_engine(tmp_path, threads=1)
    assert [member.manifest.version for member in engine.members] == ["9.9.9", "0.0.1", "0.0.1"]


def test_members_of_one_name_are_told_apart(film, tiny_models, tmp_path):
    """Two members of the same architecture and data set both count, with their ids behind the name."""
    write_tiny(tmp_path, tiny_manifest("DenseNet121", None, ("Emphysema",), id="densenet121-fold-2"), seed=9)
    analysis = analyze(film, open_engine(tmp_path, threads=1))
    emphysema = next(finding for finding in analysis.findings if finding.name == "Emphysema")
    assert {name.partition(" [")[2] for name in emphysema.members} == {"densenet121-tiny]", "densenet121-fold-2]"}
    assert len({one.model for one in analysis.heatmaps if one.finding == "Emphysema"}) == 2


def test_unique_names_leave_single_ones_alone():
    """Only names that several share get the id."""
    first, second = tiny_manifest("A", None, ("Edema",)), tiny_manifest("B", None, ("Edema",))
    assert unique_names([first, second]) == (first.name, second.name)


def test_a_measured_ensemble_is_used_only_for_its_members(film, tiny_folder, monkeypatch, tmp_path):
    """The record counts while exactly its members are open, with exactly those weights."""
    folder = write_classic(tmp_path / "shipped")
    monkeypatch.setattr(pipeline, "shipped_folder", lambda: folder)
    members = {m.manifest.id: m.bundle.sha256 for m in open_engine(threads=1).members}
    points = {"Edema": {"youden": OperatingPoint(12.5, 0.9, 0.6)}}
    save_ensemble(folder, EnsembleRecord(members, points, {}))
    measured = open_engine(threads=1)
    edema = next(finding for finding in analyze(film, measured).findings if finding.name == "Edema")
    assert (edema.threshold, edema.sensitivity) == (12.5, 0.9)
    write_tiny(tmp_path / "own", tiny_manifest("ResNet50", None, ("Edema",)))
    assert open_engine(tmp_path / "own", threads=1).record is None


def test_an_ensemble_that_cannot_say_gives_no_band(film, tiny_engine):
    """Where every set holds both answers, level and recommendation say so; a claim and a promise go with the answer."""
    names = {finding.name for finding in analyze(film, tiny_engine).findings}
    claim = NormalClaim(0.05, Interval(0.04, 0.02, 0.07), None)
    unsure = Uncertainty(9, 9, 0.9, sets={name: ConformalCuts(0.0, 100.0, 9, 9) for name in names}, normal=claim)
    never = {"Normal": {"youden": OperatingPoint(100.0, 0.0, 1.0)}}
    engine = replace(tiny_engine, record=EnsembleRecord({}, never, {}, uncertainty=unsure))
    analysis = analyze(film, engine)
    assert analysis.level == "No reliable reading"
    assert analysis.recommendation == "no reliable reading - Professional radiologist evaluation required"
    assert {finding.set for finding in analysis.findings} == {"can't say"}
    assert (analysis.promise, analysis.normal_claim, analysis.disagreements) == (0.9, claim, ())
    assert analysis.ensemble_confidence is not None
    sure = replace(unsure, sets={name: ConformalCuts(0.0, 0.0, 9, 9) for name in names})
    said = analyze(film, replace(engine, record=EnsembleRecord({}, never, {}, uncertainty=sure)))
    assert said.level != analysis.level
    assert {finding.set for finding in said.findings} == {"present"}


def test_policy_and_prevalence_reach_the_answer(film, tiny_models):
    """The policy chooses the cut, the site's prevalence the probability."""
    engine = open_engine(policy="rule_in", prevalence={"Edema": 0.5}, threads=1)
    analysis = analyze(film, engine)
    edema = next(finding for finding in analysis.findings if finding.name == "Edema")
    assert edema.threshold == pytest.approx(80)
    assert edema.probability == pytest.approx(edema.confidence / 100)
    assert analysis.provenance.policy == "rule_in"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "perhaps"}, "youden"),
        ({"prevalence": {"Edema": 0}}, "between 0 and 1"),
        ({"prevalence": {"Oedema": 0.1}}, "Edema"),
    ],
)
def test_wrong_options_are_refused(tiny_models, options, message):
    """A policy or prevalence that can't be names what was expected."""
    with pytest.raises(ConfigError, match=message):
        open_engine(**options)


def test_no_folder_and_no_model_are_not_found(tiny_models, tmp_path, monkeypatch):
    """A models folder that is not there, or an installation without any model, is an error and not a random answer."""
    with pytest.raises(BundleNotFound, match="does not exist"):
        open_engine(tmp_path / "none")
    monkeypatch.setattr(pipeline, "shipped_folder", lambda: tmp_path)
    with pytest.raises(BundleNotFound, match="no model"):
        open_engine()


def test_a_damaged_bundle_stops_the_opening(tiny_models, tmp_path):
    """A bundle that can't be trusted is not left out quietly."""
    bundle = write_tiny(tmp_path, tiny_manifest("ResNet50", None, ("Edema",)))
    (bundle.folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(HashMismatch):
        open_engine(tmp_path)


def test_one_id_twice_is_refused(tiny_models, tmp_path):
    """Two bundles of one id can't both be meant."""
    first = write_tiny(tmp_path, tiny_manifest("ResNet50", None, ("Edema",)))
    first.folder.rename(tmp_path / "copy")
    write_tiny(tmp_path, tiny_manifest("ResNet50", None, ("Edema",)))
    with pytest.raises(Incompatible, match="resnet50-tiny"):
        open_engine(tmp_path)


def test_a_graph_that_does_not_fit_its_manifest_is_noticed(film, tiny_models, tmp_path):
    """More outputs than the manifest names can't be put in order."""
    bundle = write_tiny(tmp_path, tiny_manifest("ResNet50", None, ("Edema", "Nodule")))
    engine = open_engine(tmp_path, threads=1)
    short = replace(bundle.manifest, outputs=(output("Edema"),))
    member = replace(engine.members[-1], bundle=replace(bundle, manifest=short))
    with pytest.raises(Incompatible, match="gave 2 outputs"):
        pipeline.score(film, member)


def test_no_pooled_head_no_heat_map(film, tiny_models, tmp_path):
    """A member whose head gives no exact map says why, and answers all the same."""
    write_tiny(tmp_path, tiny_manifest("ResNet50", None, ("Edema",)), pooled=False)
    analysis = analyze(film, open_engine(tmp_path, threads=1))
    ((name, reason),) = analysis.no_heatmap.items()
    assert name.startswith("ResNet50")
    assert "global average pooling" in reason
    assert name not in {one.model for one in analysis.heatmaps}


def test_another_answer_than_the_golden_one_is_refused(tmp_path):
    """A machine or an engine that gives other logits is noticed at load."""
    model = tiny_graph(3, seed=1)
    other = save_bundle(
        tmp_path / "x",
        EDEMA,
        {"model.onnx": model, "golden.npz": tiny_golden(tiny_graph(3, seed=2), EDEMA.input)},
    )
    with pytest.raises(Incompatible, match="golden"):
        check_golden(other, open_session(model))


def test_golden_answers_of_another_shape_are_refused(tmp_path):
    """Golden vectors for another number of outputs don't pass by broadcasting."""
    model = tiny_graph(3)
    other = save_bundle(
        tmp_path / "x", EDEMA, {"model.onnx": model, "golden.npz": tiny_golden(tiny_graph(1), EDEMA.input)}
    )
    with pytest.raises(Incompatible, match="golden"):
        check_golden(other, open_session(model))


def test_public_functions_are_the_pipelines(film_png, tiny_models):
    """hilum.open_engine, read_image and analyze are all that a script needs; other names are refused."""
    engine = hilum.open_engine(threads=1)
    assert hilum.analyze(hilum.read_image(film_png), engine).verdict.accepted
    with pytest.raises(AttributeError, match="analyse"):
        _ = hilum.analyse


def test_serving_imports_no_training_framework():
    """A fresh process that opens the server and the pipeline has loaded neither torch nor Keras nor TensorFlow nor OpenCV."""
    script = (
        "import sys, hilum.server.app, hilum.pipeline, hilum.keras_h5, hilum.cli\n"
        "print(sorted({'torch', 'keras', 'tensorflow', 'cv2', 'tqdm'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_importing_hilum_is_light():
    """``import hilum`` alone loads neither numpy nor the engine."""
    script = "import sys, hilum; print(sorted({'numpy', 'onnxruntime', 'pydicom', 'PIL'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_opening_waits_for_no_reader_of_keras():
    """A start without Keras files does not load what reads them, which takes a quarter of a second."""
    script = "import sys, hilum.pipeline; hilum.pipeline.open_engine('models'); print('h5py' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "False"


def test_a_film_is_resampled_once_for_members_of_one_size(film, tiny_engine, monkeypatch):
    """Members that take the same size and crop share what was made of the film, and the answer is as if they did not."""
    made = []
    monkeypatch.setattr(pipeline, "resample", lambda *given: made.append(1) or resample(*given))
    analysis = analyze(film, tiny_engine)
    assert len(made) == 1
    alone = [pipeline.score(film, member).logits for member in tiny_engine.members]
    assert len(made) == 4
    shared = [one.score for member in analysis.members for one in member.predictions]
    expected = [sigmoid(logits) for logits in alone]
    assert sorted(shared) == pytest.approx(
        sorted(
            float(value)
            for member, scores in zip(tiny_engine.members, expected, strict=True)
            for output, value in zip(member.manifest.outputs, scores, strict=True)
            if output.assessed
        )
    )


def test_film_pixels_reach_the_network(film, tiny_engine):
    """Another film, another answer."""
    other = replace(film, pixels=np.ascontiguousarray(film.pixels[::-1]))
    assert analyze(film, tiny_engine).findings != analyze(other, tiny_engine).findings


def teach(monkeypatch, engine, kinds):
    """Give the engine's second member a gate that takes what it sees for these kinds, one after the other."""
    member = replace(engine.members[1], appearance=object())
    told = iter(kinds)

    def look(features, pixels, taught):
        kind = next(told)
        return Look(kind, 0.9, 0.9 if kind == "film" else 0.0, 0.1, film_limit=0.5)

    monkeypatch.setattr(pipeline.appearance, "look", look)
    return replace(engine, members=(engine.members[0], member, engine.members[2]))


def test_a_turned_film_is_set_upright_and_its_maps_lie_on_the_film_as_given(film, tiny_engine, monkeypatch):
    """The answer is the upright film's, with a warning; the heat maps are turned back."""
    upright = analyze(film, tiny_engine)
    lying = replace(film, pixels=np.ascontiguousarray(np.rot90(film.pixels, 1)))
    analysis = analyze(lying, teach(monkeypatch, tiny_engine, ["turned_left", "film"]))
    assert analysis.ensemble_confidence == upright.ensemble_confidence
    assert [(one.code, one.action) for one in analysis.verdict.reasons] == [("rotated", "warn")]
    for map_, before in zip(analysis.heatmaps, upright.heatmaps, strict=True):
        assert (map_.values == np.rot90(before.values, 1)).all()
        assert map_.box == (0.0, 0.0, float(lying.pixels.shape[1]), float(lying.pixels.shape[0]))


def test_a_turned_film_that_stays_strange_is_refused(film, tiny_engine, monkeypatch):
    """What does not look like a film after it was turned is refused for lying on its side, without a number."""
    analysis = analyze(film, teach(monkeypatch, tiny_engine, ["turned_left", "cropped"]))
    assert not analysis.verdict.accepted
    assert [one.code for one in analysis.verdict.refusals] == ["rotated"]
    assert analysis.findings == ()


def test_a_picture_that_is_no_film_is_refused_by_its_look(film, tiny_engine, monkeypatch):
    """A photograph gets a reason and no number, and only the gate's member looked at it."""
    analysis = analyze(film, teach(monkeypatch, tiny_engine, ["photograph"]))
    assert [one.code for one in analysis.verdict.refusals] == ["not_a_radiograph"]
    assert (analysis.findings, analysis.ensemble_confidence) == ((), None)


def test_a_film_passes_the_gate_and_is_scored_once_by_each(film, tiny_engine, monkeypatch):
    """The gate's look changes nothing about the answer of a film."""
    assert analyze(film, teach(monkeypatch, tiny_engine, ["film"])).findings == analyze(film, tiny_engine).findings
