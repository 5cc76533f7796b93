"""Scores and labelled films that a test makes up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from conftest import film_pixels
from hilum.calibrate import confidence
from hilum.datasets.table import Row
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.records import OperatingPoint

NAMES = ("Edema", "Effusion", "Nodule")
POINTS = {
    name: {"youden": OperatingPoint(50.0, 0.7, 0.8), "rule_in": OperatingPoint(80.0, 0.4, 0.95)} for name in NAMES
}


def made_scores(films: int = 240, seed: int = 4) -> Scores:
    """Return scores of an ensemble of two members; the second assesses Edema and Effusion. Two films a patient."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((films, 3)) < 0.3).astype(np.float32)
    evidence = {name: (rng.normal(0, 1.2, (films, 3)) + 1.5 * labels - 0.8).astype(np.float32) for name in "AB"}
    evidence["B"][:, 2] = np.nan
    evidence = {ENSEMBLE: np.nanmean([evidence["A"], evidence["B"]], axis=0), "A": evidence["A"], "B": evidence["B"]}
    labels[:5, 0] = np.nan
    rows = tuple(
        Row(
            image=Path(f"{n}.png"),
            patient=f"p{n // 2}",
            source="big" if n < films * 0.9 else "small",
            view="AP" if n % 4 < 2 else "PA",
            age=(25.0, 45.0, 65.0)[n // 2 % 3],
            sex="" if n < 10 else "F" if n % 8 < 4 else "M",
            label_source="reader+report",
        )
        for n in range(films)
    )
    return Scores(
        names=NAMES,
        confidences={who: confidence(values).astype(np.float32) for who, values in evidence.items()},
        labels=labels,
        patients=tuple(row.patient for row in rows),
        refused=1,
        evidence=evidence,
        points={ENSEMBLE: POINTS, "A": POINTS, "B": POINTS},
        rows=rows,
        together=("A", "B"),
        verifier="B",
    )


def labelled_films(tmp_path: Path) -> Path:
    """Write a table of 24 films of 12 patients; brighter films have Effusion."""
    rows = ["file,patient_id,orig_width,source,Effusion,Edema"]
    patients = []
    for number in range(24):
        bright = number % 2
        pixels = film_pixels(96, 80) * (0.6 + 0.4 * bright) * (1 - number / 400)
        Image.fromarray((pixels * 255).astype("uint8")).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,p{number // 2:02d},1024,test,{bright},{'' if number > 20 else bright}")
        patients.append(f"p{number // 2:02d}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    for name, part in (("validation", patients[:12]), ("holdout", patients[12:])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["patient_id", *sorted(set(part))]))
    return tmp_path
