"""All outputs of one analysis say the same findings and numbers."""

from __future__ import annotations

import io
import json
import re
import sys
from html import unescape

import pytest
from highdicom.sr import srread
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import BufferReader
from pyarrow.parquet import read_table
from pypdf import PdfReader

from finished import NOW, STUDY, analysis_of, film_of, finding
from hilum.errors import ConfigError
from hilum.findings import OUTPUTS
from hilum.records import Analysis
from hilum.report import csv_rows, to_dict, to_fhir, to_html, to_parquet, to_pdf, to_sr
from hilum.report.codes import FINDING_CODES
from hilum.report.picture import leading_map, legend

FILM = film_of(12, 10)
Said = dict[str, tuple[float, float | None, float | None, bool | None]]
"""Finding → confidence, operating point, probability in percent, present or not."""

confidences = st.floats(0, 100)
maybe = st.none() | confidences


@st.composite
def analyses(draw) -> Analysis:
    """Draw an analysis of some findings with any numbers, some of which are not known."""
    names = draw(st.lists(st.sampled_from(OUTPUTS), min_size=1, max_size=6, unique=True))
    made = [finding(name, draw(confidences), draw(maybe), draw(st.none() | st.floats(0, 1))) for name in names]
    return analysis_of(tuple(sorted(made, key=lambda one: -one.confidence)))


def said_in_json(analysis: Analysis) -> Said:
    return {
        one["name"]: (
            one["confidence"],
            one["threshold"],
            None if one["probability"] is None else round(one["probability"] * 100, 2),
            one["positive"],
        )
        for one in to_dict(analysis)["findings"]
    }


def said_in_rows(rows: list[dict]) -> Said:
    return {
        one["finding"]: (
            one["confidence"],
            one["threshold"],
            None if one["probability"] is None else round(one["probability"] * 100, 2),
            one["positive"],
        )
        for one in rows
    }


def said_in_sr(analysis: Analysis) -> Said:
    named = {code.value: name for name, code in FINDING_CODES.items()}
    said: Said = {}
    for group in srread(io.BytesIO(to_sr(analysis, STUDY, NOW))).content.get_image_measurement_groups()[1:]:
        (presence,) = group.get_qualitative_evaluations()
        numbers = {one.name.meaning: one.value for one in group.get_measurements()}
        said[named[presence.name.value]] = (
            numbers["Certainty of Finding"],
            numbers.get("Operating point (confidence)"),
            numbers.get("Probability"),
            {"Present": True, "Absent": False, "Undetermined": None}[presence.value.meaning],
        )
    return said


def said_in_fhir(analysis: Analysis) -> Said:
    named = {code.value: name for name, code in FINDING_CODES.items()}
    said: Said = {}
    for entry in json.loads(to_fhir(analysis, STUDY, NOW))["entry"]:
        one = entry["resource"]
        if one["resourceType"] != "Observation":
            continue
        numbers = {part["code"]["text"]: part["valueQuantity"]["value"] for part in one["component"]}
        value = one.get("valueCodeableConcept", {"text": "Undetermined"})["text"]
        said[named[one["code"]["coding"][0]["code"]]] = (
            numbers["Certainty of Finding"],
            numbers.get("Operating point (confidence)"),
            numbers.get("Probability"),
            {"Present": True, "Absent": False, "Undetermined": None}[value],
        )
    return said


def words_of_pdf(analysis: Analysis) -> str:
    return " ".join(PdfReader(io.BytesIO(to_pdf(analysis, FILM, STUDY, NOW))).pages[0].extract_text().split())


def words_of_html(analysis: Analysis) -> str:
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", to_html(analysis).decode()).split()))


def words_of_picture(analysis: Analysis) -> str:
    return " ".join(" ".join(f"{one.text} {one.number}" for one in legend(analysis, leading_map(analysis))).split())


@settings(max_examples=15, deadline=None)
@given(analyses())
def test_all_outputs_agree(analysis):
    """JSON, CSV, Parquet, SR and FHIR hold the same numbers; HTML, PDF and the picture show them."""
    said = said_in_json(analysis)
    rows = csv_rows("film", analysis)
    assert said_in_rows(rows) == said
    assert said_in_rows(read_table(BufferReader(to_parquet(rows))).to_pylist()) == said
    assert said_in_sr(analysis) == said
    assert said_in_fhir(analysis) == said
    pdf, html, picture = words_of_pdf(analysis), words_of_html(analysis), words_of_picture(analysis)
    for name, (confidence, threshold, probability, positive) in said.items():
        label = f"{name} (none of the listed findings)" if name == "Normal" else name
        point = "unknown" if threshold is None else f"{threshold:.1f}"
        word = {True: "present", False: "absent", None: "–"}[positive]
        assert f"{label} {confidence:.1f} {point} {word}" in pdf
        assert f"{label} {confidence:.1f} 4.9 {point}" in html
        assert (
            f"{confidence:.1f} {label} {'PRESENT ' if positive else ''}{point.replace('unknown', 'no point')}"
            in picture
        )
        if probability is not None:
            assert f"{probability:.2f} % (11.88 %)" in pdf


def test_parquet_names_its_extra(monkeypatch):
    """Without pyarrow, Parquet says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'hilum\[parquet\]'"):
        to_parquet([])
