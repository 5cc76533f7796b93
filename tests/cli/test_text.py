"""One film's answer on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from hilum.cli.answer import Answer
from hilum.cli.text import print_answer
from hilum.pipeline import analyze
from hilum.records import Disagreement


def printed(analysis, width=160) -> str:
    """Return what stands on a terminal of that many columns, on one line."""
    text = io.StringIO()
    print_answer(Answer("a.png", analysis), Console(file=text, width=width))
    return " ".join(text.getvalue().split())


def test_sets_and_contradictions_are_printed(film, tiny_engine):
    """With a promise there are columns of intervals and sets, and what the promise is; a cross-check stands with both figures."""
    analysis = analyze(film, tiny_engine)
    assert "Interval" not in printed(analysis)
    first, *others = analysis.findings
    sure = replace(first, interval=(0.01, 0.25), set="can't say")
    flag = Disagreement("Edema", "NetC", 20.0, 61.0, 25.5)
    text = printed(replace(analysis, findings=(sure, *others), promise=0.9, disagreements=(flag,)))
    for part in ("Interval Set", "1.0%–25.0% can't say", "at least 90%", "Edema a confidence of 20.0, the others 61.0"):
        assert part in text


def test_eighty_columns_cut_no_number(film, tiny_engine):
    """On a narrow terminal bars and spread are left out; every other number of a finding with a long name stands there whole."""
    analysis = analyze(film, tiny_engine)
    first, *_ = analysis.findings
    whole = {"confidence": 84.8, "positive": False, "threshold": 60.5, "spread": 5.6, "probability": 0.507}
    long = replace(
        first, name="Pleural Thickening", prevalence=0.119, interval=(0.402, 0.716), set="can't say", **whole
    )
    told = replace(analysis, findings=(long,), promise=0.9)
    assert "Spread" in printed(told)
    narrow = printed(told, 80)
    assert "Pleural Thickening 84.8 below 60.5 50.7% at 11.9% 40.2%–71.6% can't say" in narrow
    assert "Spread" not in narrow
