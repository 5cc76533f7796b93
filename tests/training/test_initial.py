"""Where weights start: an earlier training and a finished member give back what they had learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hilum.errors import ConfigError
from hilum.graph import with_float16_weights
from hilum.training.config import NetworkConfig
from hilum.training.from_onnx import load_graph
from hilum.training.initial import build_network, estimate_norms
from hilum.training.networks import BUILDERS, densenet121, mobilenetv2
from hilum.training.to_onnx import network_to_onnx


def seeded(architecture: str) -> nn.Module:
    """A network whose batch norms have statistics of their own."""
    torch.manual_seed(7)
    network = BUILDERS[architecture](3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return network.eval()


@pytest.mark.parametrize("architecture", sorted(BUILDERS))
def test_a_graph_goes_back_into_a_trunk(architecture: str) -> None:
    """The trunk read from the graph gives the feature map of the one written, before and after its norms got statistics."""
    written, read = seeded(architecture), BUILDERS[architecture](5).eval()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    load_graph(read.trunk, network_to_onnx(written, 3, 64))
    with torch.no_grad():
        expected = written.features(x)
        torch.testing.assert_close(read.features(x), expected, rtol=1e-3, atol=1e-4)
        estimate_norms(read.trunk, x)
        torch.testing.assert_close(read.features(x), expected, rtol=1e-3, atol=1e-4)
    norm = next(m for m in read.trunk.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.running_mean.abs().max() > 0


def test_float16_weights_are_read() -> None:
    """Weights stored in half the space come back as float32."""
    read = mobilenetv2(3)
    load_graph(read.trunk, with_float16_weights(network_to_onnx(seeded("MobileNetV2"), 3, 64)))
    assert next(read.parameters()).dtype == torch.float32


def test_another_architecture_is_refused() -> None:
    """A graph of another trunk is a ConfigError, not a trunk of half its weights."""
    with pytest.raises(ConfigError, match="another trunk"):
        load_graph(densenet121(3).trunk, network_to_onnx(seeded("MobileNetV2"), 3, 64))


@pytest.mark.parametrize("initial", ["mobilenetv2-tflite", "run", "bundle"])
def test_a_missing_path_is_said(initial: str) -> None:
    """A start that needs a path and has none is a ConfigError that names the key."""
    config = NetworkConfig("MobileNetV2", ("Edema",), initial=initial)
    with pytest.raises(ConfigError, match=r"network\.initial_path is missing"):
        build_network(config, torch.zeros(1, 3, 64, 64))


def test_a_folder_without_a_training_is_said(tmp_path: Path) -> None:
    """A run that is not there is a ConfigError."""
    config = NetworkConfig("MobileNetV2", ("Edema",), initial="run", initial_path=tmp_path)
    with pytest.raises(ConfigError, match="no training"):
        build_network(config, torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("initial", "architecture"),
    [
        ("efficientnet-lite0", "EfficientNet-Lite0"),
        ("efficientnet-lite0", "HilumCNN"),
        ("efficientnet-lite2", "EfficientNet-Lite2"),
    ],
)
def test_public_weights_come_with_their_statistics(initial: Any, architecture: str) -> None:
    """ImageNet's weights fill the whole trunk: no batch norm is left as it was made."""
    network = build_network(NetworkConfig(architecture, ("Edema",), initial=initial), torch.zeros(1, 3, 64, 64))
    norms = [module for module in network.trunk.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        assert norm.running_mean is not None
        assert norm.running_mean.abs().max() > 0
        assert not torch.equal(norm.weight, torch.ones_like(norm.weight))


def test_public_weights_of_another_architecture_are_refused() -> None:
    """A wider network's weights don't fit, and the message says which were asked for."""
    wrong = NetworkConfig("EfficientNet-Lite0", ("Edema",), initial="efficientnet-lite2")
    with pytest.raises(ConfigError, match="efficientnet-lite2"):
        build_network(wrong, torch.zeros(1, 3, 64, 64))
