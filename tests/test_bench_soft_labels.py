"""Soft labels: what is mixed with what, and in which shares."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from soft_labels import mix, read_published
from teacher import mapped


def test_a_published_prediction_leads_then_the_label_then_the_score_alone() -> None:
    """Three quarters of a prediction; half of a label; the out-of-fold score where nothing else is known."""
    scores = np.array([[0.2, 0.2, 0.2, 0.2]])
    labels = np.array([[1.0, 1.0, 0.0, np.nan]])
    published = np.array([[0.8, np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(mix(scores, labels, published), [[0.65, 0.6, 0.1, 0.2]])


def test_scores_become_shares_of_the_labels() -> None:
    """Logits of any scale are mapped so that their mean is the labels' share, in the same order; unknown labels don't count."""
    rng = np.random.default_rng(1)
    logits = rng.normal(5, 3, (4000, 1))
    labels = (rng.random((4000, 1)) < 1 / (1 + np.exp(5 - logits))).astype(float)
    labels[::7] = np.nan
    found = mapped(logits, labels)
    assert abs(found.mean() - np.nanmean(labels)) < 0.02
    assert (np.argsort(found[:, 0]) == np.argsort(logits[:, 0])).all()


def test_films_and_outputs_that_a_file_lacks_are_unknown(tmp_path: Path) -> None:
    """An empty cell, a missing column and a missing film are NaN."""
    path = tmp_path / "published.csv"
    path.write_text("file,Edema,Effusion\na.png,0.5,\n")
    found = read_published(path, ("a.png", "b.png"), ("Edema", "Effusion", "Nodule"))
    np.testing.assert_array_equal(found, [[0.5, np.nan, np.nan], [np.nan] * 3])
