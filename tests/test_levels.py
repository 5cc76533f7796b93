"""Levels and recommendations."""

from __future__ import annotations

import pytest

from hilum import levels


@pytest.mark.parametrize(
    ("confidence", "level", "recommendation"),
    [
        (100.0, "High", "🔴 High confidence - Immediate clinical review recommended"),
        (85.0, "High", "🔴 High confidence - Immediate clinical review recommended"),
        (84.9, "Moderate-High", "🟠 Moderate-high confidence - Further examination strongly recommended"),
        (70.0, "Moderate-High", "🟠 Moderate-high confidence - Further examination strongly recommended"),
        (69.9, "Moderate", "🟡 Moderate confidence - Additional imaging and clinical correlation needed"),
        (50.0, "Moderate", "🟡 Moderate confidence - Additional imaging and clinical correlation needed"),
        (49.9, "Low-Moderate", "🟢 Low-moderate confidence - Clinical correlation required"),
        (30.0, "Low-Moderate", "🟢 Low-moderate confidence - Clinical correlation required"),
        (29.9, "Low", "⚪ Low confidence - Professional radiologist evaluation required"),
        (0.0, "Low", "⚪ Low confidence - Professional radiologist evaluation required"),
    ],
)
def test_bands_and_words(confidence, level, recommendation):
    """Each band begins at its own edge and has its sentence to the letter."""
    assert levels.level(confidence) == level
    assert levels.recommendation(confidence) == recommendation


@pytest.mark.parametrize(
    "part", ["research and education", "qualified radiologists", "medical regulations", "clinical workflows", "consent"]
)
def test_disclaimer_says_all_of_it(part):
    """The disclaimer names what it is for and what clinical use would require."""
    assert part in levels.DISCLAIMER


def test_no_reading_is_no_band():
    """Where nothing can be said, the sentence is to the letter, and no band's."""
    assert levels.ABSTAIN == "no reliable reading - Professional radiologist evaluation required"
    assert levels.NO_READING not in {name for _, name, _ in levels.LEVELS}
