"""A network's name as its builder and its input: what training, export and serving agree on."""

from __future__ import annotations

from hilum.records import InputSpec
from hilum.training.networks import BUILDERS, Head, Network
from hilum.training.timm_trunk import TIMM, normalisation, timm_trunk

INPUT_SIZE = 224
SCALING = {
    # As each architecture's public weights take it: -1 to 1, and EfficientNet-Lite's (x - 127) / 128.
    "DenseNet121": (255.0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "MobileNetV2": (255.0, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "HilumCNN": (255.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    "EfficientNet-Lite0": (255.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    "EfficientNet-Lite2": (255.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
}


def input_spec(architecture: str, size: int = INPUT_SIZE) -> InputSpec:
    """Return what a network of this architecture takes."""
    if architecture.startswith(TIMM):
        return InputSpec(size, size, 3, 1.0, *normalisation(architecture.removeprefix(TIMM)))
    scale, mean, std = SCALING[architecture]
    return InputSpec(size, size, 3, scale, mean, std)


def new_network(architecture: str, outputs: int) -> Network:
    """Return a network of this architecture with weights that nothing was trained on yet.

    A timm network's head is global average pooling → Dense(256, ReLU) → Dropout 0.4 → logits, whatever its own was. Raises
    ``ConfigError`` where timm or the network is missing.
    """
    if architecture.startswith(TIMM):
        trunk = timm_trunk(architecture.removeprefix(TIMM), INPUT_SIZE)
        return Network(trunk, Head(trunk.channels, 256, outputs, 0.4))
    return BUILDERS[architecture](outputs)
