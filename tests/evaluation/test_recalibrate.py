"""A bundle calibrated anew on other films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilum.calibrate import evidence
from hilum.datasets.table import Row
from hilum.errors import DatasetError, Incompatible
from hilum.evaluation.calibration import recalibration
from hilum.evaluation.recalibrate import Logits, next_version, recalibrate
from tiny import tiny_manifest, write_tiny

NAMES = ("Edema", "Effusion", "Fracture")


def films(count: int = 400, with_effusion: int = 5) -> Logits:
    """Return logits that order Edema; few patients have Effusion; Fracture is not assessed by the tiny model."""
    rng = np.random.default_rng(8)
    edema = rng.random(count) < 0.3
    logits = rng.normal(size=(count, 3)).astype(np.float32)
    logits[:, 0] = 3 * logits[:, 0] + 4 * edema
    rows = tuple(
        Row(
            Path(f"{n}.png"),
            f"p{n}",
            labels={"Edema": int(edema[n]), "Effusion": int(n < with_effusion), "Fracture": int(n % 2)},
        )
        for n in range(count)
    )
    return Logits(logits, rows)


@pytest.fixture
def bundle(tmp_path):
    warnings = ("uncalibrated: the raw score", "label order assumed")
    return write_tiny(tmp_path, tiny_manifest("DenseNet121", None, NAMES, warnings=warnings))


def test_evidence_fits_the_new_films(bundle):
    """What enough patients show is calibrated: slope 1 on these films, operating points with their counts; the rest is kept."""
    scored = films()
    new = recalibrate(bundle, scored, "0.0.2", {"Edema": 0.2}, "the command")
    edema, effusion, fracture = new.outputs
    labels = np.array([row.label("Edema") for row in scored.rows], dtype=float)
    x = evidence(scored.values[:, 0].astype(float), edema.calibration)
    slope, intercept = recalibration(x, labels, np.ones((1, len(x))))[0]
    assert (slope, intercept) == pytest.approx((1, 0), abs=0.05)
    youden = edema.operating_points["youden"]
    assert (youden.positives, youden.negatives) == (labels.sum(), len(labels) - labels.sum())
    assert edema.prevalence == 0.2
    assert (effusion, fracture) == bundle.manifest.outputs[1:]


def test_the_manifest_says_where_it_came_from(bundle):
    """Films, patients, base and command are kept; the id stays, the version changes, the weights' hashes are the writer's."""
    new = recalibrate(bundle, films(), "0.0.2", command="the command")
    done = new.calibrated_on
    assert (new.id, new.version, done.outputs) == (bundle.manifest.id, "0.0.2", ("Edema",))
    assert (done.films, done.patients, done.base_sha256, done.base_version) == (400, 400, bundle.sha256, "0.0.1")
    assert done.command == "the command"
    assert len(done.films_sha256) == 64
    assert new.warnings == ("label order assumed",)


def test_too_few_films_are_refused(bundle):
    """Nothing to calibrate is an error that says how many are needed; so is the version that there is."""
    with pytest.raises(DatasetError, match="10 patients"):
        recalibrate(bundle, films(12), "0.0.2")
    with pytest.raises(Incompatible, match="already"):
        recalibrate(bundle, films(), "0.0.1")


@pytest.mark.parametrize(("before", "after"), [("1.0.9", "1.0.10"), ("3", "4"), ("1.0-beta", "1.0-beta.1")])
def test_versions_count_on(before, after):
    """The last number rises; a version that ends in none gets one."""
    assert next_version(before) == after
