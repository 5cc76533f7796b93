"""The analysis as JSON: the one shape behind the command line, the HTTP interface and the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from hilum.findings import CUSTOM_CNN_OUTPUTS, DENSENET121_OUTPUTS, MOBILENETV2_OUTPUTS
from hilum.levels import DISCLAIMER
from hilum.records import Analysis, Disagreement, Finding, Heatmap, MemberFinding, MemberResult, NormalClaim, Slot
from hilum.report.numbers import percent, share, three_digits

SLOTS: tuple[tuple[str, Slot, tuple[str, ...]], ...] = (
    ("densenet_result", "densenet", DENSENET121_OUTPUTS),
    ("mobilenet_result", "mobilenet", MOBILENETV2_OUTPUTS),
    ("custom_result", "custom", CUSTOM_CNN_OUTPUTS),
)
"""Key of the HTTP answer, slot, and the outputs that the slot's classic network has."""


def to_dict(analysis: Analysis) -> dict[str, Any]:
    """Return everything that the analysis holds, ready for JSON: confidences 0–100 to 0.1, shares 0–1 to 0.0001."""
    return {
        "accepted": analysis.verdict.accepted,
        "reasons": [asdict(reason) for reason in analysis.verdict.reasons],
        "findings": [_finding(finding) for finding in analysis.findings],
        "not_assessed": list(analysis.not_assessed),
        "ensemble_confidence": analysis.ensemble_confidence,
        "level": analysis.level,
        "recommendation": analysis.recommendation,
        "conflicts": list(analysis.conflicts),
        "disagreements": [_disagreement(one) for one in analysis.disagreements],
        "promise": analysis.promise,
        "normal_claim": None if analysis.normal_claim is None else _claim(analysis.normal_claim),
        "members": [_member(member) for member in analysis.members],
        "heatmaps": [_heatmap(heatmap) for heatmap in analysis.heatmaps],
        "no_heatmap": dict(analysis.no_heatmap),
        "withheld_heatmaps": [asdict(one) for one in analysis.withheld],
        "models": [asdict(model) for model in analysis.provenance.models],
        "source": asdict(analysis.source),
        "policy": analysis.provenance.policy,
        "software": analysis.provenance.software,
        "disclaimer": DISCLAIMER,
    }


def to_json(analysis: Analysis) -> bytes:
    """Return ``to_dict`` as UTF-8 JSON on one line."""
    return json.dumps(to_dict(analysis), ensure_ascii=False, allow_nan=False).encode()


def ml_analysis(analysis: Analysis) -> dict[str, Any]:
    """Return the ``analysis`` part of the HTTP answer: the three classic members by slot, and the rest as ``details``."""
    by_slot: dict[str | None, MemberResult] = {}
    for member in analysis.members:
        by_slot.setdefault(member.slot, member)
    return {
        "ensemble_confidence": analysis.ensemble_confidence,
        **{key: _classic(by_slot.get(slot), outputs) for key, slot, outputs in SLOTS},
        "recommendation": analysis.recommendation,
        "details": to_dict(analysis),
    }


def _classic(member: MemberResult | None, outputs: tuple[str, ...]) -> dict[str, Any] | None:
    """Return a member as its slot's classic network; what it assesses beyond that network's outputs stands in ``details``."""
    if member is None or not member.predictions:
        return None
    has = {*(one.name for one in member.predictions), *member.not_assessed}
    whole = has.issuperset(outputs)
    shown = [one for one in member.predictions if not whole or one.name in outputs] or member.predictions
    return {
        "model": member.model,
        "top_prediction": shown[0].name,
        "confidence": percent(shown[0].confidence),
        "predictions": [
            {"class": one.name, "confidence": percent(one.confidence), "score": share(one.score)} for one in shown
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "confidence": percent(finding.confidence),
        "evidence": share(finding.evidence),
        "probability": share(finding.probability),
        "prevalence": finding.prevalence,
        "interval": None if finding.interval is None else [share(edge) for edge in finding.interval],
        "set": finding.set,
        "spread": percent(finding.spread),
        "threshold": percent(finding.threshold),
        "positive": finding.positive,
        "margin": percent(finding.margin),
        "sensitivity": share(finding.sensitivity),
        "specificity": share(finding.specificity),
        "members": {name: percent(confidence) for name, confidence in finding.members.items()},
    }


def _disagreement(one: Disagreement) -> dict[str, Any]:
    return {
        "finding": one.finding,
        "model": one.model,
        "confidence": percent(one.confidence),
        "others": percent(one.others),
        "limit": percent(one.limit),
    }


def _claim(claim: NormalClaim) -> dict[str, Any]:
    both = {"missed": claim.missed, "held_out": claim.held_out}
    shares = {
        name: None if one is None else {key: share(value) for key, value in asdict(one).items()}
        for name, one in both.items()
    }
    return {"most": claim.most, **shares}


def _member(member: MemberResult) -> dict[str, Any]:
    return {
        "model": member.model,
        "bundle": member.bundle,
        "slot": member.slot,
        "calibrated": member.calibrated,
        "in_ensemble": member.in_ensemble,
        "votes": member.votes,
        "predictions": [_prediction(one) for one in member.predictions],
        "not_assessed": list(member.not_assessed),
        "warnings": list(member.warnings),
    }


def _prediction(one: MemberFinding) -> Mapping[str, Any]:
    # A raw score's cut may lie far below 0.1, where a decimal would hide on which side of it the score is.
    cut = percent if one.evidence is not None else three_digits
    return {
        "name": one.name,
        "score": share(one.score),
        "evidence": share(one.evidence),
        "confidence": cut(one.confidence),
        "probability": share(one.probability),
        "threshold": cut(one.threshold),
        "positive": one.positive,
    }


def _heatmap(heatmap: Heatmap) -> Mapping[str, Any]:
    return {
        "finding": heatmap.finding,
        "model": heatmap.model,
        "gain": share(heatmap.gain),
        "box": [round(edge, 1) for edge in heatmap.box],
        "values": np.asarray(heatmap.values, dtype=np.float64).round(3).tolist(),
    }
