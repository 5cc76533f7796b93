"""A bundle's graph back into a trunk or a whole network of ours: what ``to_onnx`` wrote, read in the same order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from hilum.errors import ConfigError, Incompatible
from hilum.graph import layer_weights, read_head
from hilum.records import Array
from hilum.training.networks import ALL_BUILDERS, DenseLayer, LinearHead, Network

CONVOLUTION, NORM = "Conv", "BatchNormalization"


@torch.no_grad()
def network_from_graph(model: bytes) -> tuple[str, Network]:
    """Return the name of the builder in ``networks`` that makes this graph's network, and the network with its weights.

    Raises ``Incompatible`` where the graph is of no network of ours.
    """
    head = read_head(model)
    given = () if head is None else head.layers
    shapes = tuple(weight.shape for weight, _ in given)
    for name, build in ALL_BUILDERS.items() if shapes else ():
        network = build(shapes[-1][1])
        dense = (
            [network.head.logits]
            if isinstance(network.head, LinearHead)
            else [network.head.hidden, network.head.logits]
        )
        if shapes != tuple((layer.in_features, layer.out_features) for layer in dense) or not _fits(
            network.trunk, model
        ):
            continue
        load_graph(network.trunk, model)
        for layer, (weight, bias) in zip(dense, given, strict=True):
            layer.weight.copy_(torch.tensor(weight.T.copy()))
            layer.bias.copy_(torch.tensor(bias))
        return name, network.eval()
    raise Incompatible(
        f"The graph is of none of the networks {', '.join(ALL_BUILDERS)}. Export it as ONNX instead, which takes every network."
    )


def _fits(trunk: nn.Module, model: bytes) -> bool:
    """Say whether a graph's convolutions and batch norms are the trunk's, one by one."""
    layers = layer_weights(model, (CONVOLUTION, NORM))
    return [(operator, values[0].shape) for operator, values in layers] == [_described(one) for one, _ in _parts(trunk)]


@torch.no_grad()
def load_graph(trunk: nn.Module, model: bytes) -> None:
    """Copy the convolutions and batch norms of an ONNX graph of the same architecture into the trunk.

    A batch norm that was folded into a convolution becomes one that only shifts; ``estimate_norms`` then gives it statistics.
    Raises ``ConfigError`` if the graph is of another architecture.
    """
    layers, parts = layer_weights(model, (CONVOLUTION, NORM)), list(_parts(trunk))
    if not _fits(trunk, model):
        raise ConfigError("The bundle that network.initial_path names has another trunk than the architecture.")
    for (_, values), (first, folded) in zip(layers, parts, strict=True):
        if isinstance(first, nn.BatchNorm2d):
            scale_and_shift(first, values[0], values[1])
            continue
        first.weight.copy_(torch.tensor(values[0]))
        if folded is not None:
            scale_and_shift(folded, np.ones_like(values[1]), values[1])


def _described(layer: nn.Conv2d | nn.BatchNorm2d) -> tuple[str, tuple[int, ...]]:
    return NORM if isinstance(layer, nn.BatchNorm2d) else CONVOLUTION, tuple(layer.weight.shape)


def scale_and_shift(norm: nn.BatchNorm2d, scale: Array, shift: Array) -> None:
    """Make a batch norm compute ``scale * x + shift``, both by channel."""
    norm.running_mean, norm.running_var = torch.zeros(len(shift)), torch.full((len(shift),), 1 - norm.eps)
    norm.weight.copy_(torch.tensor(scale))
    norm.bias.copy_(torch.tensor(shift))


def _parts(trunk: nn.Module) -> Iterator[tuple[nn.Conv2d | nn.BatchNorm2d, nn.BatchNorm2d | None]]:
    """Yield each convolution with the batch norm folded into it, and batch norms that stand alone, in the graph's order."""
    leaves = list(_leaves(trunk))
    while leaves:
        first = leaves.pop(0)
        if isinstance(first, nn.BatchNorm2d):
            yield first, None
        elif isinstance(first, nn.Conv2d):
            behind = leaves[0] if leaves else None
            yield first, behind if isinstance(behind, nn.BatchNorm2d) else None
            if isinstance(behind, nn.BatchNorm2d):
                leaves.pop(0)


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the leaves in the order of the forward pass."""
    if isinstance(module, DenseLayer):
        relu = nn.ReLU()
        # What came in is appended behind the last convolution, so no batch norm of the next layer is folded into it.
        yield from (module.norm1, relu, module.conv1, module.norm2, relu, module.conv2, nn.Identity())
    elif children := list(module.children()):
        for child in children:
            yield from _leaves(child)
    else:
        yield module
