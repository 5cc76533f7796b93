"""Members beside the ensemble, each with all figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilum.evaluation.bootstrap import patient_draws
from hilum.evaluation.compare import compare
from hilum.evaluation.curves import MOST_POINTS, draw_curves
from hilum.evaluation.judge import judge_predictions
from hilum.evaluation.scoring import ENSEMBLE
from made import NAMES, made_scores


def test_every_member_has_every_figure():
    """Each assessed finding has areas, rates at each policy's cut and calibration, all with intervals; means are over them."""
    scores = made_scores()
    judged = compare(scores, 50).judged
    assert list(judged) == [ENSEMBLE, "A", "B"]
    assert set(judged["B"].findings) == {"Edema", "Effusion"}
    edema = judged[ENSEMBLE].findings["Edema"]
    known = ~np.isnan(scores.labels[:, 0])
    assert (edema.films, edema.positives) == (known.sum(), scores.labels[known, 0].sum())
    assert set(edema.points) == {"youden", "rule_in"}
    above = scores.confidences[ENSEMBLE][known, 0] >= 50
    assert edema.points["youden"].sensitivity.value == pytest.approx(above[scores.labels[known, 0] == 1].mean())
    assert edema.calibration is not None
    assert edema.calibration.slope.low < edema.calibration.slope.value < edema.calibration.slope.high
    aucs = [figures.auroc.value for figures in judged[ENSEMBLE].findings.values()]
    assert judged[ENSEMBLE].means["auroc"].value == pytest.approx(np.mean(aucs))
    assert {"auprc", "brier", "ece", "ece_floor", "slope", "sensitivity youden"} <= set(judged[ENSEMBLE].means)


def test_figures_agree_with_the_ranking_alone():
    """The same films, patients and draws give the AUROC that is computed by itself."""
    scores = made_scores()
    alone = judge_predictions(scores.confidences["A"], scores.labels, scores.patients, NAMES, 50)
    assert compare(scores, 50).judged["A"].auroc == alone.auroc


def test_a_member_beside_itself_gains_nothing():
    """The gain is paired: over the same draws, the same answers differ by exactly nothing."""
    scores = made_scores()
    same = replace(scores, confidences=scores.confidences | {ENSEMBLE: scores.confidences["A"]})
    gain = compare(same, 50).gain["A"]
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_an_uncalibrated_member_has_no_calibration():
    """Without evidence there is no probability to judge, and without a cut no rate."""
    scores = made_scores()
    evidence = scores.evidence | {"A": np.full_like(scores.evidence["A"], np.nan)}
    judged = compare(replace(scores, evidence=evidence, points={}), 20).judged["A"]
    assert judged.findings["Edema"].calibration is None
    assert judged.findings["Edema"].points == {}
    assert set(judged.means) == {"auroc", "auprc"}


def test_curves_are_whole_and_short():
    """A ROC curve goes from corner to corner, rises, encloses the AUROC, and is thinned where films are many."""
    scores = made_scores(2000)
    draws = patient_draws(scores.patients, 20)
    answers = scores.answers(ENSEMBLE, draws)
    curves = draw_curves(answers["Effusion"])
    x, y = np.array(curves.roc).T
    assert (curves.roc[0], curves.roc[-1]) == ((0, 0), (1, 1))
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert len(x) <= MOST_POINTS
    area = (np.diff(x) * (y[1:] + y[:-1]) / 2).sum()
    assert area == pytest.approx(compare(scores, 20).judged[ENSEMBLE].auroc["Effusion"].value, abs=0.01)
    assert len(curves.reliability) == 10
    assert curves.precision_recall[-1][0] == 1
