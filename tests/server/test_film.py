"""The film that the page shows."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
from PIL import Image

from hilum.server.work import work_with


def test_the_film_is_in_the_answer_only_where_it_is_asked_for(make_client, tiny_engine, film_png):
    """`?film=1` adds the film's own pixels as a PNG; without it the answer does not carry them."""
    client = make_client(work_with(tiny_engine, 2**20), tiny_engine)
    files = {"image": ("film", film_png)}
    assert "film" not in client.post("/api/v1/analyze", files=files).json()["analysis"]["details"]
    url = client.post("/api/v1/analyze?film=1", files=files).json()["analysis"]["details"]["film"]
    kind, _, data = url.partition(",")
    assert kind == "data:image/png;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.array_equal(shown, np.asarray(Image.open(io.BytesIO(film_png))))


def test_a_film_parameter_that_is_no_yes_or_no_is_refused(client, is_problem):
    """The problem names the parameter and does not repeat what was sent."""
    answer = client.post("/api/v1/analyze?film=DOE", files={"image": ("film", b"film")})
    assert "film" in is_problem(answer, "invalid_request")["detail"]
    assert "DOE" not in json.dumps(answer.json())
