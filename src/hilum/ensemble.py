"""Several members' answers → one: each member's calibrated answer, and their mean for every finding that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import get_args

import numpy as np

from hilum import calibrate, conformal
from hilum.findings import NORMAL
from hilum.records import (
    Array,
    Disagreement,
    EnsembleRecord,
    Finding,
    IntervalSteps,
    Manifest,
    MemberFinding,
    MemberResult,
    OperatingPoint,
    Output,
    Policy,
    Slot,
)

VERIFIER: Slot = "custom"
"""The member of this slot checks the others on what it shares with them."""


def scores(logits: Array, manifest: Manifest) -> Array:
    """Return a member's raw scores, 0–1, from its logits (K,)."""
    if manifest.activation == "sigmoid":
        return calibrate.sigmoid(logits)
    powers = np.exp(np.asarray(logits, dtype=np.float64) - logits.max())
    return np.asarray(powers / powers.sum())


def member_result(
    name: str, manifest: Manifest, logits: Array, policy: Policy, prevalence: Mapping[str, float], votes: int = 1
) -> MemberResult:
    """Return one member's answer from its logits (K,): assessed outputs only, sorted by falling confidence.

    ``name``: the manifest's, made unique among the members. ``prevalence``: finding → 0–1, the site's own; the
    manifest's reference stands in where it has none. ``votes``: how often it counts in the ensemble.
    """
    rows = zip(manifest.outputs, logits.tolist(), scores(logits, manifest).tolist(), strict=True)
    found = [
        _member_finding(output, logit, score, policy, prevalence) for output, logit, score in rows if output.assessed
    ]
    return MemberResult(
        model=name,
        bundle=manifest.id,
        slot=manifest.slot,
        calibrated=all(output.calibration is not None for output in manifest.outputs if output.assessed),
        in_ensemble=manifest.in_ensemble,
        votes=votes,
        predictions=tuple(sorted(found, key=lambda finding: -finding.confidence)),
        not_assessed=tuple(output.name for output in manifest.outputs if not output.assessed),
        warnings=manifest.warnings,
    )


def _member_finding(
    output: Output, logit: float, score: float, policy: Policy, prevalence: Mapping[str, float]
) -> MemberFinding:
    point = output.operating_points.get(policy)
    evidence, confidence = None, 100 * score
    if output.calibration is not None:
        evidence = float(calibrate.evidence(np.asarray(logit), output.calibration))
        confidence = float(calibrate.confidence(np.asarray(evidence)))
    share = prevalence.get(output.name, output.prevalence)
    return MemberFinding(
        name=output.name,
        score=score,
        evidence=evidence,
        confidence=confidence,
        probability=None if evidence is None or share is None else calibrate.probability(evidence, share),
        threshold=None if point is None else point.threshold,
        positive=None if point is None else confidence >= point.threshold,
    )


def combine(
    results: Sequence[MemberResult],
    manifests: Sequence[Manifest],
    policy: Policy,
    prevalence: Mapping[str, float],
    record: EnsembleRecord | None = None,
) -> tuple[Finding, ...]:
    """Return the ensemble's findings, ``Normal`` among them, sorted by falling confidence.

    ``results`` and ``manifests`` belong together by position; members outside the ensemble are left out. ``record`` is
    what was measured of exactly these members; without it a finding's threshold is the mean of its members', and no
    sensitivity is known. Calibrated and raw confidences are different scales: a finding with both has no threshold.
    """
    members = [pair for pair in zip(results, manifests, strict=True) if pair[0].in_ensemble]
    names = dict.fromkeys(finding.name for result, _ in members for finding in result.predictions)
    findings = [_finding(name, members, policy, prevalence, record) for name in names]
    return tuple(sorted(findings, key=lambda finding: -finding.confidence))


def _finding(
    name: str,
    members: Sequence[tuple[MemberResult, Manifest]],
    policy: Policy,
    prevalence: Mapping[str, float],
    record: EnsembleRecord | None,
) -> Finding:
    said = [(result, one) for result, _ in members for one in result.predictions if one.name == name]
    answers = {result.model: one for result, one in said}
    confidences = [answer.confidence for answer in answers.values()]
    calibrated = all(answer.evidence is not None for answer in answers.values())
    confidence = fmean(confidences, [result.votes for result, _ in said])
    known = None if record is None or not calibrated else record.uncertainty
    evidence = calibrate.evidence_of(confidence) if calibrated else None
    if evidence is not None and known is not None and name in known.evidence:
        evidence = float(calibrate.evidence(np.asarray(evidence), known.evidence[name]))
    share = prevalence.get(name, _reference_prevalence(name, members))
    probability = None if evidence is None or share is None else calibrate.probability(evidence, share)
    one_scale = calibrated or all(answer.evidence is None for answer in answers.values())
    thresholds = [answer.threshold for answer in answers.values()]
    point = _operating_point(name, thresholds, policy, record) if one_scale else None
    return Finding(
        name=name,
        confidence=confidence,
        evidence=evidence,
        probability=probability,
        prevalence=share if calibrated else None,
        spread=max(confidences) - min(confidences) if len(confidences) > 1 else None,
        threshold=None if point is None else point.threshold,
        positive=None if point is None else confidence >= point.threshold,
        sensitivity=None if point is None else point.sensitivity,
        specificity=None if point is None else point.specificity,
        members={model: answer.confidence for model, answer in answers.items()},
        interval=_interval(confidence, probability, share, None if known is None else known.intervals.get(name)),
        set=None if known is None or name not in known.sets else conformal.said(confidence, known.sets[name]),
    )


def _interval(
    confidence: float, probability: float | None, prevalence: float | None, steps: IntervalSteps | None
) -> tuple[float, float] | None:
    """Return the Venn–Abers probabilities at a prevalence, widened where they leave the probability out.

    One of the two is right however the film turns out, which a wider interval still holds.
    """
    if steps is None or probability is None or prevalence is None:
        return None
    low, high = conformal.interval(confidence, steps, prevalence)
    return min(low, probability), max(high, probability)


def _reference_prevalence(name: str, members: Sequence[tuple[MemberResult, Manifest]]) -> float | None:
    """Return the first member's reference; members trained on one data set agree on it."""
    known = (o.prevalence for _, manifest in members for o in manifest.outputs if o.name == name and o.assessed)
    return next((share for share in known if share is not None), None)


def _operating_point(
    name: str, thresholds: Sequence[float | None], policy: Policy, record: EnsembleRecord | None
) -> OperatingPoint | None:
    if record is not None and name in record.operating_points:
        return record.operating_points[name].get(policy)
    known = [threshold for threshold in thresholds if threshold is not None]
    return OperatingPoint(fmean(known), None, None) if len(known) == len(thresholds) else None


def operating_points(
    manifests: Sequence[Manifest], record: EnsembleRecord | None = None
) -> dict[str, dict[str, OperatingPoint]]:
    """Return finding → policy → the cut that ``combine`` lays on the ensemble's confidence; what has none is absent."""
    members = [manifest for manifest in manifests if manifest.in_ensemble]
    outputs: dict[str, list[Output]] = {}
    for output in (one for manifest in members for one in manifest.outputs if one.assessed):
        outputs.setdefault(output.name, []).append(output)
    points: dict[str, dict[str, OperatingPoint]] = {}
    for name, own in outputs.items():
        if any(output.calibration is None for output in own):
            continue
        for policy in get_args(Policy):
            cuts = [output.operating_points.get(policy) for output in own]
            point = _operating_point(name, [None if cut is None else cut.threshold for cut in cuts], policy, record)
            if point is not None:
                points.setdefault(name, {})[policy] = point
    return points


def top_finding(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding with the largest confidence; ``Normal`` is none."""
    return max((f for f in findings if f.name != NORMAL), key=lambda finding: finding.confidence, default=None)


def can_say(findings: Sequence[Finding]) -> bool:
    """Return whether the findings allow a recommendation: one of them is present by its set, or ``Normal`` is claimed.

    Where the leading finding has no set, nothing is known that would speak against one.
    """
    top = top_finding(findings)
    if top is None or top.set is None:
        return True
    return any(one.positive if one.name == NORMAL else one.set == "present" for one in findings)


def disagreements(results: Sequence[MemberResult], record: EnsembleRecord | None) -> tuple[Disagreement, ...]:
    """Return where the verifying member lies further from the mean of the others than the record's limits, largest excess first."""
    together = [result for result in results if result.in_ensemble]
    verifier = next((result for result in together if result.slot == VERIFIER), None)
    if verifier is None or record is None or record.uncertainty is None:
        return ()
    found = []
    for own in verifier.predictions:
        others = [
            one.confidence
            for result in together
            for one in result.predictions
            if result is not verifier and one.name == own.name
        ]
        allowed = record.uncertainty.cross_check.get(own.name)
        if allowed is not None and others and abs(own.confidence - fmean(others)) > allowed.limit:
            found.append(Disagreement(own.name, verifier.model, own.confidence, fmean(others), allowed.limit))
    return tuple(sorted(found, key=lambda one: one.limit - abs(one.confidence - one.others)))


def conflicts(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return where the answer contradicts itself, in words."""
    positive = [finding.name for finding in findings if finding.positive]
    others = [name for name in positive if name != NORMAL]
    if NORMAL not in positive or not others:
        return ()
    return (f"{NORMAL} (none of the listed findings) is above its operating point, and so is: {', '.join(others)}.",)


def not_assessed(manifests: Sequence[Manifest], findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return what members of the ensemble have an output for, but none assesses."""
    named = dict.fromkeys(output.name for manifest in manifests if manifest.in_ensemble for output in manifest.outputs)
    return tuple(sorted(named.keys() - {finding.name for finding in findings}))
