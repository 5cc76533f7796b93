"""Where a network looked: exact Grad-CAM from the last feature map and the head, without a second run.

The head pools the feature map globally, so the gradient of a logit with respect to the map is the same at every
position and needs only the head's own backward pass (Selvaraju et al. 2017; Zhou et al. 2016 for one layer).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hilum.graph import Head
from hilum.normalise import Box, field_of_view, resample
from hilum.records import Array, Heatmap, InputSpec, Manifest, MapCheck, Scored, Withheld

Mask = npt.NDArray[np.bool_]

BODY = 64
"""Cells on each side of a film of the grid on which its body is told from the air around."""
DARK = 0.12
"""A film's air is as dark as this share of its range, from its darkest hundredth to its brightest twentieth."""
MOST_OFF_BODY = 0.5
"""Share of a map outside the body above which it is not shown."""
MOST_ALIKE = 0.5
"""Rank correlation with a shuffled network's maps above which a map says more about the picture than about the network."""


def class_activation(features: Array, head: Head) -> Array:
    """Return Grad-CAM for all logits, K×h×w, ≥ 0, unscaled, from a feature map C×h×w."""
    return np.maximum(signed_activation(features, head), 0)


def signed_activation(features: Array, head: Head) -> Array:
    """Return what each cell adds to each logit, K×h×w, to first order: Grad-CAM before its negative parts are cut off."""
    channels, rows, columns = features.shape
    gradient = _gradient(features.mean(axis=(1, 2)), head) / (rows * columns)
    return np.asarray((gradient @ features.reshape(channels, -1)).reshape(-1, rows, columns))


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


def heatmaps(
    name: str, scored: Scored, head: Head, manifest: Manifest, inside: Mask, width: int, height: int
) -> tuple[tuple[Heatmap, ...], tuple[Withheld, ...]]:
    """Return each assessed output's heat map, scaled to 0–1, on a film of ``width`` × ``height`` pixels, and those withheld.

    ``name``: the member's. ``inside``: the film's ``body``. A logit that nothing in the film speaks for has a map of zeros.
    Withheld is what failed its check, and what lies mostly outside the body.
    """
    if scored.features is None:
        return (), ()
    box = field_of_view(width, height, manifest.input)
    maps = class_activation(scored.features, head)
    peaks = maps.max(axis=(1, 2), keepdims=True)
    scaled = np.divide(maps, peaks, out=np.zeros_like(maps), where=peaks > 0)
    outside = off_body(scaled, inside, box, width, height)
    shown, withheld = [], []
    for output, values, share in zip(manifest.outputs, scaled, outside.tolist(), strict=True):
        if not output.assessed:
            continue
        reason = untrusted(output.map_check)
        if reason is None and share > MOST_OFF_BODY:
            reason = f"{share:.0%} of it lies outside the body"
        if reason is None:
            boxes = None if output.map_check is None else output.map_check.boxes
            shown.append(Heatmap(output.name, name, values, box, None if boxes is None else boxes.value))
        else:
            withheld.append(Withheld(output.name, name, reason))
    return tuple(shown), tuple(withheld)


def untrusted(check: MapCheck | None) -> str | None:
    """Return why an output's maps are not shown, or None if nothing speaks against them."""
    if check is None:
        return None
    if check.occlusion.low <= 0:
        return (
            "its maps do not agree with what covering parts of a film changes "
            f"(rank correlation {check.occlusion.value:.2f}, {check.occlusion.low:.2f} to {check.occlusion.high:.2f})"
        )
    if check.randomised.high >= MOST_ALIKE:
        return (
            "its maps hardly change when the network's weights are shuffled "
            f"(rank correlation {check.randomised.value:.2f}, {check.randomised.low:.2f} to {check.randomised.high:.2f})"
        )
    if check.boxes is not None and check.boxes.high < 0:
        return (
            "it is brightest inside readers' boxes less often than one fixed point is "
            f"({100 * check.boxes.value:+.0f} points, {100 * check.boxes.low:+.0f} to {100 * check.boxes.high:+.0f})"
        )
    return None


def body(pixels: Array) -> Mask:
    """Return BODY × BODY over a film H×W, 0–1, bright = dense: False where air or collimation around the body begins at an edge.

    What is dark and hangs together with the film's edge is outside; lungs are dark too, but lie inside.
    """
    every = max(1, min(pixels.shape) // (4 * BODY))  # air and body are large: most pixels of a large film say the same
    small = resample(pixels[::every, ::every], InputSpec(BODY, BODY, 1, 1.0, (0.0,), (1.0,)))
    low, high = np.percentile(small, [1, 95])
    dark = small < low + DARK * (high - low)
    outside = dark.copy()
    outside[1:-1, 1:-1] = False
    while True:
        grown = outside.copy()
        grown[1:] |= outside[:-1]
        grown[:-1] |= outside[1:]
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown &= dark
        if (grown == outside).all():
            return np.asarray(~outside)
        outside = grown


def off_body(maps: Array, inside: Mask, box: Box, width: int, height: int) -> Array:
    """Return (K,): the share of each map (K×h×w, over ``box`` in film pixels) that lies outside the body; 0 for an empty map."""
    x, y, w, h = box
    rows, columns = maps.shape[1:]
    across = np.floor(((np.arange(BODY) + 0.5) / BODY * width - x) / w * columns).astype(int)
    down = np.floor(((np.arange(BODY) + 0.5) / BODY * height - y) / h * rows).astype(int)
    seen = np.outer((down >= 0) & (down < rows), (across >= 0) & (across < columns))
    cells = np.add.outer(down * columns, across)
    # How many places each of the map's cells covers, and how many of them outside: far fewer numbers than the maps spread out.
    covers, covers_air = (np.bincount(cells[chosen], minlength=rows * columns) for chosen in (seen, seen & ~inside))
    flat = maps.reshape(len(maps), -1)
    whole = flat @ covers
    return np.asarray(np.divide(flat @ covers_air, whole, out=np.zeros_like(whole), where=whole > 0))
