"""The analysis as rows of a CSV file: one a finding, or one that says why there is none."""

from __future__ import annotations

from hilum.records import Analysis
from hilum.report.numbers import percent, share

CSV_COLUMNS = (
    "file",
    "accepted",
    "reasons",
    "finding",
    "confidence",
    "probability",
    "prevalence",
    "spread",
    "threshold",
    "positive",
    "ensemble_confidence",
    "level",
    "models",
    "error",
    "set",
)


def csv_rows(file: str, analysis: Analysis) -> list[dict[str, object]]:
    """Return rows by column for one film; a refused one has a single row without a finding."""
    common: dict[str, object] = {
        "file": file,
        "accepted": analysis.verdict.accepted,
        "reasons": " ".join(reason.code for reason in analysis.verdict.reasons),
        "ensemble_confidence": analysis.ensemble_confidence,
        "level": analysis.level,
        "models": " ".join(f"{model.bundle}@{model.version}" for model in analysis.provenance.models),
    }
    return [
        common
        | {
            "finding": finding.name,
            "confidence": percent(finding.confidence),
            "probability": share(finding.probability),
            "prevalence": finding.prevalence,
            "spread": percent(finding.spread),
            "threshold": percent(finding.threshold),
            "positive": finding.positive,
            "set": finding.set,
        }
        for finding in analysis.findings
    ] or [common]
