"""The scorecard: one document that says everything, and nothing that was not measured."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from hilum.errors import DatasetError
from hilum.evaluation import record
from hilum.evaluation.curves import Curves
from hilum.evaluation.localise import Pointing
from hilum.evaluation.scorecard import to_html
from hilum.evaluation.scorecard.cells import decimal
from hilum.evaluation.scorecard.claim import ITEMS
from hilum.evaluation.scorecard.plots import SIDE, roc_plot, whisker
from hilum.evaluation.scorecard.summary import sentences
from hilum.evaluation.scoring import ENSEMBLE
from hilum.records import Interval
from made import made_scores


class Balance(HTMLParser):
    """Raises where tags do not close as they opened, and collects what a document would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "onclick")]
        self.loads += [tag] if tag in ("script", "link", "img", "iframe") else []
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "onclick")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def evaluation(tiny_engine):
    """What was found of made-up scores, with made-up maps."""
    found = record.evaluate(tiny_engine, made_scores(), command="hilum evaluate --data <table>", replicates=50)
    interval = Interval(0.6, 0.4, 0.8)
    pointing = Pointing(
        9, 7, interval, interval, Interval(0.2, 0.1, 0.3), interval, interval, Interval(-0.1, -0.2, 0.1)
    )
    return replace(found, localisation={ENSEMBLE: {"Edema": pointing}, "A": {"Edema": pointing}})


def test_the_document_is_whole_and_loads_nothing(evaluation):
    """Every tag closes; there is no script, no link and no picture from elsewhere; what was given is escaped."""
    page = to_html(evaluation).decode()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.loads == []
    assert "hilum evaluate --data &lt;table&gt;" in page
    assert not re.search(r"\bnan\b", page)


def test_every_section_is_there(evaluation):
    """Opening, findings, members, curves, promises, groups, heat maps, limits, checklist and what made it stand in this order."""
    page = to_html(evaluation).decode()
    order = re.findall(r'<section id="(\w+)">', page)
    assert order == ["findings", "members", "curves", "promises", "groups", "heatmaps", "limits", "claim", "made"]
    figures = evaluation.judged[ENSEMBLE].findings["Edema"]
    for said in (
        f"{figures.auroc.value:.3f}",
        f"{figures.positives} / {figures.films}",
        "ROC curve of Edema",
        "Precision-recall curve of Nodule",
        "Reliability of Effusion",
        evaluation.data.sha256,
        evaluation.models[0].model.sha256,
        evaluation.disclaimer,
        "240 of 120 patients; the gate refused 1",
    ):
        assert said in page, said
    assert page.count("<figure>") == 3


def test_the_opening_says_what_was_found(evaluation):
    """Films, mean AUROC, calibration, gains and pointing are in the opening sentences."""
    said = " ".join(sentences(evaluation))
    assert "240 films of 120 patients were judged; the gate refused 1 more." in said
    assert f"Over 3 findings the mean AUROC is {evaluation.judged[ENSEMBLE].mean_auroc.value:.3f}" in said
    assert "slope’s interval contains 1 for" in said
    assert "point better than the best fixed point for Edema, and worse for none" in said


def test_what_was_not_measured_is_said(tiny_engine):
    """Without boxes, groups or calibration the sections say why they are empty; a member alone has no ensemble beside it."""
    scores = made_scores()
    evidence = {"A": np.full_like(scores.evidence["A"], np.nan)}
    alone = replace(
        scores,
        confidences={"A": scores.confidences["A"]},
        evidence=evidence,
        subject="A",
        rows=tuple(replace(row, view="", sex="", age=None, source="", label_source="") for row in scores.rows),
    )
    page = to_html(record.evaluate(tiny_engine, alone, replicates=20)).decode()
    assert "no boxes were given" in page
    assert "names no view, sex, age or source" in page
    assert "This model is not calibrated" in page
    assert 'id="members"' not in page
    assert "<h1>Scorecard: A</h1>" in page


def test_nothing_to_judge_is_said(tiny_engine):
    """Films of one class give a page without figures; no films at all are an error."""
    scores = made_scores()
    page = to_html(record.evaluate(tiny_engine, replace(scores, labels=np.zeros_like(scores.labels)), replicates=5))
    assert "nothing to judge" in page.decode()
    with pytest.raises(DatasetError, match="refused every film"):
        record.evaluate(tiny_engine, replace(scores, patients=()), replicates=5)


def test_the_checklist_is_whole():
    """CLAIM's 42 items of 2020 each stand once, in order, and then what 2024 added."""
    assert [item.number for item in ITEMS if item.number] == list(range(1, 43))
    assert all("2024" in item.subject for item in ITEMS if item.number is None)


def test_plots_lie_in_their_frames():
    """A curve is drawn from corner to corner; a dot beyond its scale stays at the edge."""
    curves = Curves(((0.0, 0.0), (0.0, 1.0), (1.0, 1.0)), ((1.0, 1.0),), ())
    assert f"M0.0 {SIDE:.1f}L0.0 0.0L{SIDE:.1f} 0.0" in roc_plot("Edema", [curves], (0.5, 0.75))
    assert 'cx="33.0" cy="66.0"' in roc_plot("Edema", [curves], (0.5, 0.75))
    assert 'cx="116.0"' in whisker(Interval(9, 8, 10), 0, 2.5, 1)


def test_numbers_have_a_true_minus_and_no_minus_zero():
    """−0.1 is written with the sign for minus; what rounds to nothing has none."""
    assert [decimal(value, "+.2f") for value in (-0.1, -0.001, 0.2)] == ["−0.10", "+0.00", "+0.20"]
