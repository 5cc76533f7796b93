"""What Keras calls the layers of its own DenseNet121 and MobileNetV2, so that weights can be loaded into them by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DENSENET121_BLOCKS = (6, 12, 24, 16)
MOBILENETV2_BLOCKS = 16


@dataclass(frozen=True, slots=True)
class Style:
    """How an architecture of ours is written in Keras."""

    epsilon: float
    """Of its batch norms. Their statistics are 0 and 1 − epsilon, so that they only scale and shift."""
    dropout: float
    """Between the dense layers of its head; it counts in training alone."""
    names: tuple[str, ...] = ()
    """Of convolutions and batch norms, in the order of the forward pass; empty: numbered."""


def _densenet121() -> Iterator[str]:
    yield from ("conv1_conv", "conv1_bn")
    for block, depth in enumerate(DENSENET121_BLOCKS, start=2):
        for layer in range(1, depth + 1):
            yield from (f"conv{block}_block{layer}_{part}" for part in ("0_bn", "1_conv", "1_bn", "2_conv"))
        if block < len(DENSENET121_BLOCKS) + 1:
            yield from (f"pool{block}_bn", f"pool{block}_conv")
    yield "bn"


def _mobilenetv2() -> Iterator[str]:
    yield from ("Conv1", "bn_Conv1")
    for block in ["expanded_conv", *(f"block_{number}" for number in range(1, MOBILENETV2_BLOCKS + 1))]:
        parts = ("depthwise", "project") if block == "expanded_conv" else ("expand", "depthwise", "project")
        yield from (f"{block}_{part}{norm}" for part in parts for norm in ("", "_BN"))
    yield from ("Conv_1", "Conv_1_bn")


PLAIN = Style(1e-3, 0.0)
STYLES: Mapping[str, Style] = {
    "DenseNet121": Style(1.001e-5, 0.5, tuple(_densenet121())),
    "MobileNetV2": Style(1e-3, 0.4, tuple(_mobilenetv2())),
    "EfficientNet-Lite0": Style(1e-3, 0.4),
    "EfficientNet-Lite2": Style(1e-3, 0.4),
    "HilumCNN": Style(1e-3, 0.3),
}
"""By the manifest's architecture."""
