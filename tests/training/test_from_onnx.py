"""A graph back into a whole network."""

from __future__ import annotations

import pytest
import torch

from hilum.errors import Incompatible
from hilum.graph import with_float16_weights
from hilum.training.from_onnx import network_from_graph
from hilum.training.networks import ALL_BUILDERS
from hilum.training.to_onnx import network_to_onnx
from settled import pictures, settle
from tiny import tiny_graph


@pytest.mark.parametrize("name", sorted(ALL_BUILDERS))
def test_trunk_and_head_come_back(name: str) -> None:
    """The builder is found by the graph's own shapes, and the network gives the first one's logits."""
    torch.manual_seed(0)
    channels = 1 if name.startswith("torchxrayvision") else 3
    network = settle(ALL_BUILDERS[name](4), pictures(8, channels, 64))
    found, read = network_from_graph(network_to_onnx(network, 4, 64))
    assert found == name
    x = torch.from_numpy(pictures(3, channels, 64, 1))
    with torch.no_grad():
        torch.testing.assert_close(read(x), network(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "model", [tiny_graph(3), tiny_graph(3, pooled=False), with_float16_weights(tiny_graph(3, hidden=80))]
)
def test_another_graph_is_refused(model: bytes) -> None:
    """A network that is none of ours has no builder."""
    with pytest.raises(Incompatible, match="none of the networks"):
        network_from_graph(model)
