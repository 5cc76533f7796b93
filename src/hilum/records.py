"""The frozen records that flow through the house, from a film to an answer.

Scores have four names, and no other:

``score``
    A member's raw sigmoid output, 0–1. Depends on how its training films were chosen.
``evidence``
    Log likelihood ratio (natural log) that the film gives a finding: 0 is none, positive is for it.
``confidence``
    ``100 × sigmoid(evidence)``, 0–100: how likely the finding would be, had it been as likely as not before the film.
``probability``
    ``sigmoid(evidence + log-odds of the prevalence)``, 0–1: at a stated prevalence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Crop = Literal["whole", "centre"]
Slot = Literal["densenet", "mobilenet", "custom"]
Policy = Literal["youden", "rule_in", "rule_out"]
"""Which operating points decide what counts as positive."""


Precision = Literal["fp32", "int8"]
"""What networks compute in. ``int8``: those members that have measured weights for it; the others stay at fp32."""


Action = Literal["refuse", "warn", "ignore"]
"""What the gate does about a reason."""

Said = Literal["present", "absent", "can't say"]
"""What a conformal set holds: one answer, or both."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a film was refused or warned about."""

    code: str
    message: str
    action: Action = "refuse"
    """``refuse`` or ``warn``; what the gate ignores is not kept."""
    basis: Literal["pixels", "header"] = "pixels"
    """What says so: the picture itself, or the file's header. One code may have both."""


@dataclass(frozen=True, slots=True)
class ScopePolicy:
    """What is done about a film that is, by its code, outside of what the networks learnt. Each field is a reason's code."""

    wrong_modality: Action = "refuse"
    not_chest: Action = "refuse"
    lateral_view: Action = "refuse"
    paediatric: Action = "refuse"
    for_processing: Action = "refuse"
    not_a_radiograph: Action = "refuse"
    out_of_distribution: Action = "refuse"
    several_images: Action = "refuse"
    cropped: Action = "warn"
    blurred: Action = "refuse"
    underexposed: Action = "refuse"
    overexposed: Action = "refuse"
    photographed: Action = "refuse"
    annotated: Action = "warn"


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """What tells a chest radiograph from other pictures, by one member's pooled features (C). Part of that member's bundle."""

    kinds: tuple[str, ...]
    """``film``, and what else there is."""
    mean: Array
    scale: Array
    """(C,) each: features are standardised by them first."""
    weight: Array
    bias: Array
    """C×K and (K,): logits of the kinds."""
    basis: Array
    """C×D: principal directions of radiographs."""
    spread: Array
    """(D,): standard deviation of radiographs along each."""
    film_limit: float
    """0–1: a picture is a film if that kind's share reaches it."""
    distance_limit: float
    """Squared distance, mean over the directions, that radiographs stay below."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture looks like."""

    kind: str
    """The likeliest kind that is no film."""
    share: float
    """Its share, 0–1."""
    film: float
    """The share of ``film``, 0–1."""
    distance: float
    """From the radiographs that the gate learnt; above 1 lies beyond them."""
    film_limit: float
    detail: float = 0.0
    """Fine structure beside coarse: log10 of the ratio of their spectral densities; falls where a film is blurred."""

    @property
    def is_film(self) -> bool:
        return self.film >= self.film_limit


@dataclass(frozen=True, slots=True)
class Source:
    """What a radiograph was read from. Holds no patient data: no file name, no header text but coded values."""

    format: str
    """``PNG``, ``JPEG``, ``TIFF``, ``BMP``, ``WebP`` or ``DICOM``."""
    width: int
    height: int
    bits: int
    """Bits stored per sample."""
    sha256: str
    """Hex digest of the bytes as given."""
    photometric_interpretation: str | None = None
    """As stored (DICOM terms), before any inversion."""
    projection: str | None = None
    """DICOM View Position (``PA``, ``AP``, ``LL`` …) where the header says it."""
    notes: tuple[str, ...] = ()
    """What was done on the way in, in words for the reader: first of several frames, polarity inverted, turned by EXIF."""


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One film: float32, H×W, 0–1, bright = dense."""

    pixels: Array
    source: Source
    chroma: float = 0.0
    """Mean of (max − min over R, G, B), 0–1: 0 for a grey image, above about 0.05 for a colour photograph."""
    stated: tuple[Reason, ...] = ()
    """What the file's header says against reading it. The gate decides what is done about that."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network takes. Part of the weights: training and serving both obey it.

    Pixels 0–1 are resampled to ``height`` × ``width``, repeated over ``channels``, then ``(p * scale - mean) / std``.
    """

    height: int
    width: int
    channels: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: Crop = "whole"
    """``whole``: the film is stretched to the input. ``centre``: its largest centred rectangle of the input's shape."""
    layout: Literal["NCHW", "NHWC"] = "NCHW"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval (bootstrap over patients)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """``evidence = slope * logit + intercept``: Platt scaling with the validation set's log-odds already taken off."""

    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A cut on the confidence scale, with what it gave on the patients it was chosen on (validation)."""

    threshold: float
    """0–100; a finding is positive at or above it."""
    sensitivity: float | None
    specificity: float | None
    positives: int | None = None
    """Films with the finding behind ``sensitivity``; None where that was not kept."""
    negatives: int | None = None
    """Films without it behind ``specificity``."""


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """How far one output's probabilities can be believed, at the evaluated films' own prevalence."""

    brier: Interval
    """Mean squared difference of probability and label; 0 is best."""
    slope: Interval | None
    """Of the logistic regression of the label on the evidence; 1 is best, below 1 the evidence is too extreme. None: the
    films are too few to tell, since the evidence separates them or most of the bootstrap's draws."""
    intercept: Interval
    """The same with the slope held at 1; 0 is best, above 0 the probabilities are too low."""
    ece: Interval
    """Expected calibration error over bins of equally many films."""
    ece_floor: Interval
    """Mean, and middle 95 %, of the ECE that perfectly calibrated probabilities would show on as many films."""


@dataclass(frozen=True, slots=True)
class MapCheck:
    """Do an output's heat maps show what the network used? Rank correlations over the map's cells, −1 to 1, mean over films."""

    films: int
    """Films that nothing trained on, those for which the output speaks loudest."""
    occlusion: Interval
    """Between the map and how much the logit falls when each cell is covered."""
    randomised: Interval
    """Between the map and that of the same network with its weights shuffled."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a member, in the order of its logits."""

    name: str
    assessed: bool
    """False: the network has this output but nobody may use it; ``reason`` says why."""
    reason: str | None = None
    positives: int | None = None
    """Positive training patients."""
    calibration: Calibration | None = None
    prevalence: float | None = None
    """Reference prevalence, 0–1, that ``probability`` maps to."""
    operating_points: Mapping[str, OperatingPoint] = field(default_factory=dict)
    """By policy: ``youden``, ``rule_in``, ``rule_out``."""
    auroc: Interval | None = None
    """On held-out patients, 1024-pixel originals."""
    map_check: MapCheck | None = None
    """None: nobody checked its heat maps."""


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """What the weights learnt from."""

    dataset: str
    """Name shown to people, such as ``NIH ChestX-ray14``."""
    declared: bool = False
    """True: a user's sidecar or file name says so; nobody here trained it."""
    images: int | None = None
    patients: int | None = None
    image_licence: str | None = None
    label_licence: str | None = None
    label_sources: tuple[str, ...] = ()
    citation: str | None = None
    pretraining: str | None = None
    teachers: tuple[str, ...] = ()
    commit: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class CalibratedOn:
    """The films that a later calibration was fitted on, where it is not the training's own."""

    outputs: tuple[str, ...]
    """Which outputs were calibrated on them; the others kept what they had."""
    films: int
    patients: int
    films_sha256: str
    """Of the films' names, patients and labels."""
    base_sha256: str
    """Of the manifest of the bundle that was calibrated anew."""
    base_version: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Int8Figures:
    """What computing in 8 bits costs, measured on patients that neither the training nor its calibration saw."""

    calibration_films: int
    """Training films that the ranges of the activations were measured on."""
    films: int
    patients: int
    """Validation patients; each loss is of them."""
    mean_auroc_loss: Interval
    """fp32's mean AUROC over the assessed outputs minus int8's, paired, with its interval by bootstrap over patients."""
    auroc_loss: Mapping[str, float]
    """Output → the same for it alone."""
    heatmap_correlation: float | None
    """Median over films and outputs of the correlation of the two precisions' heat maps; None where there are none."""
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything a bundle says of itself. ``manifest.json`` is this record, nothing else."""

    schema: int
    id: str
    """Folder name: lower case letters, digits, hyphens. Unique among the bundles of one engine."""
    version: str
    architecture: str
    """``DenseNet121``, ``MobileNetV2``, ``HilumCNN`` …"""
    slot: Slot | None
    """Which of the three classic members this is; None for a further one."""
    trained_on: TrainedOn
    input: InputSpec
    outputs: tuple[Output, ...]
    files: Mapping[str, str]
    """sha256 (hex) of every other file in the folder, by name."""
    in_ensemble: bool = True
    warnings: tuple[str, ...] = ()
    """Shown wherever this member's answer is shown, such as "label order assumed"."""
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    """What turns the graph's ``logits`` into scores."""
    figures: Mapping[str, Interval] = field(default_factory=dict)
    """Summary figures on held-out patients, such as ``mean_auroc``."""
    calibrated_on: CalibratedOn | None = None
    """None: calibrated on the training's validation patients, or not at all."""
    int8: Int8Figures | None = None
    """What was measured of ``model.int8.onnx``; None where there is none."""

    @property
    def name(self) -> str:
        """The name people see, composed, so that it can't get out of step with what it names."""
        if self.trained_on.declared:
            return f"{self.architecture} ({self.trained_on.dataset}, declared)"
        return f"{self.architecture} ({self.trained_on.dataset}-trained)"

    @property
    def assessed(self) -> tuple[str, ...]:
        """Names of the outputs that may be used, in the graph's order."""
        return tuple(output.name for output in self.outputs if output.assessed)


@dataclass(frozen=True, slots=True)
class ConformalCuts:
    """Where one finding's set is a single answer, on the ensemble's confidence. In between, and where both hold, it can't say."""

    absent_below: float
    """0–100."""
    present_above: float
    """0–100."""
    positives: int
    """Films with the finding that ``absent_below`` rests on."""
    negatives: int
    """Films without it that ``present_above`` rests on."""


@dataclass(frozen=True, slots=True)
class IntervalSteps:
    """Venn–Abers probabilities of one finding as step functions of the ensemble's confidence."""

    cuts: tuple[float, ...]
    """Rising, 0–100; step ``i`` begins at ``cuts[i - 1]``."""
    low: tuple[float, ...]
    """Shares 0–1, one more than there are cuts: had the film shown no such finding."""
    high: tuple[float, ...]
    """The same, had it shown one."""
    prevalence: float
    """Of the films that these shares are from, 0–1."""


@dataclass(frozen=True, slots=True)
class NormalClaim:
    """At which miss rate ``Normal`` is claimed: the share of films with a listed finding that are called normal all the same."""

    most: float
    """What its operating point was chosen for, 0–1."""
    missed: Interval
    """On the films that it was chosen on."""
    held_out: Interval | None
    """On held-out patients; None where they have no such film."""


@dataclass(frozen=True, slots=True)
class CrossLimit:
    """How far the verifying member may lie from the others on one finding, on confidence 0–100."""

    limit: float
    films: int
    """Films that it was chosen on."""


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """What is known of how sure the ensemble may be. Fitted on validation patients, whom no member was trained on."""

    films: int
    patients: int
    promise: float
    """0–1: of films with a finding, at least this share of sets holds ``present``; of films without, ``absent``."""
    evidence: Mapping[str, Calibration] = field(default_factory=dict)
    """Finding → what turns the log-odds of the mean confidence into evidence; findings of one member have none."""
    intervals: Mapping[str, IntervalSteps] = field(default_factory=dict)
    sets: Mapping[str, ConformalCuts] = field(default_factory=dict)
    no_set: Mapping[str, str] = field(default_factory=dict)
    """Finding → why it has neither set nor interval."""
    normal: NormalClaim | None = None
    cross_share: float | None = None
    """0–1: the share of validation films, finding by finding, whose difference lies within the limit."""
    cross_check: Mapping[str, CrossLimit] = field(default_factory=dict)
    """Finding that the verifying member shares with others → limit."""


@dataclass(frozen=True, slots=True)
class EnsembleRecord:
    """What was measured of some members together; it holds for exactly these."""

    members: Mapping[str, str]
    """Bundle id → sha256 of its manifest."""
    operating_points: Mapping[str, Mapping[str, OperatingPoint]]
    """Finding → policy → cut on the ensemble's confidence, chosen on the validation patients."""
    auroc: Mapping[str, Interval]
    """Finding → figure on held-out patients."""
    figures: Mapping[str, Interval] = field(default_factory=dict)
    """Summary figures on held-out patients, such as ``mean_auroc``."""
    command: str | None = None
    """What made it."""
    calibration: Mapping[str, CalibrationFigures] = field(default_factory=dict)
    """Finding → how well the ensemble's own evidence is calibrated, on held-out patients."""
    uncertainty: Uncertainty | None = None
    """None: nobody fitted it, as in records of earlier versions."""


@dataclass(frozen=True, slots=True)
class ReferenceRecord:
    """Which films a reference is of. It holds for exactly these members; ``reference.npz`` holds the films' statistics."""

    members: Mapping[str, str]
    """Bundle id → sha256 of its manifest, of every open member."""
    films: int
    patients: int
    films_sha256: str
    """Of the films' names, patients and labels."""
    statistics: tuple[str, ...]
    """Names of the columns."""
    sha256: str
    """Of ``reference.npz``."""
    command: str | None = None
    """What made it."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What films were like when the members were validated."""

    record: ReferenceRecord
    values: Array
    """N×K: one row a film, one column a statistic; NaN where a film has none, as the confidences of a refused one."""


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


@dataclass(frozen=True, slots=True)
class Finding:
    """The ensemble's answer for one finding (or ``Normal``)."""

    name: str
    confidence: float
    """0–100: the mean of the members' that assess it."""
    evidence: float | None
    """The logit of ``confidence``, put right by the ensemble's own calibration where these members have one, since averaging
    makes calibrated confidences too flat; ``confidence`` stays the plain mean. None while an uncalibrated member takes part."""
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
