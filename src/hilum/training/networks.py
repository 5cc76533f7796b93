"""The networks, in Keras's exact topology and padding, so that weights travel to and from Keras files.

Each is a trunk that ends in its last feature map, then global average pooling and a small dense head. ``forward``
returns logits N×K; ``features`` returns the feature map N×C×h×w that heat maps are made from. Inputs are N×3×H×W
with even H and W, since TensorFlow's SAME padding of a stride-2 convolution depends on it.

Sources: DenseNet (Huang et al. 2017), MobileNetV2 (Sandler et al. 2018), EfficientNet-Lite (Tan and Le 2019, and
the TensorFlow TPU repository's lite variants: no squeeze-and-excitation, ReLU6).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

# Keras's own batch norm constants, which differ from torch's.
DENSENET_EPSILON = 1.001e-5
MOBILENET_EPSILON = 1e-3
TORCH_EPSILON = 1e-5
DENSENET121_BLOCKS = (6, 12, 24, 16)


class SamePad(nn.Module):
    """TensorFlow's SAME padding in front of a stride-2 convolution on an even-sized map: less before, more after."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        total = kernel - 2
        self.pad = (total // 2, total - total // 2, total // 2, total - total // 2)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.pad)


class Head(nn.Module):
    """Global average pooling → Dense(hidden, ReLU) → Dropout → Dense(outputs): feature map N×C×h×w to logits N×K."""

    def __init__(self, channels: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(channels, hidden)
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(hidden, outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.from_pooled(self.pool(features).flatten(1))

    def from_pooled(self, pooled: Tensor) -> Tensor:
        """Return logits N×K for feature maps that are averaged already, N×C."""
        logits: Tensor = self.logits(self.dropout(functional.relu(self.hidden(pooled))))
        return logits


class LinearHead(nn.Module):
    """Global average pooling → Dense(outputs): feature map N×C×h×w to logits N×K, as torchvision's classifiers end."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.logits = nn.Linear(channels, outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.from_pooled(self.pool(features).flatten(1))

    def from_pooled(self, pooled: Tensor) -> Tensor:
        """Return logits N×K for feature maps that are averaged already, N×C."""
        logits: Tensor = self.logits(pooled)
        return logits


class Network(nn.Module):
    """A trunk (image N×3×H×W → feature map N×C×h×w) with its head."""

    def __init__(self, trunk: nn.Module, head: Head | LinearHead) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.trunk(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


# --- DenseNet121 ---------------------------------------------------------------------------------------------------


class DenseLayer(nn.Module):
    """BN-ReLU-1×1-BN-ReLU-3×3; its 32 new maps are appended to what came in."""

    def __init__(self, channels: int, epsilon: float = DENSENET_EPSILON, growth: int = 32) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels, eps=epsilon)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth, eps=epsilon)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(functional.relu(self.norm1(x)))
        new = self.conv2(functional.relu(self.norm2(new)))
        return torch.cat([x, new], 1)


def _transition(channels: int, epsilon: float) -> list[nn.Module]:
    return [
        nn.BatchNorm2d(channels, eps=epsilon),
        nn.ReLU(),
        nn.Conv2d(channels, channels // 2, 1, bias=False),
        nn.AvgPool2d(2),
    ]


def _densenet121_trunk(channels: int, epsilon: float) -> nn.Sequential:
    """Return the trunk for inputs of so many channels; its last feature map has 1024."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64, eps=epsilon),
        nn.ReLU(),
        # Keras pads with zeros before the pooling; after a ReLU that equals torch's padding with minus infinity.
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    channels = 64
    for block, depth in enumerate(DENSENET121_BLOCKS):
        if block:
            layers += _transition(channels, epsilon)
            channels //= 2
        for _ in range(depth):
            layers.append(DenseLayer(channels, epsilon))
            channels += 32
    layers += [nn.BatchNorm2d(channels, eps=epsilon), nn.ReLU()]
    return nn.Sequential(*layers)


def densenet121(outputs: int) -> Network:
    """DenseNet121 → pooling → Dense(512, ReLU) → Dropout 0.5 → logits."""
    return Network(_densenet121_trunk(3, DENSENET_EPSILON), Head(1024, 512, outputs, 0.5))


def torchxrayvision_densenet121(outputs: int) -> Network:
    """DenseNet121 for films of one channel → pooling → logits, with torch's batch norm constant: torchxrayvision's own."""
    return Network(_densenet121_trunk(1, TORCH_EPSILON), LinearHead(1024, outputs))


# --- inverted residuals: MobileNetV2 and EfficientNet-Lite ---------------------------------------------------------


def conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu6: bool = True
) -> nn.Sequential:
    """Convolution without bias, batch norm, and ReLU6 unless ``relu6`` is false."""
    layers: list[nn.Module] = [SamePad(kernel)] if stride == 2 else []
    padding = 0 if stride == 2 else kernel // 2
    layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False))
    layers.append(nn.BatchNorm2d(outputs, eps=MOBILENET_EPSILON))
    if relu6:
        layers.append(nn.ReLU6())
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand 1×1, filter k×k by channel, project 1×1; added to what came in where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = [conv_norm(inputs, wide, 1)] if expansion != 1 else []
        self.body = nn.Sequential(
            *expand,
            conv_norm(wide, wide, kernel, stride, groups=wide),
            conv_norm(wide, outputs, 1, relu6=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


Stage = tuple[int, int, int, int, int]
"""Kernel, stride of the first block, expansion, output channels, number of blocks."""

MOBILENETV2_STAGES: tuple[Stage, ...] = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (3, 2, 6, 32, 3),
    (3, 2, 6, 64, 4),
    (3, 1, 6, 96, 3),
    (3, 2, 6, 160, 3),
    (3, 1, 6, 320, 1),
)
EFFICIENTNET_LITE0_STAGES: tuple[Stage, ...] = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# A tenth wider and a fifth deeper; its first and last stage keep one block.
EFFICIENTNET_LITE2_STAGES: tuple[Stage, ...] = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 3),
    (5, 2, 6, 48, 3),
    (3, 2, 6, 88, 4),
    (5, 1, 6, 120, 4),
    (5, 2, 6, 208, 5),
    (3, 1, 6, 352, 1),
)


def _inverted_residual_trunk(stages: tuple[Stage, ...]) -> nn.Sequential:
    layers: list[nn.Module] = [conv_norm(3, 32, 3, 2)]
    channels = 32
    for kernel, first_stride, expansion, outputs, blocks in stages:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            layers.append(InvertedResidual(channels, outputs, kernel, stride, expansion))
            channels = outputs
    layers.append(conv_norm(channels, 1280, 1))
    return nn.Sequential(*layers)


def mobilenetv2(outputs: int) -> Network:
    """MobileNetV2 1.0 → pooling → Dense(256, ReLU) → Dropout 0.4 → logits."""
    return Network(_inverted_residual_trunk(MOBILENETV2_STAGES), Head(1280, 256, outputs, 0.4))


def hilum_cnn(outputs: int) -> Network:
    """Our small network: EfficientNet-Lite0's trunk (0.4 GMAC at 224×224) → pooling → Dense(128, ReLU) → logits."""
    return Network(_inverted_residual_trunk(EFFICIENTNET_LITE0_STAGES), Head(1280, 128, outputs, 0.3))


def efficientnet_lite0(outputs: int) -> Network:
    """EfficientNet-Lite0 → pooling → Dense(256, ReLU) → Dropout 0.4 → logits."""
    return Network(_inverted_residual_trunk(EFFICIENTNET_LITE0_STAGES), Head(1280, 256, outputs, 0.4))


def efficientnet_lite2(outputs: int) -> Network:
    """EfficientNet-Lite2 → pooling → Dense(256, ReLU) → Dropout 0.4 → logits: a fourth member, for all findings."""
    return Network(_inverted_residual_trunk(EFFICIENTNET_LITE2_STAGES), Head(1280, 256, outputs, 0.4))


BUILDERS: dict[str, Callable[[int], Network]] = {
    "DenseNet121": densenet121,
    "MobileNetV2": mobilenetv2,
    "HilumCNN": hilum_cnn,
    "EfficientNet-Lite0": efficientnet_lite0,
    "EfficientNet-Lite2": efficientnet_lite2,
}

ALL_BUILDERS: dict[str, Callable[[int], Network]] = {
    build.__name__: build for build in (*BUILDERS.values(), torchxrayvision_densenet121)
}
"""By the function's own name, which a file of weights can state: those above, and what comes from elsewhere."""
