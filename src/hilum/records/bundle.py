"""What a member is: what it takes, gives and was trained on, as its manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Crop = Literal["whole", "centre"]
Slot = Literal["densenet", "mobilenet", "custom"]
Policy = Literal["youden", "rule_in", "rule_out"]
"""Which operating points decide what counts as positive."""

Precision = Literal["fp32", "int8"]
"""What networks compute in. ``int8``: those members that have measured weights for it; the others stay at fp32."""


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
    boxes: Interval | None = None
    """Share of films, −1 to 1, whose map is brightest inside a reader's box, minus that of the best fixed point; None: not
    measured, or on too few films."""


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
    exact_convolutions: int = 0
    """So many of the network's first convolutions compute in float32 all the same."""


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
