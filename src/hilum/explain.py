"""Where a network looked: exact Grad-CAM from the last feature map and the head, without a second run.

The head pools the feature map globally, so the gradient of a logit with respect to the map is the same at every
position and needs only the head's own backward pass (Selvaraju et al. 2017; Zhou et al. 2016 for one layer).
"""

from __future__ import annotations

import numpy as np

from hilum.graph import Head
from hilum.normalise import field_of_view
from hilum.records import Array, Heatmap, Manifest, Scored


def class_activation(features: Array, head: Head) -> Array:
    """Return Grad-CAM for all logits, K×h×w, ≥ 0, unscaled, from a feature map C×h×w."""
    channels, rows, columns = features.shape
    gradient = _gradient(features.mean(axis=(1, 2)), head) / (rows * columns)
    maps = gradient @ features.reshape(channels, -1)
    return np.asarray(np.maximum(maps, 0).reshape(-1, rows, columns))


def _gradient(pooled: Array, head: Head) -> Array:
    """Return K×C: the derivative of each logit by each pooled feature (C,)."""
    active = []
    x = pooled
    for weight, bias in head.layers[:-1]:
        x = x @ weight + bias
        active.append(x > 0)
        x = np.maximum(x, 0)
    gradient: Array = head.layers[-1][0].T
    for (weight, _), mask in zip(reversed(head.layers[:-1]), reversed(active), strict=True):
        gradient = (gradient * mask) @ weight.T
    return gradient


def heatmaps(name: str, scored: Scored, head: Head, manifest: Manifest, width: int, height: int) -> tuple[Heatmap, ...]:
    """Return a heat map for every assessed output, each scaled to 0–1, on a film of ``width`` × ``height`` pixels.

    ``name``: the member's. A logit that nothing in the film speaks for has a map of zeros.
    """
    if scored.features is None:
        return ()
    box = field_of_view(width, height, manifest.input)
    maps = class_activation(scored.features, head)
    peaks = maps.max(axis=(1, 2), keepdims=True)
    scaled = np.divide(maps, peaks, out=np.zeros_like(maps), where=peaks > 0)
    return tuple(
        Heatmap(output.name, name, values, box)
        for output, values in zip(manifest.outputs, scaled, strict=True)
        if output.assessed
    )
