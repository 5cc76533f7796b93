"""Documents over HTTP."""

from __future__ import annotations

import io
import sys

import pytest
from pydicom import dcmread

from finished import STUDY, dicom_film
from hilum.report.documents import FORMS
from hilum.server.work import work_with


@pytest.fixture
def service(make_client, tiny_engine):
    """A client of the service with a real engine."""
    return make_client(work_with(tiny_engine, 2**20), tiny_engine)


@pytest.mark.parametrize("kind", FORMS)
def test_a_document_comes_in_place_of_json(service, kind):
    """Each kind has its media type, and DICOM stands in the film's study."""
    answer = service.post(f"/api/v1/analyze?format={kind}", files={"image": ("film", dicom_film())})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FORMS[kind].media_type
    if FORMS[kind].media_type == "application/dicom":
        assert dcmread(io.BytesIO(answer.content)).StudyInstanceUID == STUDY.study


@pytest.mark.parametrize(("kind", "code"), [("sr", "input_error"), ("docx", "invalid_request")])
def test_a_document_that_a_film_cannot_have_is_a_problem(service, film_png, is_problem, kind, code):
    """A Structured Report of a PNG is refused with the reason, and an unknown format as well."""
    is_problem(service.post(f"/api/v1/analyze?format={kind}", files={"image": ("film", film_png)}), code)


def test_a_missing_extra_is_said(service, film_png, is_problem, monkeypatch):
    """Without its package a format is answered with 501 and what to install."""
    monkeypatch.setitem(sys.modules, "reportlab.pdfgen.canvas", None)
    answer = service.post("/api/v1/analyze?format=pdf", files={"image": ("film", film_png)})
    assert "pip install" in is_problem(answer, "config_error")["detail"]
