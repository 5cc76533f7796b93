"""Confidence → clinical confidence level and its recommendation; the disclaimer that goes with every answer."""

from __future__ import annotations

DISCLAIMER = (
    "For research and education only. Clinical use requires validation by qualified radiologists, compliance with medical "
    "regulations, integration with clinical workflows, and proper informed consent."
)

LEVELS: tuple[tuple[float, str, str], ...] = (
    (85.0, "High", "🔴 High confidence - Immediate clinical review recommended"),
    (70.0, "Moderate-High", "🟠 Moderate-high confidence - Further examination strongly recommended"),
    (50.0, "Moderate", "🟡 Moderate confidence - Additional imaging and clinical correlation needed"),
    (30.0, "Low-Moderate", "🟢 Low-moderate confidence - Clinical correlation required"),
    (0.0, "Low", "⚪ Low confidence - Professional radiologist evaluation required"),
)
"""Least ensemble confidence (0–100), level, recommendation."""

NO_READING = "No reliable reading"
"""The level where the ensemble can't say."""
ABSTAIN = "no reliable reading - Professional radiologist evaluation required"
"""The recommendation that goes with it."""


def level(confidence: float) -> str:
    """Return the clinical confidence level of an ensemble confidence, 0–100."""
    return _row(confidence)[1]


def recommendation(confidence: float) -> str:
    """Return the recommendation that goes with an ensemble confidence, 0–100."""
    return _row(confidence)[2]


def _row(confidence: float) -> tuple[float, str, str]:
    return next((row for row in LEVELS if confidence >= row[0]), LEVELS[-1])
