"""The PDF: one page, whatever there is to say, and nothing that it can't print passed over in silence."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from pypdf import PdfReader

from finished import ANALYSIS, FILM, NOW, REFUSED, STUDY, film_of
from hilum.levels import DISCLAIMER
from hilum.report import to_pdf
from hilum.report.pdf import UNPRINTABLE


def words(data: bytes) -> str:
    """Return the words of a document of one page, lines joined."""
    (page,) = PdfReader(io.BytesIO(data)).pages
    return " ".join(page.extract_text().split())


def test_the_same_arguments_give_the_same_bytes():
    """No clock and no chance but what is passed in."""
    assert to_pdf(ANALYSIS, FILM, STUDY, NOW) == to_pdf(ANALYSIS, FILM, STUDY, NOW)


def test_it_says_all_that_must_be_said():
    """Research use, hashes, what was not assessed, the disclaimer and every warning stand on the page."""
    text = words(to_pdf(ANALYSIS, FILM, STUDY, NOW))
    assert text.startswith("FOR RESEARCH USE ONLY. NOT REVIEWED BY A PERSON.")
    for part in (DISCLAIMER, "Not assessed: Fracture, Tuberculosis.", *ANALYSIS.conflicts, "label order assumed"):
        assert part in text
    assert all(model.sha256 in text for model in ANALYSIS.provenance.models)


def test_a_refused_film_has_reasons_and_no_figures():
    """The page of a refused film says why, shows the film, and has no table of findings."""
    text = words(to_pdf(REFUSED, FILM, STUDY, NOW))
    assert "This film was not read. The picture is in colour." in text
    assert "Confidence" not in text


@pytest.mark.parametrize("shape", [(40, 400), (400, 40), (1, 1)])
def test_it_stays_one_page(shape):
    """Hundreds of warnings and a film of any shape still make one page."""
    much = replace(ANALYSIS, conflicts=tuple(f"Contradiction number {count}." for count in range(200)))
    assert "Contradiction number 199." in words(to_pdf(much, film_of(*shape), STUDY, NOW))


@pytest.mark.parametrize(("name", "shown"), [("山田^太郎", UNPRINTABLE), ("TÄST^ŁUKASZ", "TÄST ŁUKASZ"), ("", "–")])
def test_a_name_is_shown_or_said_not_to_be(name, shown):
    """A name in letters that the font lacks is not shown as boxes; the Patient ID still stands."""
    text = words(to_pdf(ANALYSIS, FILM, replace(STUDY, patient_name=name), NOW))
    assert shown in text
    assert "ID 0815" in text


def test_markup_is_shown_as_text():
    """What looks like markup in a name or a model's name is printed as it stands."""
    evil = "<b>&amp;<br/>"
    model = replace(ANALYSIS.provenance.models[0], name=evil)
    changed = replace(ANALYSIS, provenance=replace(ANALYSIS.provenance, models=(model,)))
    assert words(to_pdf(changed, FILM, replace(STUDY, patient_name=evil, patient_id=evil), NOW)).count(evil) == 3
