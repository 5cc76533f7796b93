"""Where readers drew a box round a finding, the network's map of that finding is taught to lie inside it.

Labels of a whole film never say where to look, and noisy ones teach shortcuts. The map is the one that people are shown
(Grad-CAM, see ``hilum.explain``), so that what is learnt here is what they see. Li et al. 2018, Thoracic Disease Identification
and Localization with Limited Supervision, CVPR, teach a network by films with and without boxes in the same spirit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from hilum.datasets.boxes import read_boxes
from hilum.datasets.films import Bytes
from hilum.datasets.table import Table
from hilum.errors import ConfigError
from hilum.evaluation.boxes import masks_of
from hilum.training.augment import move
from hilum.training.networks import Head, LinearHead, Network
from hilum.training.schedule import Indices

LEAST = 1e-6
"""Share of a map inside a box below which the loss no longer grows."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxMasks:
    """P pairs of a film and a finding that has boxes on it."""

    films: Indices
    """(P,) Row of the film in the training's table."""
    outputs: Indices
    """(P,) Number of the network's output."""
    masks: Bytes
    """(P, G, G): 1 inside a box, on a grid over the whole film."""

    def of(self, chosen: Indices, affine: Tensor) -> Drawn:
        """Return the pairs of a batch, moved as its films were by ``affine`` (N×2×3)."""
        rows, pairs = np.nonzero(chosen[:, np.newaxis] == self.films)
        place = torch.from_numpy(rows)
        masks = torch.from_numpy(self.masks[pairs]).float()
        return Drawn(place, torch.from_numpy(self.outputs[pairs]), move(masks, affine[place]) if len(pairs) else masks)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The pairs of one batch: place in the batch (P,), output (P,) and mask (P, G, G), 0–1."""

    films: Tensor
    outputs: Tensor
    masks: Tensor

    def to(self, device: torch.device) -> Drawn:
        return Drawn(self.films.to(device), self.outputs.to(device), self.masks.to(device))


class Mapped(nn.Module):
    """A network that gives its logits N×K and, beside them, the maps P×h×w of some films' findings."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, films: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(x)
        maps = activation(features[films].float(), outputs, self.network.head)
        return self.network.head(features), maps


def box_masks(path: Path, table: Table, outputs: tuple[str, ...]) -> BoxMasks:
    """Read the boxes of a table's films, for the findings among ``outputs``.

    Raises ``DatasetError`` for what is no table of boxes, ``ConfigError`` if it has no box of these films and findings.
    """
    masks = masks_of(read_boxes(path, table), lambda image: _size(table.root / image))
    row = {one.image: index for index, one in enumerate(table.rows)}
    pairs = [
        (row[image], outputs.index(finding), mask)
        for image, by_finding in masks.items()
        for finding, mask in by_finding.items()
        if finding in outputs and mask.any()
    ]
    if not pairs:
        raise ConfigError("The file that boxes.table names has no box of the training's films and findings.")
    films, found, grids = zip(*pairs, strict=True)
    return BoxMasks(np.array(films), np.array(found), np.stack(grids).astype(np.uint8))


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as film:
        return film.size


def activation(features: Tensor, outputs: Tensor, head: Head | LinearHead) -> Tensor:
    """Return the class activation of one output for each feature map P×C×h×w, P×h×w, before its negative parts are cut off.

    In autocast too it is computed as float32.
    """
    with torch.autocast(features.device.type, enabled=False):
        weight = head.logits.weight[outputs]
        if isinstance(head, Head):
            active = head.hidden(features.mean(dim=(2, 3))) > 0
            weight = (weight * active) @ head.hidden.weight
        return torch.einsum("pc,pchw->phw", weight, features)


def outside_loss(maps: Tensor, masks: Tensor) -> Tensor:
    """Return how far maps (P×h×w) lie outside their boxes' masks (P×G×G, 0–1): mean −log of the share inside, ≥ 0.

    The share is of the softmax over a map's positions; a position counts by how much of it the boxes cover, the best covered one
    of a film as inside. Pairs whose boxes have left the film count nothing.
    """
    covered = functional.adaptive_avg_pool2d(masks.unsqueeze(1), (maps.shape[1], maps.shape[2])).flatten(1)
    seen = covered.sum(dim=1) > 0
    if not seen.any():
        return maps.sum() * 0  # keeps the graph whole where several workers wait for each other's gradients
    covered = covered[seen] / covered[seen].amax(dim=1, keepdim=True)
    shares = functional.softmax(maps[seen].flatten(1), dim=1)
    return -torch.log((shares * covered).sum(dim=1).clamp(min=LEAST)).mean()
