"""The analysis as JSON, CSV rows, HTML and pictures."""

from __future__ import annotations

import html.parser
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hilum.levels import DISCLAIMER
from hilum.pipeline import analyze
from hilum.records import Disagreement, Heatmap, Interval, NormalClaim, Reason, Source, TrainedOn, Withheld
from hilum.report import CSV_COLUMNS, csv_rows, film_png, ml_analysis, to_dict, to_html, to_json, words
from hilum.report.film import jpeg, mean_map, overlay, thumbnail


@pytest.fixture
def analysis(film, tiny_engine):
    return analyze(film, tiny_engine)


@pytest.fixture
def refused(film, tiny_engine):
    return analyze(replace(film, chroma=0.5), tiny_engine)


class Reader(html.parser.HTMLParser):
    """Collects text and tags, and fails on what is never closed."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(document: bytes) -> Reader:
    reader = Reader()
    reader.feed(document.decode())
    reader.close()
    assert not reader.open
    return reader


def test_json_holds_the_whole_interface(analysis):
    """Every promised key is there, numbers are within their ranges, and it is one line of strict JSON."""
    line = to_json(analysis)
    assert b"\n" not in line
    content = json.loads(line)
    for key in (
        "accepted",
        "reasons",
        "findings",
        "not_assessed",
        "ensemble_confidence",
        "level",
        "recommendation",
        "models",
    ):
        assert key in content
    for finding in content["findings"]:
        assert {"name", "confidence", "probability", "prevalence", "spread", "threshold", "positive", "members"} <= set(
            finding
        )
        assert 0 <= finding["confidence"] <= 100
        assert 0 <= finding["probability"] <= 1
        assert set(finding["members"]) <= {model["name"] for model in content["models"]}
    for model in content["models"]:
        assert {"name", "version", "sha256"} <= set(model)
    assert content["disclaimer"] == DISCLAIMER


def test_refusal_in_json_has_no_numbers(refused):
    """A refused film has reasons, empty findings and null confidence and level."""
    content = to_dict(refused)
    assert content["accepted"] is False
    assert content["findings"] == []
    assert content["ensemble_confidence"] is content["level"] is content["recommendation"] is None
    assert content["reasons"][0].keys() == {"code", "message", "action", "basis"}


def test_a_warning_is_shown_and_does_not_refuse(film, tiny_engine):
    """A film accepted with a warning has its findings, and the warning in JSON, CSV and the report."""
    stated = (Reason("paediatric", "The header says under 18.", basis="header"),)
    engine = replace(tiny_engine, scope=replace(tiny_engine.scope, paediatric="warn"))
    analysis = analyze(replace(film, stated=stated), engine)
    content = to_dict(analysis)
    assert (content["accepted"], content["reasons"]) == (
        True,
        [{"code": "paediatric", "message": "The header says under 18.", "action": "warn", "basis": "header"}],
    )
    assert content["findings"]
    assert {row["reasons"] for row in csv_rows("a.png", analysis)} == {"paediatric"}
    assert "The header says under 18." in to_html(analysis, film).decode()


def test_uncertainty_is_said_everywhere(film, analysis):
    """Interval, set, promise, miss rate and a cross-check's two figures stand in JSON, CSV and the report."""
    first, *others = analysis.findings
    sure = replace(first, interval=(0.0312, 0.25), set="can't say")
    flagged = replace(
        analysis,
        findings=(sure, *others),
        disagreements=(Disagreement("Edema", "NetC (made up-trained)", 20.04, 61.0, 25.5),),
        promise=0.9,
        normal_claim=NormalClaim(0.05, Interval(0.04, 0.02, 0.07), Interval(0.0552, 0.0291, 0.0952)),
    )
    content = to_dict(flagged)
    assert (content["findings"][0]["interval"], content["findings"][0]["set"]) == ([0.0312, 0.25], "can't say")
    assert content["findings"][1]["interval"] is content["findings"][1]["set"] is None
    (one,) = content["disagreements"]
    assert (one["finding"], one["confidence"], one["others"], one["limit"]) == ("Edema", 20.0, 61.0, 25.5)
    assert content["promise"] == 0.9
    assert content["normal_claim"]["held_out"] == {"value": 0.0552, "low": 0.0291, "high": 0.0952}
    assert csv_rows("a.png", flagged)[0]["set"] == "can't say"
    text = "".join(read(to_html(flagged, film)).text)
    for part in (
        "can't say",
        "3.1%–25.0%",
        "at least 90%",
        "5.5% (2.9%–9.5%) were called normal",
        "20.0, the others 61.0",
    ):
        assert part in text
    assert words.disagreements(flagged)[0] in words.warnings(flagged)
    validation = replace(flagged, normal_claim=replace(flagged.normal_claim, held_out=None))
    assert words.normal_claim(validation).startswith("Of validation films")
    assert words.normal_claim(analysis) == words.coverage(analysis) == ""


def test_http_answer_names_the_classic_members(analysis):
    """Each classic member has its slot; predictions are sorted by confidence, with the raw score beside it."""
    answer = ml_analysis(analysis)
    assert answer["densenet_result"]["model"].startswith("DenseNet121 (")
    for key in ("densenet_result", "mobilenet_result", "custom_result"):
        result = answer[key]
        confidences = [one["confidence"] for one in result["predictions"]]
        assert confidences == sorted(confidences, reverse=True)
        assert result["confidence"] == confidences[0]
        assert result["top_prediction"] == result["predictions"][0]["class"]
        assert result["predictions"][0].keys() == {"class", "confidence", "score"}
        assert not {"Fracture", "Tuberculosis"} & {one["class"] for one in result["predictions"]}
    assert answer["ensemble_confidence"] == analysis.ensemble_confidence
    assert answer["details"]["recommendation"] == answer["recommendation"]


def test_http_answer_keeps_to_the_classic_outputs(analysis):
    """What a member assesses beyond its slot's classic network stands in the details alone; a smaller member's answer is whole."""
    eight = analysis.members[2]
    more = replace(
        eight, predictions=(replace(eight.predictions[0], name="Lesion", confidence=99.0), *eight.predictions)
    )
    changed = replace(analysis, members=(*analysis.members[:2], more))
    assert ml_analysis(changed)["custom_result"] == ml_analysis(analysis)["custom_result"]
    assert ml_analysis(changed)["details"]["members"][2]["predictions"][0]["name"] == "Lesion"
    two = replace(more, predictions=more.predictions[:2], not_assessed=())
    answer = ml_analysis(replace(analysis, members=(*analysis.members[:2], two)))["custom_result"]
    assert [one["class"] for one in answer["predictions"]] == ["Lesion", eight.predictions[0].name]


def test_http_answer_of_an_absent_member_is_null(analysis, refused):
    """A member that is not open, or a refused film, is null and not an empty object."""
    alone = replace(analysis, members=analysis.members[:1])
    assert ml_analysis(alone)["mobilenet_result"] is None
    assert ml_analysis(refused)["densenet_result"] is None


def test_csv_has_a_row_a_finding(analysis, refused):
    """One row a finding with known columns only; a refusal is one row with its codes."""
    rows = csv_rows("a.png", analysis)
    assert len(rows) == len(analysis.findings)
    assert all(set(row) <= set(CSV_COLUMNS) for row in rows)
    (row,) = csv_rows("b.png", refused)
    assert row["reasons"] == "colour_photograph"
    assert "finding" not in row


def test_html_is_whole_and_says_all(film, analysis):
    """The document is self-contained and names findings, members, hashes, level, what was not assessed, and the disclaimer."""
    document = to_html(analysis, film)
    reader = read(document)
    text = "".join(reader.text)
    assert document.startswith(b"<!doctype html>")
    assert reader.tags.count("img") == 2
    assert "script" not in reader.tags
    assert b"http" not in document
    for part in (
        DISCLAIMER,
        analysis.recommendation,
        "Not assessed: Fracture, Tuberculosis",
        "none of the listed findings",
    ):
        assert part in text
    for model in analysis.provenance.models:
        assert model.name in text
        assert model.sha256 in text


def test_html_of_a_refusal_has_reasons_and_no_table(film, refused):
    """A refused film's report says why in words and shows no figures."""
    reader = read(to_html(refused, film))
    assert "The picture is in colour" in "".join(reader.text)
    assert "table" not in reader.tags


def test_a_withheld_map_is_said_and_not_drawn(film, analysis):
    """Where the leading finding's maps are withheld, the report shows the film alone and says why."""
    first = next(finding.name for finding in analysis.findings if finding.name != "Normal")
    others = tuple(one for one in analysis.heatmaps if one.finding != first)
    kept_back = tuple(
        Withheld(one.finding, one.model, "60% of it lies outside the body")
        for one in analysis.heatmaps
        if one.finding == first
    )
    changed = replace(analysis, heatmaps=others, withheld=kept_back)
    reader = read(to_html(changed, film))
    assert reader.tags.count("img") == 1
    for one in kept_back:
        assert f"The heat map of {one.model} is withheld: 60% of it lies outside the body." in "".join(reader.text)
    assert to_dict(changed)["withheld_heatmaps"][0] == {
        "finding": first,
        "model": kept_back[0].model,
        "reason": "60% of it lies outside the body",
    }


def test_html_escapes_whatever_it_shows(analysis):
    """Markup in a model's data set, a warning or a note can't become markup of the report."""
    evil = "<script>alert(1)</script>"
    models = tuple(
        replace(model, name=evil, trained_on=TrainedOn(evil), warnings=(evil,)) for model in analysis.provenance.models
    )
    source = Source(evil, 1, 1, 8, evil, notes=(evil,))
    members = tuple(replace(member, model=evil) for member in analysis.members)
    changed = replace(
        analysis,
        provenance=replace(analysis.provenance, models=models),
        source=source,
        members=members,
        no_heatmap={evil: evil},
        withheld=(Withheld(analysis.findings[0].name, evil, evil),),
    )
    assert b"<script" not in to_html(changed)


def test_html_says_what_is_not_known(analysis):
    """Without calibration the report says so, and puts no number where there is none."""
    bare = tuple(
        replace(finding, probability=None, threshold=None, positive=None, sensitivity=None, specificity=None)
        for finding in analysis.findings
    )
    members = tuple(replace(member, calibrated=False, in_ensemble=False) for member in analysis.members)
    text = "".join(read(to_html(replace(analysis, findings=bare, members=members, conflicts=("Both.",)))).text)
    assert "unknown" in text
    assert "Not calibrated: its confidence is the raw score × 100." in text
    assert "Not part of the ensemble." in text
    assert "Both." in text


def test_more_votes_than_one_are_told(analysis):
    """The report names them beside the member; the JSON has each member's."""
    first, *others = analysis.members
    weighed = replace(analysis, members=(replace(first, votes=2), *others))
    text = "".join(read(to_html(weighed)).text)
    assert text.count("votes in the ensemble") == 1
    assert "2 votes in the ensemble." in text
    assert [member["votes"] for member in to_dict(weighed)["members"]] == [2, *(1 for _ in others)]


def test_the_film_picture_is_the_film(film):
    """The PNG shows the pixels that the networks got, shrunk to the size asked for, never enlarged."""
    picture = Image.open(io.BytesIO(film_png(film)))
    np.testing.assert_allclose(np.asarray(picture) / 255, film.pixels, atol=0.003)
    assert Image.open(io.BytesIO(film_png(film, 48))).size == (40, 48)


def test_an_overlay_colours_only_its_box(film):
    """Outside the heat map's box the film stays grey; inside, where the map is high, it takes colour."""
    heat = Heatmap("Edema", "A", np.ones((2, 2), dtype=np.float32), (0, 0, 40, 96))
    drawn = overlay(thumbnail(film, 512), film, heat)
    picture = np.asarray(drawn).astype(int)
    chroma = picture.max(axis=2) - picture.min(axis=2)
    assert chroma[:, 45:].max() == 0
    assert chroma[:, :35].min() > 20
    smaller = np.asarray(Image.open(io.BytesIO(jpeg(drawn)))).astype(int)
    assert np.abs(smaller - picture)[:, np.r_[0:32, 48:80]].max() < 24


def test_the_mean_map_is_of_maps_that_fit(film):
    """Maps of one finding on one grid are averaged; of another finding, grid or field they are not."""
    box = (0.0, 0.0, 80.0, 96.0)
    maps = (
        Heatmap("Edema", "A", np.zeros((2, 2), np.float32), box),
        Heatmap("Edema", "B", np.ones((2, 2), np.float32), box),
        Heatmap("Edema", "C", np.ones((3, 3), np.float32), box),
        Heatmap("Nodule", "A", np.ones((2, 2), np.float32), box),
    )
    mean = mean_map(maps, "Edema")
    assert mean.model == "A, B"
    assert (mean.values == 0.5).all()
    assert mean_map(maps, "Hernia") is None


def test_the_map_of_all_is_of_those_that_point_best():
    """Of maps measured against boxes it is the best, with those that a few boxes cannot tell from it, and none unmeasured."""
    box = (0.0, 0.0, 80.0, 96.0)
    gains = {"A": 0.1, "B": 0.4, "C": None, "D": 0.3}
    maps = [Heatmap("Edema", name, np.ones((2, 2), np.float32), box, gain) for name, gain in gains.items()]
    assert mean_map(maps, "Edema").model == "B, D"
    assert mean_map(maps[:1] + maps[2:3], "Edema").model == "A"
    assert mean_map(maps[2:3], "Edema").model == "C"


def test_a_caption_names_who_looked_and_says_of_an_empty_map_that_it_is_empty():
    whole = (0.0, 0.0, 10.0, 10.0)
    found = words.map_caption(Heatmap("Edema", "B, D", np.eye(2, dtype=np.float32), whole))
    assert found == "Where the answer for Edema came from, by Grad-CAM of B, D. Not the outline of a lesion."
    empty = words.map_caption(Heatmap("Edema", "B", np.zeros((2, 2), np.float32), whole))
    assert empty == "Nothing on this film speaks for Edema: the heat map of B is empty."
