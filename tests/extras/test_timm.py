"""Any network of timm: trained, written as a graph that serves, with heat maps, whatever its kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from conftest import film_pixels
from hilum import cli
from hilum.errors import ConfigError
from hilum.explain import class_activation
from hilum.graph import read_head, with_float16_weights
from hilum.pipeline import check_golden
from hilum.registry import load_bundle
from hilum.runtime import open_session
from hilum.training import architecture
from hilum.training.architecture import input_spec, new_network
from hilum.training.config import NetworkConfig
from hilum.training.frozen import freeze
from hilum.training.initial import build_network
from hilum.training.to_onnx import network_to_onnx

pytestmark = pytest.mark.extras
SIDE = 64
# Networks that timm has for tests: a convolutional one, one with patch and class tokens, and one that keeps channels last.
NAMES = ["test_resnet", "test_vit", "swin_tiny_patch4_window7_224"]


@pytest.fixture(autouse=True)
def small_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are built for small films."""
    monkeypatch.setattr(architecture, "INPUT_SIZE", SIDE)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_the_graph_gives_the_networks_numbers(name: str) -> None:
    """Logits and feature map of the graph are the network's for any number of films, and heat maps equal autograd's."""
    torch.manual_seed(3)
    network = new_network(f"timm:{name}", 4).eval()
    model = network_to_onnx(network, 3, SIDE)
    x = torch.rand(3, 3, SIDE, SIDE)
    session = open_session(model)
    logits, features = session.evaluate(x.numpy(), "logits", "features")
    with torch.no_grad():
        np.testing.assert_allclose(logits, network(x)[:, :3], atol=1e-4)
        np.testing.assert_allclose(features, network.features(x), atol=1e-4)
    found = network.features(x[:1]).detach().requires_grad_()
    answer = network.head(found)
    expected = []
    for index in range(3):
        (gradient,) = torch.autograd.grad(answer[0, index], found, retain_graph=True)
        expected.append(torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * found).sum(1))[0].detach().numpy())
    np.testing.assert_allclose(
        class_activation(session.run(x[:1].numpy()).features, read_head(model)), expected, atol=1e-4
    )
    assert read_head(with_float16_weights(model)) is not None
    assert str(Path(__file__).parents[2]).encode() not in model


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_gives_a_feature_map(name: str) -> None:
    """Convolutions, tokens and channels last alike become N×C×h×w, at the films' own size and at another."""
    trunk = new_network(f"timm:{name}", 2).trunk.eval()
    with torch.no_grad():
        shapes = [trunk(torch.zeros(2, 3, side, side)).shape for side in (SIDE, 2 * SIDE)]
    assert all(len(shape) == 4 and shape[:2] == (2, trunk.channels) and shape[2] == shape[3] for shape in shapes)
    assert shapes[0][2] < shapes[1][2]


def test_only_the_last_blocks_are_trained() -> None:
    """Stages are counted block by block: the last part of a transformer is its norm, the one before its last block."""
    network = new_network("timm:test_vit", 2)
    moving = freeze(network, "last:2")
    assert moving == (network.trunk.model.blocks[-1], network.trunk.model.norm)
    assert not network.trunk.model.cls_token.requires_grad


def test_public_weights_come_from_a_file(tmp_path: Path) -> None:
    """A file of timm's own layout fills the trunk, and the manifest says what was learnt before."""
    torch.manual_seed(5)
    public = timm.create_model("test_resnet")
    torch.save(public.state_dict(), tmp_path / "weights.pth")
    config = NetworkConfig("timm:test_resnet", ("Edema",), initial="timm", initial_path=tmp_path / "weights.pth")
    network = build_network(config, torch.zeros(1, 3, SIDE, SIDE))
    assert torch.equal(network.trunk.model.conv1[0].weight, public.conv1[0].weight)
    (tmp_path / "weights.pth").write_bytes(b"not weights")
    with pytest.raises(ConfigError, match="could not be loaded"):
        build_network(config, torch.zeros(1, 3, SIDE, SIDE))


def test_without_a_network_public_weights_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be downloaded, the message says what may be given instead."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    config = NetworkConfig("timm:test_resnet", ("Edema",), initial="timm")
    with pytest.raises(ConfigError, match=r"network\.initial_path"):
        build_network(config, torch.zeros(1, 3, SIDE, SIDE))


def test_an_unknown_network_is_an_error() -> None:
    """A name that timm does not have is named, with where to look."""
    with pytest.raises(ConfigError, match="has no network no_such_network"):
        new_network("timm:no_such_network", 2)


CONFIG = """
min_positive_patients = 2
[data]
table = "table.csv"
holdout = "holdout.csv"
validation = "validation.csv"
film_size = 80
[trained_on]
dataset = "Made-up films"
image_licence = "none needed"
label_licence = "none needed"
citation = "nobody"
[network]
architecture = "timm:test_resnet"
initial = "timm"
initial_path = "weights.pth"
trainable = "head"
outputs = ["Effusion", "Normal"]
[fit]
phases = [{ size = 64, epochs = 2, learning_rate = 0.01, batch = 8 }]
threads = 1
[bundle]
id = "of-timm"
version = "1.0.0"
"""


def test_a_frozen_base_and_a_new_head_become_a_bundle(tmp_path: Path) -> None:
    """From public weights to a bundle that opens, with the network's name and where its weights come from."""
    rng = np.random.default_rng(4)
    rows = ["file,patient_id,Effusion,Normal"]
    for number in range(24):
        ill = number % 2
        pixels = np.clip(film_pixels(80, 80) * (0.6 + 0.4 * ill) + rng.normal(0, 0.2, (80, 80)), 0, 1)
        Image.fromarray((pixels * 255).astype("uint8")).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,p{number},{ill},{1 - ill}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    (tmp_path / "validation.csv").write_text("patient_id\np10\np11\np12\np13\np14\np15\n")
    (tmp_path / "holdout.csv").write_text("patient_id\np16\np17\np18\np19\np20\np21\np22\np23\n")
    (tmp_path / "experiment.toml").write_text(CONFIG)
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    places = ("--run", str(tmp_path / "run"), "--out", str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["hilum", "train", str(tmp_path / "experiment.toml"), *places])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert not end.value.code
    bundle = load_bundle(tmp_path / "of-timm")
    assert bundle.manifest.name == "timm:test_resnet (Made-up films-trained)"
    assert bundle.manifest.trained_on.pretraining == "public weights of timm's test_resnet, from a file"
    assert bundle.manifest.input == input_spec("timm:test_resnet", 224)
    check_golden(bundle, open_session(bundle.model))
    assert read_head(bundle.model) is not None
