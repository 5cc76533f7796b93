"""From a table of films to a bundle that serving opens."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import film_pixels
from hilum import cli
from hilum.explain import class_activation
from hilum.graph import read_head, with_float16_weights
from hilum.pipeline import check_golden, open_engine
from hilum.records import Radiograph, Source
from hilum.registry import load_bundle
from hilum.runtime import open_session
from hilum.training.architecture import input_spec
from hilum.training.config import read_config
from hilum.training.export import export
from hilum.training.finished import load_run
from hilum.training.initial import build_network, pretraining
from hilum.training.networks import BUILDERS
from hilum.training.predict import to_input
from hilum.training.run import train
from hilum.training.splits import split_table
from hilum.training.to_onnx import network_to_onnx

CONFIG = """
min_positive_patients = 4
[data]
table = "table.csv"
holdout = "holdout.csv"
validation = "validation.csv"
sources = ["test"]
film_size = 48
[trained_on]
dataset = "Made-up films"
image_licence = "none needed"
label_licence = "none needed"
citation = "nobody"
[network]
architecture = "HilumCNN"
slot = "custom"
outputs = ["Effusion", "Normal", "Edema"]
auxiliary_outputs = ["Nodule"]
[fit]
phases = [{ size = 32, epochs = 1, learning_rate = 0.001, batch = 8 }]
[bundle]
id = "made-up"
version = "1.0.0"
[prevalence]
"Effusion" = 0.12
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A folder with 36 films of 18 patients, a split and a configuration."""
    folder = tmp_path_factory.mktemp("experiment")
    rng = np.random.default_rng(4)
    rows = ["file,patient_id,source,orig_width,label_source,Effusion,Normal,Edema,Nodule"]
    for number in range(36):
        ill = number % 2
        pixels = np.clip(film_pixels(60, 60) * (0.7 + 0.3 * ill) + rng.normal(0, 0.2, (60, 60)), 0, 1)
        Image.fromarray((pixels * 255).astype("uint8")).save(folder / f"{number}.png")
        rows.append(f"{number}.png,p{number // 2},test,1024,a reader+another,{ill},{1 - ill},{int(number == 3)},{ill}")
    (folder / "table.csv").write_text("\n".join(rows))
    (folder / "validation.csv").write_text("patient_id\n" + "\n".join(f"p{n}" for n in range(8, 13)))
    (folder / "holdout.csv").write_text("patient_id\n" + "\n".join(f"p{n}" for n in range(13, 18)))
    (folder / "experiment.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def trained(experiment):
    """The bundle that ``hilum train`` writes, and the folder of its run."""
    places = ("--run", str(experiment / "run"), "--out", str(experiment / "models"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["hilum", "train", str(experiment / "experiment.toml"), *places])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert not end.value.code
    return load_bundle(experiment / "models" / "made-up"), experiment / "run"


def test_the_bundle_says_what_it_was_trained_on(trained):
    """Name, counts, licences, command, labels' sources and what is assessed come from the training itself."""
    manifest = trained[0].manifest
    assert manifest.name == "HilumCNN (Made-up films-trained)"
    assert (manifest.trained_on.images, manifest.trained_on.patients) == (16, 8)
    assert manifest.trained_on.label_sources == ("a reader", "another")
    assert "hilum train" in manifest.trained_on.command
    assert [output.name for output in manifest.outputs] == ["Effusion", "Normal", "Edema"]
    assert manifest.assessed == ("Effusion", "Normal")
    assert "1 positive patients; 4 are needed" in manifest.outputs[2].reason
    effusion = manifest.outputs[0]
    assert effusion.prevalence == 0.12
    assert effusion.calibration is not None
    assert set(effusion.operating_points) == {"youden", "rule_in", "rule_out"}
    assert effusion.auroc.low <= effusion.auroc.value <= effusion.auroc.high
    assert "mean_auroc" in manifest.figures


def test_pretraining_comes_first_and_is_told(experiment, tmp_path):
    """The network learns from the second table before its own, whose films alone are counted as what it was trained on."""
    text = CONFIG.replace(
        "[fit]",
        """[pretraining]
dataset = "Other films"
table = "table.csv"
sources = ["test"]
phases = [{ size = 32, epochs = 2, learning_rate = 0.001, batch = 8 }]
[fit]""",
    )
    (experiment / "pretrained.toml").write_text(text)
    config = read_config(experiment / "pretrained.toml")
    train(config, tmp_path / "run")
    first, _ = load_run(tmp_path / "run" / "pretraining")
    assert first.trained_on.dataset == "Other films"
    assert len((tmp_path / "run" / "pretraining" / "history.jsonl").read_text().splitlines()) == 2
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 1
    manifest = export(tmp_path / "run", tmp_path / "models", "made by hand").manifest
    assert manifest.trained_on.pretraining == "16 films of 8 patients of Other films"
    later = replace(
        config, network=replace(config.network, initial="run", initial_path=tmp_path / "run"), pretraining=None
    )
    assert pretraining(later) == "16 films of 8 patients of Other films, then 16 films of 8 patients of Made-up films"
    later = replace(
        later, network=replace(later.network, initial="bundle", initial_path=tmp_path / "models" / "made-up")
    )
    assert pretraining(later) == "the weights of made-up 1.0.0, HilumCNN (Made-up films-trained)"
    sample = torch.rand(2, 3, 64, 64)
    assert build_network(later.network, sample).trunk is not None


def test_small_originals_may_train_but_never_judge(experiment):
    """Films of a source that only trains stand on no other side of the split."""
    rows = (experiment / "table.csv").read_text().splitlines()
    small = [row.replace(",test,1024,", ",small,256,") for row in rows[1:]]
    (experiment / "both.csv").write_text("\n".join([*rows, *small]))
    data = read_config(experiment / "experiment.toml").data
    data = replace(data, table=experiment / "both.csv", min_original_width=1024, training_only=("small",))
    splits = split_table(data)
    assert {row.source for row in splits.training.rows} == {"test", "small"}
    assert {row.source for row in (*splits.validation.rows, *splits.holdout.rows)} == {"test"}
    assert set(splits.training.patients).isdisjoint(splits.validation.patients)


def test_the_card_is_made_from_the_manifest(trained):
    """The card has the name, the data, the disclaimer and why an output is not assessed."""
    card = (trained[0].folder / "card.md").read_text()
    for part in (trained[0].manifest.name, "research and education", "Made-up films", "Not assessed", "Effusion"):
        assert part in card


def test_the_bundle_gives_the_networks_answers(trained):
    """Golden vectors hold, and the graph agrees with the trained network to half precision."""
    bundle, run = trained
    session = open_session(bundle.model)
    check_golden(bundle, session)
    _, network = load_run(run)
    x = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()[:, :3]
    np.testing.assert_allclose(session.evaluate(x, "logits")[0], expected, atol=0.02)


def test_serving_opens_it(trained, tiny_models, film):
    """A bundle in the models folder answers beside those that ship."""
    from hilum.pipeline import analyze

    engine = open_engine(trained[0].folder.parent, threads=1)
    analysis = analyze(film, engine)
    assert "HilumCNN (Made-up films-trained)" in {member.model for member in analysis.members}


def test_a_finished_training_goes_on_to_nothing(trained, experiment):
    """The same command again trains no further: history keeps one line an epoch."""
    history = (trained[1] / "history.jsonl").read_text().splitlines()
    assert len(history) == 1
    assert json.loads(history[0]).keys() >= {"loss", "validation_auroc", "seconds"}


@pytest.mark.parametrize("architecture", sorted(BUILDERS))
def test_heat_maps_equal_autograd(architecture):
    """Grad-CAM from the head equals Grad-CAM by autograd through the same network to 1e-4, and so does the graph's feature map."""
    torch.manual_seed(3)
    network = BUILDERS[architecture](5).eval()
    spec = input_spec(architecture, 96)
    pixels = torch.from_numpy(np.random.default_rng(1).random((1, 96, 96)).astype(np.float32))
    x = to_input(pixels, spec)
    features = network.features(x).detach().requires_grad_()
    logits = network.head(features)
    expected = []
    for index in range(5):
        (gradient,) = torch.autograd.grad(logits[0, index], features, retain_graph=True)
        expected.append(torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * features).sum(1))[0].detach().numpy())
    model = network_to_onnx(network, 5, 96)
    scored = open_session(model).run(x.contiguous().numpy())
    np.testing.assert_allclose(class_activation(scored.features, read_head(model)), expected, atol=1e-4)
    assert read_head(with_float16_weights(model)) is not None


def test_a_radiograph_is_never_changed_by_training_code(film):
    """Preparing a film for a network leaves the film as it was."""
    from hilum.normalise import normalise

    before = film.pixels.copy()
    normalise(Radiograph(film.pixels, Source("PNG", 80, 96, 8, "")), input_spec("DenseNet121"))
    assert (film.pixels == before).all()
