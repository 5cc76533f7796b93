"""Do heat maps point at what readers boxed, and better than one point, or one map, that is the same for every film?

Pointing game (Zhang et al. 2016): is the map's brightest place inside a box? Energy (Wang et al. 2020): how much of the map is
inside? Findings have their places, so a fixed point in the middle of the chest hits most hearts. Each film's fixed
point and fixed map are the best for the boxes of all other patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.evaluation.bootstrap import REPLICATES, Floats, patient_draws, replicate, summarise
from hilum.evaluation.boxes import GRID
from hilum.evaluation.scoring import ENSEMBLE, Drawn
from hilum.findings import OUTPUTS
from hilum.records import Heatmap, Interval
from hilum.report.film import mean_map

LEAST_FILMS = 5
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pointing:
    """One finding's maps against its boxes, over the films of the evaluated patients that have one. Shares, 0–1."""

    films: int
    patients: int
    hits: Interval
    """Films whose map is brightest inside a box."""
    fixed_hits: Interval
    """The same for the best fixed point."""
    hits_gain: Interval
    """The difference, paired."""
    energy: Interval
    """Mean share of the map inside the boxes."""
    fixed_energy: Interval
    """The same for the best fixed map: of the model's maps of this finding, the one that fits other patients' boxes best."""
    energy_gain: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Boxed:
    """A film with boxes of one finding, by a patient who need not be among the evaluated ones."""

    image: Path
    patient: str
    mask: Mask


def localise(
    drawn: Mapping[Path, Drawn], boxed: Mapping[str, Sequence[Boxed]], replicates: int = REPLICATES
) -> dict[str, dict[str, Pointing]]:
    """Return member (or ``Ensemble``: the mean map that people are shown) → finding → figures.

    ``drawn``: the evaluated films' heat maps. ``boxed``: finding → every film with boxes of it. A finding with fewer than
    ``LEAST_FILMS`` evaluated films is left out.
    """
    found: dict[str, dict[str, Pointing]] = {}
    for finding in (name for name in OUTPUTS if name in boxed):
        films = boxed[finding]
        evaluated = [film for film in films if film.image in drawn]
        by_model: dict[str, list[tuple[Boxed, Floats]]] = {}
        for film in evaluated:
            for model, values in _maps(drawn[film.image], finding).items():
                by_model.setdefault(model, []).append((film, values))
        for model, own in by_model.items():
            if len(own) >= LEAST_FILMS:
                found.setdefault(model, {})[finding] = _pointing(own, films, replicates)
    order = [ENSEMBLE, *sorted(found.keys() - {ENSEMBLE})]
    return {model: found[model] for model in order if model in found}


def _maps(film: Drawn, finding: str) -> dict[str, Floats]:
    own = [heatmap for heatmap in film.heatmaps if heatmap.finding == finding]
    maps = {heatmap.model: on_grid(heatmap, film.width, film.height) for heatmap in own}
    together = mean_map(own, finding)
    return maps if together is None else maps | {ENSEMBLE: on_grid(together, film.width, film.height)}


def on_grid(heatmap: Heatmap, width: int, height: int) -> Floats:
    """Return a heat map on the grid of the film, GRID × GRID: between its cells' centres linearly, outside its box 0."""
    x, y, w, h = heatmap.box
    rows, columns = heatmap.values.shape
    across = ((np.arange(GRID) + 0.5) / GRID * width - x) / w * columns - 0.5
    down = ((np.arange(GRID) + 0.5) / GRID * height - y) / h * rows - 0.5
    inside = ((down >= -0.5) & (down < rows - 0.5))[:, np.newaxis] & (across >= -0.5) & (across < columns - 0.5)
    values = _between(_between(heatmap.values.astype(np.float64), down).T, across).T
    return np.where(inside, values, 0.0)


def _between(values: Floats, places: Floats) -> Floats:
    """Interpolate the rows of ``values`` at fractional ``places``, held at the ends."""
    places = places.clip(0, len(values) - 1)
    low = np.floor(places).astype(int).clip(0, max(0, len(values) - 2))
    share = (places - low)[:, np.newaxis]
    return np.asarray(values[low] * (1 - share) + values[np.minimum(low + 1, len(values) - 1)] * share)


def _pointing(own: Sequence[tuple[Boxed, Floats]], films: Sequence[Boxed], replicates: int) -> Pointing:
    masks = np.stack([film.mask.ravel() for film, _ in own]).astype(np.float64)
    maps = np.stack([values.ravel() for _, values in own])
    sums = maps.sum(axis=1, keepdims=True)
    shares = np.divide(maps, sums, out=np.full_like(maps, 1 / maps.shape[1]), where=sums > 0)
    patients = np.array([film.patient for film, _ in own], dtype=object)
    columns = {
        # An empty map is the same everywhere: it hits by the chance of a place drawn at random.
        "hits": np.where(sums[:, 0] > 0, masks[np.arange(len(own)), maps.argmax(axis=1)], masks.mean(axis=1)),
        "energy": (shares * masks).sum(axis=1),
    } | _fixed(shares, masks, patients, films)
    stacked = np.stack(list(columns.values()), axis=1)
    draws = patient_draws(patients.tolist(), replicates)

    def means(weights: Floats) -> Floats:
        return np.asarray(weights @ stacked.astype(weights.dtype) / weights.sum(axis=1, keepdims=True))

    hits, energy, fixed_hits, fixed_energy = replicate(means, draws).T
    return Pointing(
        films=len(own),
        patients=len(set(patients.tolist())),
        hits=summarise(hits),
        fixed_hits=summarise(fixed_hits),
        hits_gain=summarise(hits - fixed_hits),
        energy=summarise(energy),
        fixed_energy=summarise(fixed_energy),
        energy_gain=summarise(energy - fixed_energy),
    )


def _fixed(
    shares: Floats, masks: Floats, patients: npt.NDArray[np.object_], films: Sequence[Boxed]
) -> dict[str, Floats]:
    """Return what the best fixed point hits, and the best fixed map's energy, on each film, chosen on all other patients."""
    all_masks = np.stack([film.mask.ravel() for film in films]).astype(np.float64)
    owners = np.array([film.patient for film in films], dtype=object)
    energies = shares @ all_masks.T
    hits, energy = np.empty(len(masks)), np.empty(len(masks))
    for patient in set(patients.tolist()):
        mine, others = patients == patient, owners != patient
        if not others.any() or mine.all():
            hits[mine], energy[mine] = masks[mine].mean(axis=1), masks[mine].mean(axis=1)
            continue
        coverage = all_masks[others].sum(axis=0)
        best = np.flatnonzero(coverage == coverage.max())
        hits[mine] = masks[mine][:, best].mean(axis=1)
        of_others = np.flatnonzero(~mine)
        chosen = of_others[energies[np.ix_(of_others, others)].sum(axis=1).argmax()]
        energy[mine] = masks[mine] @ shares[chosen]
    return {"fixed hits": hits, "fixed energy": energy}
