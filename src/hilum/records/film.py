"""What one film is, what it looks like, and why it may be refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Action = Literal["refuse", "warn", "ignore"]
"""What the gate does about a reason."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a film was refused or warned about."""

    code: str
    message: str
    action: Action = "refuse"
    """``refuse`` or ``warn``; what the gate ignores is not kept."""
    basis: Literal["pixels", "header"] = "pixels"
    """What says so: the picture itself, or the file's header. One code may have both."""


@dataclass(frozen=True, slots=True)
class ScopePolicy:
    """What is done about a film that is, by its code, outside of what the networks learnt. Each field is a reason's code."""

    wrong_modality: Action = "refuse"
    not_chest: Action = "refuse"
    lateral_view: Action = "refuse"
    paediatric: Action = "refuse"
    for_processing: Action = "refuse"
    not_a_radiograph: Action = "refuse"
    out_of_distribution: Action = "refuse"
    several_images: Action = "refuse"
    cropped: Action = "warn"
    blurred: Action = "refuse"
    underexposed: Action = "refuse"
    overexposed: Action = "refuse"
    photographed: Action = "refuse"
    annotated: Action = "warn"


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """What tells a chest radiograph from other pictures, by one member's pooled features (C). Part of that member's bundle."""

    kinds: tuple[str, ...]
    """``film``, and what else there is."""
    mean: Array
    scale: Array
    """(C,) each: features are standardised by them first."""
    weight: Array
    bias: Array
    """C×K and (K,): logits of the kinds."""
    basis: Array
    """C×D: principal directions of radiographs."""
    spread: Array
    """(D,): standard deviation of radiographs along each."""
    film_limit: float
    """0–1: a picture is a film if that kind's share reaches it."""
    distance_limit: float
    """Squared distance, mean over the directions, that radiographs stay below."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture looks like."""

    kind: str
    """The likeliest kind that is no film."""
    share: float
    """Its share, 0–1."""
    film: float
    """The share of ``film``, 0–1."""
    distance: float
    """From the radiographs that the gate learnt; above 1 lies beyond them."""
    film_limit: float
    detail: float = 0.0
    """Fine structure beside coarse: log10 of the ratio of their spectral densities; falls where a film is blurred."""

    @property
    def is_film(self) -> bool:
        return self.film >= self.film_limit


@dataclass(frozen=True, slots=True)
class Source:
    """What a radiograph was read from. Holds no patient data: no file name, no header text but coded values."""

    format: str
    """``PNG``, ``JPEG``, ``TIFF``, ``BMP``, ``WebP`` or ``DICOM``."""
    width: int
    height: int
    bits: int
    """Bits stored per sample."""
    sha256: str
    """Hex digest of the bytes as given."""
    photometric_interpretation: str | None = None
    """As stored (DICOM terms), before any inversion."""
    projection: str | None = None
    """DICOM View Position (``PA``, ``AP``, ``LL`` …) where the header says it."""
    notes: tuple[str, ...] = ()
    """What was done on the way in, in words for the reader: first of several frames, polarity inverted, turned by EXIF."""


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One film: float32, H×W, 0–1, bright = dense."""

    pixels: Array
    source: Source
    chroma: float = 0.0
    """Mean of (max − min over R, G, B), 0–1: 0 for a grey image, above about 0.05 for a colour photograph."""
    stated: tuple[Reason, ...] = ()
    """What the file's header says against reading it. The gate decides what is done about that."""
