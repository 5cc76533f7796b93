"""A user's file as a member: what its name, its sidecar and its graph say of it, and what stays unknown."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from hilum import pipeline
from hilum.errors import ConfigError, Incompatible
from hilum.findings import CUSTOM_CNN_OUTPUTS, DENSENET121_OUTPUTS, MOBILENETV2_OUTPUTS
from hilum.graph import read_head
from hilum.keras_h5 import bundle_from_h5, h5_models, load
from hilum.normalise import normalise
from hilum.records import Radiograph
from hilum.registry import load_bundle, save_bundle
from hilum.runtime import open_session
from tiny_h5 import classifier, layer

CHEXPERT = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture"),
    "Support Devices",
)


def sidecar(path: Path, text: str) -> Path:
    """Write the sidecar of a file."""
    path.with_suffix(".toml").write_text(text, encoding="utf-8")
    return path


def scaling(path: Path) -> tuple[float, tuple[float, ...], tuple[float, ...]]:
    """Return scale, mean and std that a file's bundle asks for."""
    spec = bundle_from_h5(path).manifest.input
    return spec.scale, spec.mean, spec.std


# --- without a sidecar ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "slot", "labels", "shown"),
    [
        ("densenet_chexpert", "densenet", DENSENET121_OUTPUTS, "DenseNet121 (CheXpert, declared)"),
        ("mobilenet_mimic", "mobilenet", MOBILENETV2_OUTPUTS, "MobileNetV2 (MIMIC-CXR, declared)"),
    ],
)
def test_a_known_name_takes_the_standard_labels(
    tmp_path: Path, name: str, slot: str, labels: tuple[str, ...], shown: str
) -> None:
    """DenseNet and MobileNet take their slot, the standard list marked as assumed, and a name marked as declared."""
    path = classifier(tmp_path / f"{name}.h5", len(labels))
    bundle = bundle_from_h5(path)
    manifest = bundle.manifest
    assert manifest.slot == slot
    assert manifest.name == shown
    assert manifest.assessed == labels
    assert manifest.in_ensemble
    assert any(warning.startswith("label order assumed") for warning in manifest.warnings)
    assert manifest.id == f"{name.replace('_', '-')}-h5"
    assert bundle.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest.version == bundle.sha256[:12]


def test_nothing_is_known_of_its_calibration(tmp_path: Path) -> None:
    """Calibration, prevalence, operating points and AUROC are not made up, and a warning says so."""
    manifest = bundle_from_h5(classifier(tmp_path / "mobilenet_mimic.h5", 10)).manifest
    for output in manifest.outputs:
        assert (output.calibration, output.prevalence, output.auroc, dict(output.operating_points)) == (
            None,
            None,
            None,
            {},
        )
    assert any(warning.startswith("uncalibrated") for warning in manifest.warnings)


@pytest.mark.parametrize("name", ["densenet_chexpert", "mobilenet_mimic"])
def test_a_wrong_number_of_outputs_is_refused(tmp_path: Path, name: str) -> None:
    """A file whose outputs can't be the standard ones is refused; the message says what to write."""
    with pytest.raises(Incompatible, match=f"has 13 outputs.*write {name}.toml"):
        bundle_from_h5(classifier(tmp_path / f"{name}.h5", 13))


def test_the_third_name_answers_in_numbered_classes(tmp_path: Path) -> None:
    """``medical_classifier.h5`` has classes without meaning, and stays out of the ensemble."""
    manifest = bundle_from_h5(classifier(tmp_path / "medical_classifier.h5", 3, ends="softmax")).manifest
    assert manifest.slot == "custom"
    assert manifest.assessed == ("class_1", "class_2", "class_3")
    assert not manifest.in_ensemble
    assert manifest.activation == "softmax"
    assert manifest.name == "Custom CNN (data set not stated, declared)"


@pytest.mark.parametrize(
    ("name", "outputs", "expected"),
    [
        ("densenet_chexpert", 14, (1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        ("mobilenet_mimic", 10, (1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))),
        ("medical_classifier", 3, (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))),
    ],
)
def test_each_architecture_gets_its_own_preprocessing(
    tmp_path: Path, name: str, outputs: int, expected: object
) -> None:
    """DenseNet: ImageNet's mean and deviation; MobileNetV2: −1 to 1; the custom network: 0 to 1."""
    assert scaling(classifier(tmp_path / f"{name}.h5", outputs)) == expected


@pytest.mark.parametrize(
    "first",
    [
        [layer("Rescaling", "scale", scale=1 / 255)],
        [layer("RandomFlip", "flip"), layer("Normalization", "normal", mean=[100, 100, 100], variance=[4, 4, 4])],
    ],
)
def test_a_graph_that_scales_by_itself_gets_0_to_255(tmp_path: Path, first: list[dict[str, object]]) -> None:
    """A network that begins with Rescaling or Normalization gets plain pixels, and scales them once, not twice."""
    path = classifier(tmp_path / "densenet_chexpert.h5", 14, first=first)
    assert scaling(path) == (255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_a_later_rescaling_changes_nothing(tmp_path: Path) -> None:
    """Only what the film meets first counts."""
    path = classifier(
        tmp_path / "mobilenet_mimic.h5", 10, first=[layer("ReLU", "r"), layer("Rescaling", "scale", scale=2)]
    )
    assert scaling(path)[1] == (0.5, 0.5, 0.5)


def test_a_grey_network_gets_one_channel(tmp_path: Path) -> None:
    """One channel takes the mean of the three constants; two channels are refused."""
    spec = bundle_from_h5(classifier(tmp_path / "densenet_chexpert.h5", 14, channels=1)).manifest.input
    assert (spec.channels, spec.layout) == (1, "NHWC")
    assert spec.mean == pytest.approx((0.449,))
    with pytest.raises(Incompatible, match="takes 2 channels"):
        bundle_from_h5(classifier(tmp_path / "mobilenet_mimic.h5", 10, channels=2))


def test_an_open_size_becomes_224_or_the_sidecars(tmp_path: Path) -> None:
    """A network of any size gets 224 × 224 unless the sidecar says otherwise; a fixed size can't be overruled."""
    path = classifier(tmp_path / "mobilenet_mimic.h5", 10, side=None)
    spec = bundle_from_h5(path).manifest.input
    assert (spec.height, spec.width) == (224, 224)
    spec = bundle_from_h5(sidecar(path, "size = 64")).manifest.input
    assert (spec.height, spec.width) == (64, 64)
    with pytest.raises(Incompatible, match="size is 64, but the network takes 32×32"):
        bundle_from_h5(classifier(path, 10))


# --- with a sidecar ------------------------------------------------------------------------------------------------


def test_chexperts_own_labels_are_mapped(tmp_path: Path) -> None:
    """CheXpert's 14 become our names; those that we do not have stay outputs that nobody uses, with the reason."""
    path = sidecar(
        classifier(tmp_path / "densenet_chexpert.h5", 14), f"labels = {list(CHEXPERT)}\ndataset = 'CheXpert'"
    )
    manifest = bundle_from_h5(path).manifest
    assert manifest.outputs[0].name == "Normal"
    assert manifest.outputs[4].name == "Lesion"
    unknown = [output for output in manifest.outputs if not output.assessed]
    assert [output.name for output in unknown] == ["Enlarged Cardiomediastinum", "Pleural Other", "Support Devices"]
    assert {output.reason for output in unknown} == {"hilum has no such finding"}
    assert not any("label order" in warning for warning in manifest.warnings)


def test_a_sidecar_is_obeyed(tmp_path: Path) -> None:
    """Everything that it states stands in the bundle, marked as declared."""
    path = sidecar(
        classifier(tmp_path / "vgg_padchest.h5", 2, ends="linear"),
        'labels = ["Pneumonia", "Edema"]\ndataset = "PadChest"\narchitecture = "VGG16"\npreprocessing = "caffe"\n'
        'crop = "centre"\nactivation = "softmax"\nensemble = false\n',
    )
    manifest = bundle_from_h5(path).manifest
    assert manifest.name == "VGG16 (PadChest, declared)"
    assert manifest.slot is None
    assert (manifest.input.scale, manifest.input.mean) == (255.0, (103.939, 116.779, 123.68))
    assert (manifest.input.crop, manifest.activation, manifest.in_ensemble) == ("centre", "softmax", False)
    assert not any("assumed" in warning for warning in manifest.warnings)


def test_a_sidecar_may_give_the_numbers(tmp_path: Path) -> None:
    """Preprocessing can be a table of scale, mean and std, of one number or one a channel."""
    path = classifier(tmp_path / "mobilenet_mimic.h5", 10)
    sidecar(path, "[preprocessing]\nscale = 2048\nmean = [1024]\nstd = [1, 2, 4]")
    assert scaling(path) == (2048.0, (1024.0, 1024.0, 1024.0), (1.0, 2.0, 4.0))
    for wrong in ("mean = [1, 2]", "std = [0]"):
        with pytest.raises(Incompatible, match="sidecar's"):
            bundle_from_h5(sidecar(path, f"[preprocessing]\n{wrong}"))


def test_named_labels_bring_the_third_into_the_ensemble(tmp_path: Path) -> None:
    """With labels it takes part, unless the sidecar says no; without labels it can't."""
    path = classifier(tmp_path / "medical_classifier.h5", 8)
    assert bundle_from_h5(sidecar(path, f"labels = {list(CUSTOM_CNN_OUTPUTS)}")).manifest.in_ensemble
    with pytest.raises(Incompatible, match="ensemble = true, but no labels"):
        bundle_from_h5(sidecar(path, "ensemble = true"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('labels = ["Edema"]', "sidecar lists 1 labels"),
        ('labels = ["Mass", "Lung Lesion", "Edema"]', "Two labels mean Lesion"),
        ('labels = ["cat", "dog", "mouse"]', "None of the sidecar's labels"),
        ('activation = "softmax"', "ends in sigmoid"),
    ],
)
def test_a_sidecar_that_contradicts_the_network_is_refused(tmp_path: Path, text: str, named: str) -> None:
    """Labels and activation must be those of the network."""
    with pytest.raises(Incompatible, match=named):
        bundle_from_h5(sidecar(classifier(tmp_path / "medical_classifier.h5", 3), text))


@pytest.mark.parametrize(
    "text", ["labels = 3", "colour = 'red'", "labels = [", 'crop = "round"', 'labels = ["a\\nb"]', "size = 9", "\0"]
)
def test_a_sidecar_that_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    """Unknown keys, wrong types and broken TOML are errors that name the sidecar."""
    with pytest.raises(ConfigError, match=r"medical_classifier\.toml is"):
        bundle_from_h5(sidecar(classifier(tmp_path / "medical_classifier.h5", 3), text))


def test_a_network_that_ends_in_neither_is_refused(tmp_path: Path) -> None:
    """Without sigmoid or softmax at its end, only a sidecar can say that the answer is logits."""
    path = classifier(tmp_path / "mobilenet_mimic.h5", 10, ends="linear")
    with pytest.raises(Incompatible, match="neither sigmoid nor softmax"):
        bundle_from_h5(path)
    films = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    bundle = bundle_from_h5(sidecar(path, 'activation = "sigmoid"'))
    (logits,) = open_session(bundle.model).evaluate(films, "logits")
    np.testing.assert_array_equal(logits, load(path).predict(films))


def test_an_answer_that_is_no_list_of_scores_is_refused(tmp_path: Path) -> None:
    """A network that answers with a picture is no classifier."""
    golden = Path(__file__).parents[1] / "golden" / "keras" / "keras3-activations.h5"
    path = tmp_path / "medical_classifier.h5"
    path.write_bytes(golden.read_bytes())
    with pytest.raises(Incompatible, match="answers with 12×6×5 numbers"):
        bundle_from_h5(path)


# --- the models folder ---------------------------------------------------------------------------------------------


def test_a_folder_shows_the_files_that_are_known(tmp_path: Path) -> None:
    """The three names, and any other with a sidecar; hidden and other files are left alone."""
    for name in ("medical_classifier", "densenet_chexpert", "mobilenet_mimic", "another"):
        (tmp_path / f"{name}.h5").touch()
    for name in ("._densenet_chexpert.h5", "another.toml", "notes.txt"):
        (tmp_path / name).touch()
    names = [path.name for path in h5_models(tmp_path)]
    assert names == ["another.h5", "densenet_chexpert.h5", "medical_classifier.h5", "mobilenet_mimic.h5"]
    assert h5_models(tmp_path / "nowhere") == ()


def test_an_unknown_file_is_refused(tmp_path: Path) -> None:
    """A file of another name without a sidecar is not passed over in silence."""
    classifier(tmp_path / "mine.h5", 3)
    with pytest.raises(Incompatible, match=r"Write mine\.toml with its labels"):
        h5_models(tmp_path)
    with pytest.raises(Incompatible, match=r"Expected mine\.toml"):
        bundle_from_h5(tmp_path / "mine.h5")


def test_errors_name_the_file(tmp_path: Path) -> None:
    """With several files in the folder, the message says which one it is about."""
    (tmp_path / "mobilenet_mimic.h5").write_bytes(b"nothing")
    with pytest.raises(Incompatible, match=r"^mobilenet_mimic\.h5: This is not a readable HDF5 file"):
        bundle_from_h5(tmp_path / "mobilenet_mimic.h5")


# --- through the house ---------------------------------------------------------------------------------------------


def test_a_bundle_can_be_saved(tmp_path: Path) -> None:
    """Written into a folder, it loads as the same member."""
    bundle = bundle_from_h5(classifier(tmp_path / "mobilenet_mimic.h5", 10))
    folder = tmp_path / bundle.manifest.id
    save_bundle(folder, bundle.manifest, {"model.onnx": bundle.model})
    saved = load_bundle(folder)
    assert saved.model == bundle.model
    assert saved.manifest.outputs == bundle.manifest.outputs
    assert saved.manifest.name == bundle.manifest.name


def test_it_replaces_the_shipped_member(tmp_path: Path, tiny_models: Path, film: Radiograph) -> None:
    """In the models folder it takes its slot; its answer is the raw score, its maps are from its own head."""
    path = classifier(tmp_path / "densenet_chexpert.h5", 14)
    engine = pipeline.open_engine(tmp_path, threads=1)
    assert engine.members[0].name == "DenseNet121 (CheXpert, declared)"
    assert [member.manifest.slot for member in engine.members] == ["densenet", "mobilenet", "custom"]
    analysis = pipeline.analyze(film, engine)
    result = analysis.members[0]
    assert not result.calibrated
    assert any(warning.startswith("label order assumed") for warning in result.warnings)
    scores = load(path).predict(normalise(film, engine.members[0].manifest.input))[0]
    for answer in result.predictions:
        assert answer.score == pytest.approx(scores[DENSENET121_OUTPUTS.index(answer.name)], abs=1e-5)
        assert answer.confidence == pytest.approx(100 * answer.score)
        assert (answer.probability, answer.threshold, answer.evidence, answer.positive) == (None, None, None, None)
    assert any(heatmap.model == result.model for heatmap in analysis.heatmaps)


def test_numbered_classes_stay_out_of_the_findings(tmp_path: Path, tiny_models: Path, film: Radiograph) -> None:
    """``class_1`` is in its member's answer and in no finding."""
    classifier(tmp_path / "medical_classifier.h5", 3, ends="softmax")
    analysis = pipeline.analyze(film, pipeline.open_engine(tmp_path, threads=1))
    (result,) = (member for member in analysis.members if member.slot == "custom")
    assert {answer.name for answer in result.predictions} == {"class_1", "class_2", "class_3"}
    assert sum(answer.score for answer in result.predictions) == pytest.approx(1)
    assert not any(finding.name.startswith("class_") for finding in analysis.findings)


def test_no_pooled_head_no_heat_map(tmp_path: Path, tiny_models: Path, film: Radiograph) -> None:
    """A network without global average pooling gives no heat map, and the answer says why."""
    golden = Path(__file__).parents[1] / "golden" / "keras" / "keras3-sequential.h5"
    path = tmp_path / "medical_classifier.h5"
    path.write_bytes(golden.read_bytes())
    assert read_head(bundle_from_h5(path).model) is None
    analysis = pipeline.analyze(film, pipeline.open_engine(tmp_path, threads=1))
    (name,) = (member.model for member in analysis.members if member.slot == "custom")
    assert "global average pooling" in analysis.no_heatmap[name]
