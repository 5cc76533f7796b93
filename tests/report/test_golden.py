"""What the hospital's formats hold, to the letter. ``tests/golden/report/make.py`` writes the golden files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

GOLDEN = Path(__file__).parents[1] / "golden" / "report"
spec = importlib.util.spec_from_file_location("make_report_golden", GOLDEN / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)


@pytest.mark.parametrize("name", make.TEXTS)
def test_a_format_holds_what_it_held(name):
    """The same analysis, film, study and clock give the golden file again."""
    assert make.TEXTS[name]() == (GOLDEN / name).read_text("utf-8")


def test_the_picture_looks_as_it_looked():
    """The Secondary Capture's picture is the golden one, but for how letters are smoothed."""
    seen, expected = (np.asarray(one, dtype=int) for one in (make.picture(), Image.open(GOLDEN / "sc.png")))
    assert np.abs(seen - expected).mean() < 2
    assert np.abs(seen - expected)[:, :290].max() < 12
