"""From films and other pictures to a gate that ships inside a member's bundle."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hilum.appearance import FILM, to_npz
from hilum.datasets.table import Table
from hilum.errors import DatasetError
from hilum.images import read_image
from hilum.normalise import resample, scale_pixels
from hilum.records import Array, InputSpec
from hilum.registry import APPEARANCE, Bundle, save_bundle
from hilum.runtime import Session, open_session
from hilum.training.appearance import fit_appearance
from hilum.training.spoil import SPOILERS, vary

SEED = 20265
ANY_POLARITY = ("photograph", "document", "other_modality")
"""Kinds that are learnt inverted as well: a page may be white on black."""
_COLUMNS = ("file", "kind", "source", "split")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is no film to be read, and what it is."""

    path: Path
    kind: str
    source: str
    split: str
    """``train`` or ``test``."""


def read_pictures(path: Path) -> tuple[Picture, ...]:
    """Read a CSV with the columns file (relative to it), kind, source and split. Raises ``DatasetError``."""
    if not path.is_file():
        raise DatasetError(
            "The table of other pictures does not exist. Expected a CSV file with a row for each picture."
        )
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or [])]:
            raise DatasetError(
                f"The table of other pictures lacks {', '.join(missing)}. Expected {', '.join(_COLUMNS)}."
            )
        return tuple(Picture(path.parent / row["file"], row["kind"], row["source"], row["split"]) for row in reader)


def pooled(session: Session, spec: InputSpec, pixels: Array) -> Array:
    """Return a picture's pooled features (C,). ``pixels``: H×W, 0–1, bright = dense."""
    inputs = scale_pixels(resample(pixels, spec)[np.newaxis], spec)
    (features,) = session.evaluate(np.ascontiguousarray(inputs, dtype=np.float32), "features")
    return np.asarray(features[0].mean(axis=(1, 2)))


def examples(films: Table, spoiled: int, others: Iterable[Picture]) -> Iterator[tuple[str, Array]]:
    """Yield kind and pixels: every film, ``spoiled`` of them varied and in every spoiled form, and every other picture."""
    rng = np.random.default_rng(SEED)
    chosen = set(rng.permutation(len(films.rows))[:spoiled].tolist())
    for index, row in enumerate(films.rows):
        pixels = read_image(films.root / row.image).pixels
        yield FILM, pixels
        if index in chosen:
            yield FILM, vary(pixels, rng)
            yield FILM, vary(pixels, rng)
            yield from ((kind, spoil(pixels, rng)) for kind, spoil in SPOILERS.items())
    for picture in others:
        pixels = read_image(picture.path).pixels
        yield picture.kind, pixels
        if picture.kind in ANY_POLARITY:
            yield picture.kind, np.asarray(1 - pixels, dtype=np.float32)


def _checked(films: Table) -> Iterator[Array]:
    """Yield each film as it is and varied, so that the limits leave room for other hospitals."""
    rng = np.random.default_rng(SEED + 2)
    for row in films.rows:
        pixels = read_image(films.root / row.image).pixels
        yield pixels
        yield vary(pixels, rng)


def fit_gate(bundle: Bundle, films: Table, checked: Table, others: Iterable[Picture], spoiled: int) -> Bundle:
    """Fit the gate on a member's features and write it into the member's bundle, whose manifest changes with it.

    ``films``: adults' films that are fit to be read. ``checked``: other patients', which set the limits. Raises
    ``DatasetError`` where the bundle has no folder to be written to.
    """
    if bundle.folder is None:
        raise DatasetError("The member is not a bundle folder. Expected one, which hilum models import makes of a .h5.")
    session, spec = open_session(bundle.model), bundle.manifest.input
    given = [(kind, pooled(session, spec, pixels)) for kind, pixels in examples(films, spoiled, others)]
    limits = np.stack([pooled(session, spec, pixels) for pixels in _checked(checked)])
    appearance = fit_appearance(np.stack([features for _, features in given]), [kind for kind, _ in given], limits)
    files = {name: (bundle.folder / name).read_bytes() for name in bundle.manifest.files}
    return save_bundle(bundle.folder, bundle.manifest, {**files, APPEARANCE: to_npz(appearance)})
