"""What was seen on one film: from a network's output to the whole analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hilum.records.bundle import Slot, TrainedOn
from hilum.records.ensemble import NormalClaim
from hilum.records.film import Array, Look, Reason, Source

Said = Literal["present", "absent", "can't say"]
"""What a conformal set holds: one answer, or both."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What one member's network gave for one film."""

    logits: Array
    """float32, (n outputs,), in the manifest's order."""
    features: Array | None
    """Last feature map, float32, C×h×w; None where the graph has none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is this one frontal chest radiograph, fit to be read? A refusal is a value, not an error."""

    accepted: bool
    reasons: tuple[Reason, ...] = ()
    """Those that refuse it first, then those that only warn: an accepted film may have some of these."""

    @property
    def refusals(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.action == "refuse")

    @property
    def warnings(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.action == "warn")


@dataclass(frozen=True, slots=True)
class MemberFinding:
    """One member's answer for one of its assessed outputs."""

    name: str
    score: float
    """Raw sigmoid output, 0–1."""
    evidence: float | None
    """None for an uncalibrated member."""
    confidence: float
    """0–100; ``100 × score`` for an uncalibrated member."""
    probability: float | None
    threshold: float | None
    positive: bool | None


@dataclass(frozen=True, slots=True)
class MemberResult:
    """One member's whole answer, sorted by falling confidence."""

    model: str
    """The composed name."""
    bundle: str
    """The bundle's id."""
    slot: Slot | None
    calibrated: bool
    in_ensemble: bool
    predictions: tuple[MemberFinding, ...]
    not_assessed: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    votes: int = 1
    """How often its answer counts in the ensemble's mean."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The ensemble's answer for one finding (or ``Normal``)."""

    name: str
    confidence: float
    """0–100: the mean of the members' that assess it, by their votes."""
    evidence: float | None
    """The logit of ``confidence``, put right by the ensemble's own calibration where these members have one, since averaging
    makes calibrated confidences too flat; ``confidence`` stays that mean. None while an uncalibrated member takes part."""
    probability: float | None
    prevalence: float | None
    """The prevalence behind ``probability``, 0–1."""
    spread: float | None
    """Largest minus smallest member confidence; None where only one member assesses it."""
    threshold: float | None
    positive: bool | None
    sensitivity: float | None
    specificity: float | None
    members: Mapping[str, float]
    """Composed member name → confidence."""
    interval: tuple[float, float] | None = None
    """Around ``probability``, 0–1: what two ways of counting this film among the calibration's films give (Venn–Abers)."""
    set: Said | None = None
    """The conformal set; None where these members have none for this finding."""

    @property
    def margin(self) -> float | None:
        """Confidence minus threshold; negative below the operating point."""
        return None if self.threshold is None else self.confidence - self.threshold


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Where one member looked for one finding, on the film's own pixel grid, coarsely sampled."""

    finding: str
    model: str
    values: Array
    """float32, h×w, 0–1, not upsampled: cell (r, c) covers its share of ``box``."""
    box: tuple[float, float, float, float]
    """x, y, width, height of the network's field in the film's own pixels."""
    gain: float | None = None
    """How much oftener the member's maps of this finding point into readers' boxes than one fixed point does, −1 to 1, where that
    was measured."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A heat map that would mislead, and is not shown."""

    finding: str
    model: str
    reason: str
    """In words, as a part of a sentence."""


@dataclass(frozen=True, slots=True)
class ModelProvenance:
    """By which weights, trained on what."""

    name: str
    bundle: str
    version: str
    sha256: str
    """Of the manifest, which holds the hash of every other file."""
    precision: str
    trained_on: TrainedOn
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which software and which models made an analysis."""

    software: str
    """``hilum`` and its version."""
    models: tuple[ModelProvenance, ...]
    policy: str
    """Which operating points were used: ``youden``, ``rule_in`` or ``rule_out``."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A finding on which the verifying member lies further from the others than it did on the films it was checked on."""

    finding: str
    model: str
    """The verifying member's composed name."""
    confidence: float
    """Its own, 0–100."""
    others: float
    """Mean of the others', 0–100."""
    limit: float
    """The largest usual difference."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """The whole answer. Every report is rendered from this and nothing else."""

    source: Source
    verdict: Verdict
    provenance: Provenance
    findings: tuple[Finding, ...] = ()
    """Sorted by falling confidence; ``Normal`` among them where a member assesses it."""
    not_assessed: tuple[str, ...] = ()
    members: tuple[MemberResult, ...] = ()
    heatmaps: tuple[Heatmap, ...] = ()
    no_heatmap: Mapping[str, str] = field(default_factory=dict)
    """Composed member name → why it gives no heat map."""
    ensemble_confidence: float | None = None
    """0–100, one decimal: the confidence of the top finding, ``Normal`` left out. None when refused."""
    level: str | None = None
    recommendation: str | None = None
    conflicts: tuple[str, ...] = ()
    """Where the answer contradicts itself, such as Normal and a finding both above their operating point."""
    look: Look | None = None
    """What the picture looks like; None where it was refused before a network saw it, or where no member can tell."""
    withheld: tuple[Withheld, ...] = ()
    """Heat maps that are not shown, though their member gives some."""
    disagreements: tuple[Disagreement, ...] = ()
    """Where the verifying member and the others contradict each other."""
    promise: float | None = None
    """0–1: the coverage that the findings' sets promise; None where these members have none."""
    normal_claim: NormalClaim | None = None
    """At which miss rate Normal is claimed; None where these members were not measured for it."""
