"""What is kept of a film: a few numbers about the picture and the answer, none about the patient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from hilum.normalise import resample
from hilum.records import Analysis, Array, InputSpec, Provenance, Radiograph

GRID = InputSpec(256, 256, 1, 1.0, (0.0,), (1.0,))
"""What a film is brought to before it is measured, so that the figures do not hang on the detector's pixels."""
DIGITS = 4
"""Significant digits that are kept: enough to see a shift, fewer than would tell a film."""
CONFIDENCE = "confidence "
"""What the name of a finding's statistic begins with."""
PICTURE = ("brightness", "contrast", "sharpness", "aspect")
GATE = ("refused", "film_share", "distance")
SPREAD = "spread"


def measure(image: Radiograph, analysis: Analysis) -> dict[str, float]:
    """Return a film's statistics by name; one that it does not have, such as a refused film's confidences, is left out."""
    look = analysis.look
    found = _picture(image.pixels) | {"refused": 0.0 if analysis.verdict.accepted else 1.0}
    if look is not None:
        found |= {"film_share": look.film, "distance": look.distance}
    spreads = [finding.spread for finding in analysis.findings if finding.spread is not None]
    if spreads:
        found[SPREAD] = float(np.mean(spreads))
    found |= {f"{CONFIDENCE}{finding.name}": finding.confidence for finding in analysis.findings}
    return {name: float(f"{value:.{DIGITS}g}") for name, value in found.items()}


def _picture(pixels: Array) -> dict[str, float]:
    rows, columns = pixels.shape
    grid = resample(pixels, GRID).astype(np.float64)
    contrast = float(grid.std())
    inner = grid[1:-1, 1:-1]
    edges = grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:] - 4 * inner
    return {
        "brightness": float(grid.mean()),
        "contrast": contrast,
        # The Laplacian's size beside the contrast: gain and offset leave it as it is.
        "sharpness": float(edges.std()) / contrast if contrast > 0 else 0.0,
        "aspect": columns / rows,
    }


def names_of(findings: Iterable[str], spread: bool = True) -> tuple[str, ...]:
    """Return the names of all statistics, in their order, where these findings are assessed."""
    return (*PICTURE, *GATE, *((SPREAD,) if spread else ()), *(f"{CONFIDENCE}{name}" for name in findings))


def members_of(provenance: Provenance) -> dict[str, str]:
    """Return bundle id → sha256 of its manifest, of every member that was open."""
    return {model.bundle: model.sha256 for model in provenance.models}


def weights_of(members: Mapping[str, str]) -> str:
    """Return 12 digits that stand for exactly these members."""
    lines = "\n".join(f"{bundle} {digest}" for bundle, digest in sorted(members.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]
