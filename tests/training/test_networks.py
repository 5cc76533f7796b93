"""The networks: Keras's topology, and the same numbers as ONNX."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from hilum.training.networks import Network, densenet121, efficientnet_lite0, efficientnet_lite2, hilum_cnn, mobilenetv2
from hilum.training.to_onnx import network_to_onnx

Builder = Callable[[int], Network]
BUILDERS = [densenet121, mobilenetv2, hilum_cnn, efficientnet_lite0, efficientnet_lite2]


def seeded(build: Builder, outputs: int) -> Network:
    """A network with weights and batch norm statistics that are random but always the same."""
    torch.manual_seed(0)
    network = build(outputs)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize(
    ("build", "parameters"),
    # keras.applications with include_top=False: DenseNet121 7,037,504, of them 6,953,856 trainable; MobileNetV2 2,223,872.
    # EfficientNet-Lite0 and -Lite2 without their classifiers: by their published weights, which load tensor by tensor.
    [(densenet121, 6_953_856), (mobilenetv2, 2_223_872), (hilum_cnn, 3_371_008), (efficientnet_lite2, 4_811_072)],
)
def test_a_trunk_has_its_architectures_parameters(build: Builder, parameters: int) -> None:
    """The number of trainable weights is that of the published network."""
    assert sum(p.numel() for p in build(3).trunk.parameters()) == parameters


@pytest.mark.parametrize("build", BUILDERS)
def test_the_last_feature_map_is_a_thirty_second_of_the_input(build: Builder) -> None:
    """224 × 224 gives a map of 7 × 7, and logits of its head are the network's."""
    network = seeded(build, 5)
    with torch.no_grad():
        features = network.features(torch.rand(1, 3, 224, 224))
        assert features.shape[2:] == (7, 7)
        assert network.head(features).shape == (1, 5)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_onnx_graph_gives_the_networks_numbers(build: Builder) -> None:
    """Logits (the first of them only) and features agree to 1e-4, for any number of films."""
    network = seeded(build, 6)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(network_to_onnx(network, 4, 64), providers=["CPUExecutionProvider"])
    logits, features = session.run(["logits", "features"], {"input": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(features, network.features(x).numpy(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(logits, network(x).numpy()[:, :4], rtol=1e-4, atol=1e-4)


def test_the_graph_is_clean() -> None:
    """Batch norms behind convolutions are folded and paddings are inside them: only the operators of the network are left."""
    operators = {
        node.op_type for node in onnx.load_from_string(network_to_onnx(seeded(mobilenetv2, 3), 3, 64)).graph.node
    }
    assert operators == {"Conv", "Clip", "Add", "Identity", "GlobalAveragePool", "Flatten", "Gemm", "Relu"}


def test_a_module_without_onnx_counterpart_is_refused() -> None:
    """Nothing is left out in silence."""
    network = hilum_cnn(2)
    network.trunk.append(nn.Sigmoid())
    with pytest.raises(TypeError, match="Sigmoid"):
        network_to_onnx(network, 2, 64)
