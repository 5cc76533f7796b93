"""In torchxrayvision's place: DenseNet121 under torchvision's names, written anew, and entries of that library's form."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from settled import pictures, settle

TARGETS = [
    "Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema", "Emphysema", "Fibrosis", "Effusion", "Pneumonia",
    "Pleural_Thickening", "Cardiomegaly", "Nodule", "Mass", "Hernia", "Lung Lesion", "Fracture", "Lung Opacity",
    "Enlarged Cardiomediastinum",
]  # fmt: skip
CHEXPERT = {
    "Atelectasis", "Consolidation", "Pneumothorax", "Edema", "Effusion", "Pneumonia", "Cardiomegaly", "Lung Lesion", "Fracture",
    "Lung Opacity", "Enlarged Cardiomediastinum",
}  # fmt: skip
NAN = float("nan")


def entry(trained: set[str]) -> dict[str, Any]:
    """Return an entry whose thresholds are 0.01, 0.02 … for what it learnt."""
    labels = [name if name in trained else "" for name in TARGETS]
    cuts = [0.01 * (index + 1) if label else NAN for index, label in enumerate(labels)]
    return {"labels": labels, "op_threshs": cuts, "input_resolution": 224}


ENTRIES = {
    "densenet121-res224-chex": entry(CHEXPERT),
    "densenet121-res224-mimic_ch": entry(CHEXPERT),
    "densenet121-res224-nih": entry(set(TARGETS[:14])),
    "densenet121-res224-pc": entry({*TARGETS[:14], "Fracture"}),
    "densenet121-res224-all": entry(set(TARGETS)),
}
model_urls: dict[str, dict[str, Any]] = {}


class DenseLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, 128, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(128), nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        new = self.conv2(functional.relu(self.norm2(self.conv1(functional.relu(self.norm1(x))))))
        return torch.cat([x, new], 1)


class DenseNet(nn.Module):
    targets = TARGETS

    def __init__(self, num_classes: int = 18, in_channels: int = 1) -> None:
        super().__init__()
        parts: list[tuple[str, nn.Module]] = [
            ("conv0", nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)),
            ("norm0", nn.BatchNorm2d(64)),
            ("relu0", nn.ReLU()),
            ("pool0", nn.MaxPool2d(3, 2, 1)),
        ]
        channels = 64
        for block, depth in enumerate((6, 12, 24, 16), start=1):
            layers = [(f"denselayer{n + 1}", DenseLayer(channels + 32 * n)) for n in range(depth)]
            parts.append((f"denseblock{block}", nn.Sequential(OrderedDict(layers))))
            channels += 32 * depth
            if block < 4:
                conv = nn.Conv2d(channels, channels // 2, 1, bias=False)
                steps = {"norm": nn.BatchNorm2d(channels), "relu": nn.ReLU(), "conv": conv, "pool": nn.AvgPool2d(2)}
                parts.append((f"transition{block}", nn.Sequential(OrderedDict(steps))))
                channels //= 2
        self.features = nn.Sequential(OrderedDict([*parts, ("norm5", nn.BatchNorm2d(channels))]))
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier(functional.relu(self.features(x)).mean((2, 3)))
        return logits


for kind in (DenseLayer, DenseNet):
    kind.__module__ = "torchxrayvision.models"  # as a saved network names them


def seeded(outputs: int) -> DenseNet:
    """Return a network with weights and batch norm statistics that are random but always the same."""
    torch.manual_seed(0)
    return unsettle(DenseNet(outputs))


def unsettle(network: Any) -> Any:
    """Give a network statistics as training might, for inputs of −1024 to 1024, so that it tells films apart."""
    return settle(network, 500 * pictures(8, 1, 96))


def saved(network: object, zipped: bool) -> bytes:
    """Return what ``torch.save`` writes, in the format of today or of 2020."""
    buffer = io.BytesIO()
    torch.save(network, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()
