"""The door to timm, with a few lines in its place: what it calls features becomes a feature map. The real one: tests/extras."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hilum.errors import ConfigError
from hilum.training.architecture import INPUT_SIZE, input_spec, new_network
from hilum.training.config import NetworkConfig
from hilum.training.frozen import freeze
from hilum.training.initial import build_network
from hilum.training.timm_trunk import normalisation, public_weights, timm_trunk


class Convolutions(nn.Module):
    """Gives N×C×h×w, takes any size, and has no word for it."""

    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 8, 8)
        self.blocks = nn.Sequential(nn.Conv2d(6, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 1))

    def forward_features(self, x: Tensor) -> Tensor:
        return self.blocks(self.stem(x))


class Tokens(Convolutions):
    """Gives N×(1 + h·w)×C: a class token of zeros, then the patches row by row."""

    num_prefix_tokens = 1

    def __init__(self, img_size: int, dynamic_img_size: bool) -> None:
        super().__init__()
        self.size = img_size

    def forward_features(self, x: Tensor) -> Tensor:
        patches = super().forward_features(x).flatten(2).transpose(1, 2)
        return torch.cat([torch.zeros(len(x), 1, 6), patches], dim=1)


class ChannelsLast(Convolutions):
    """Gives N×h×w×C."""

    output_fmt = "NHWC"

    def __init__(self, img_size: int, strict_img_size: bool) -> None:
        super().__init__()
        self.size = img_size

    def forward_features(self, x: Tensor) -> Tensor:
        return super().forward_features(x).permute(0, 2, 3, 1)


class Flat(Convolutions):
    """Gives no map at all."""

    def forward_features(self, x: Tensor) -> Tensor:
        return super().forward_features(x).mean(dim=(2, 3))


KINDS: dict[str, type[Convolutions]] = {
    "convolutions": Convolutions,
    "tokens": Tokens,
    "channels_last": ChannelsLast,
    "flat": Flat,
}


@pytest.fixture(autouse=True)
def fake_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of timm: four networks, one of them with public weights, all ones."""

    def create_model(
        name: str,
        num_classes: int,
        global_pool: str,
        pretrained: bool = False,
        pretrained_cfg_overlay: Any = None,
        **sized: Any,
    ) -> nn.Module:
        model = KINDS[name](**sized)
        if pretrained:
            if pretrained_cfg_overlay is None:
                raise RuntimeError("nothing to download")
            nn.init.ones_(model.stem.weight)
        return model

    def get_pretrained_cfg(name: str, allow_unregistered: bool) -> SimpleNamespace | None:
        assert allow_unregistered
        cfg = SimpleNamespace(mean=(0.5,) * 3, std=(0.25,) * 3, tag="in1k", license="apache-2.0")
        return cfg if name == "tokens" else None

    module = ModuleType("timm")
    given = {"create_model": create_model, "get_pretrained_cfg": get_pretrained_cfg, "is_model": KINDS.__contains__}
    for name, value in ({"__version__": "0"} | given).items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "timm", module)
    safetensors = ModuleType("safetensors")
    safetensors.SafetensorError = type("SafetensorError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "safetensors", safetensors)


@pytest.mark.parametrize("name", ["convolutions", "tokens", "channels_last"])
def test_every_kind_gives_the_same_map(name: str) -> None:
    """Convolutions, tokens in their grid without the class token, and channels last are one N×C×h×w."""
    trunk = timm_trunk(name, 32)
    x = torch.rand(2, 3, 32, 48 if name != "tokens" else 32)
    with torch.no_grad():
        torch.testing.assert_close(trunk(x), Convolutions.forward_features(trunk.model, x))
    assert trunk.channels == 6
    assert getattr(trunk.model, "size", 32) == 32


def test_the_last_blocks_are_counted_one_by_one() -> None:
    """A stage's blocks are parts of their own; what holds no weights is none."""
    network = new_network("timm:convolutions", 2)
    assert freeze(network, "last:1") == (network.trunk.model.blocks[2],)
    assert len(freeze(network, "last:9")) == 3


def test_no_map_and_no_network_are_errors() -> None:
    """What has no feature map, and what timm has not, can't be a trunk."""
    with pytest.raises(ConfigError, match="gives no feature map"):
        timm_trunk("flat", 32)
    with pytest.raises(ConfigError, match="has no network"):
        timm_trunk("other", 32)


def test_the_input_is_as_the_public_weights_take_it() -> None:
    """Mean and standard deviation are timm's for the network, or ImageNet's where it states none."""
    assert normalisation("tokens") == ((0.5,) * 3, (0.25,) * 3)
    spec = input_spec("timm:convolutions")
    assert (spec.height, spec.scale, spec.mean) == (INPUT_SIZE, 1.0, (0.485, 0.456, 0.406))


def test_public_weights_are_loaded_and_named(tmp_path: Path) -> None:
    """From a file they fill the trunk; where there is nothing, the error says what may be given. Both are told."""
    config = NetworkConfig("timm:tokens", ("Edema",), initial="timm", initial_path=tmp_path)
    assert (build_network(config, torch.zeros(0)).trunk.model.stem.weight == 1).all()
    with pytest.raises(ConfigError, match=r"network\.initial_path"):
        build_network(NetworkConfig("timm:tokens", ("Edema",), initial="timm"), torch.zeros(0))
    assert public_weights("tokens", None) == "public weights of timm's tokens.in1k (apache-2.0)"
    assert public_weights("convolutions", None) == "public weights of timm's convolutions (licence not stated)"
    assert public_weights("tokens", tmp_path) == "public weights of timm's tokens, from a file"


def test_timm_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without timm the message says how to get it."""
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"hilum\[train,timm\]"):
        new_network("timm:resnet18", 2)
