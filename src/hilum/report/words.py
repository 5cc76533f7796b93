"""Sentences that several reports say, in plain words."""

from __future__ import annotations

from hilum.findings import NORMAL
from hilum.records import Analysis, Finding, Heatmap, ModelProvenance
from hilum.report.numbers import percent, share_percent

RESEARCH = "For research use only"


def label(finding: Finding) -> str:
    """Return a finding's name for people."""
    return f"{finding.name} (none of the listed findings)" if finding.name == NORMAL else finding.name


def present(analysis: Analysis) -> tuple[Finding, ...]:
    """Return the findings at or above their operating point, ``Normal`` left out."""
    return tuple(finding for finding in analysis.findings if finding.positive and finding.name != NORMAL)


def conclusion(analysis: Analysis) -> str:
    """Return the answer in one or two sentences."""
    if not analysis.verdict.accepted:
        return f"This film was not read. {' '.join(reason.message for reason in analysis.verdict.refusals)}"
    names = ", ".join(f"{finding.name} ({percent(finding.confidence):.1f})" for finding in present(analysis)) or "none"
    level = (
        ""
        if analysis.level is None
        else f" Ensemble confidence {analysis.ensemble_confidence:.1f}, level {analysis.level}."
    )
    return f"At or above their operating point, with confidence 0–100: {names}.{level}"


def advice(analysis: Analysis) -> str:
    """Return the recommendation as a sentence, without its emoji, which few printers and archives can show."""
    text = (analysis.recommendation or "").lstrip("🔴🟠🟡🟢⚪ ")
    return text and f"{text}."


def warnings(analysis: Analysis) -> tuple[str, ...]:
    """Return what must stand beside the answer: what is odd of the film, contradictions, what is doubtful of a model."""
    odd = (reason.message for reason in analysis.verdict.warnings)
    doubts = (f"{model.name}: {text}" for model in analysis.provenance.models for text in model.warnings)
    return (*odd, *analysis.conflicts, *disagreements(analysis), *doubts)


def disagreements(analysis: Analysis) -> tuple[str, ...]:
    """Return in words where the verifying member contradicts the others, with both figures."""
    return tuple(
        f"{one.model} gives {one.finding} a confidence of {percent(one.confidence):.1f}, the others {percent(one.others):.1f}: "
        f"further apart than {percent(one.limit):.1f}, which is unusual."
        for one in analysis.disagreements
    )


def coverage(analysis: Analysis) -> str:
    """Return what the sets promise; empty where there are none."""
    if analysis.promise is None:
        return ""
    return (
        f"Set: made so that of films with a finding at least {analysis.promise:.0%} have one that holds “present”, and of films "
        "without it one that holds “absent”, if they are like those it was fitted on; can’t say: it holds both."
    )


def normal_claim(analysis: Analysis) -> str:
    """Return at which miss rate Normal is claimed; empty where that is not known."""
    claim = analysis.normal_claim
    if claim is None:
        return ""
    rate, who = (claim.missed, "validation") if claim.held_out is None else (claim.held_out, "held-out")
    return (
        f"Of {who} films with a listed finding, {rate.value:.1%} ({rate.low:.1%}–{rate.high:.1%}) were called normal at its "
        "operating point."
    )


def interval(finding: Finding) -> str:
    """Return a probability's interval in percent; empty where there is none."""
    return "" if finding.interval is None else f"{finding.interval[0]:.1%}–{finding.interval[1]:.1%}"


def map_caption(heatmap: Heatmap) -> str:
    """Return what a picture of a heat map shows."""
    if not heatmap.values.any():
        return f"Nothing on this film speaks for {heatmap.finding}: the heat map of {heatmap.model} is empty."
    return f"Where the answer for {heatmap.finding} came from, by Grad-CAM of {heatmap.model}. Not the outline of a lesion."


def not_assessed(analysis: Analysis) -> str:
    """Return which findings nobody may conclude are absent; empty where there are none."""
    return f"Not assessed: {', '.join(analysis.not_assessed)}." if analysis.not_assessed else ""


def numbers(finding: Finding) -> str:
    """Return a finding's probability and the share of films that it stands for, in words."""
    if finding.probability is None or finding.prevalence is None:
        return "probability unknown"
    return (
        f"probability {share_percent(finding.probability):.2f} % "
        f"where {share_percent(finding.prevalence):.2f} % of films show it"
    )


def model_line(model: ModelProvenance) -> str:
    """Return a model with version and hash."""
    return f"{model.name}, version {model.version}, {model.precision}, sha256 {model.sha256}"


def software(analysis: Analysis) -> tuple[str, str]:
    """Return the software's name and its version."""
    name, _, version = analysis.provenance.software.partition(" ")
    return name, version
