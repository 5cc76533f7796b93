"""The experiment as data: one TOML file that training obeys and that is saved, resolved, with its result."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveInt, StringConstraints, TypeAdapter, ValidationError

from hilum.datasets.labels import Uncertain, Unmentioned
from hilum.datasets.layouts import Layout
from hilum.datasets.table import FRONTAL
from hilum.errors import ConfigError
from hilum.records import Slot

_STRICT = ConfigDict(extra="forbid")
OFFICIAL = Path("official")
"""In place of a file of patients: the data set's own split."""


@dataclass(frozen=True, slots=True)
class Data:
    """Which films. Paths are relative to the configuration file."""

    __pydantic_config__ = _STRICT
    table: Path
    """A CSV of labelled films, or the folder of a data set."""
    holdout: Path
    """Patients that nothing trains or calibrates on: a file, or ``official`` for the data set's own test patients."""
    validation: Path | None = None
    """Patients for calibration and for choosing operating points: a file, or ``official``. Cross-validation does without."""
    sources: tuple[str, ...] = ()
    """Values of the table's ``source`` column to take; none named: all."""
    layout: Layout | None = None
    """The data set's; None tells it by the files."""
    uncertain: Uncertain | dict[str, Uncertain] = "ignore"
    """What uncertain labels become for training, all of them or by finding; to calibrate and judge they are unknown."""
    unmentioned: Unmentioned = "ignore"
    """What a finding becomes that the report does not mention."""
    views: tuple[str, ...] = FRONTAL
    """Views to take; an empty one is not known. Without laterals by default."""
    root: Path | None = None
    """Folder that the table's image paths start from; the table's own by default."""
    min_original_width: int = 0
    """Leave out films made from smaller originals: blur must not give the answer away."""
    training_only: tuple[str, ...] = ()
    """Further sources whose films train, however small their originals; nothing is calibrated or judged on them."""
    film_size: int = 256
    """Films are kept in memory at this size, in pixels, and augmented from it."""


@dataclass(frozen=True, slots=True)
class TrainedOnText:
    """What the manifest says of the data; counts are filled in by training."""

    __pydantic_config__ = _STRICT
    dataset: str
    image_licence: str
    label_licence: str
    citation: str


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Which network, and where its weights start."""

    __pydantic_config__ = _STRICT
    architecture: Annotated[
        str,
        StringConstraints(pattern=r"^(DenseNet121|MobileNetV2|HilumCNN|EfficientNet-Lite[02]|timm:[A-Za-z0-9_.]+)$"),
    ]
    """One of ours, or ``timm:`` and timm's name of any network that it has."""
    outputs: tuple[str, ...]
    slot: Slot | None = None
    """Which of the three classic members this is; None for a further one."""
    auxiliary_outputs: tuple[str, ...] = ()
    """Trained beside ``outputs`` to shape the features, and left out of the bundle."""
    initial: Literal[
        "random", "mobilenetv2-tflite", "efficientnet-lite0", "efficientnet-lite2", "timm", "run", "bundle"
    ] = "random"
    """``timm``: the public weights of a timm network. ``run``: an earlier training, on other films perhaps. ``bundle``: a finished
    member. The last two of the same trunk."""
    initial_path: Path | None = None
    """The TFLite file for ``mobilenetv2-tflite``, the folder of the ``run`` or ``bundle``; a file for ``timm`` to read instead of
    downloading."""
    trainable: Annotated[str, StringConstraints(pattern=r"^(all|head|last:[1-9]\d*)$")] = "all"
    """``head``: the trunk stays as it starts. ``last:N``: so do all but the last N of its parts. Frozen batch norms stay fixed."""

    def __post_init__(self) -> None:
        of_timm = self.architecture.startswith("timm:")
        if self.initial == "timm" and not of_timm:
            raise ValueError('initial = "timm" needs an architecture that begins with timm:')
        if self.initial not in ("random", "timm", "run") and of_timm:
            raise ValueError(f'a timm network can\'t start from {self.initial}: expected "random", "timm" or "run"')

    @property
    def trained_outputs(self) -> tuple[str, ...]:
        """All outputs while training; the bundle keeps the first ``len(outputs)``."""
        return self.outputs + self.auxiliary_outputs


@dataclass(frozen=True, slots=True)
class Distillation:
    """Teachers whose mean score is a second, soft label of every film: finished trainings, members, and a file of scores."""

    __pydantic_config__ = _STRICT
    runs: tuple[Path, ...] = ()
    """Folders of finished trainings on the same splits."""
    bundles: tuple[Path, ...] = ()
    """Folders of finished members, whoever trained them. They teach what they assess."""
    soft_labels: Path | None = None
    """A .csv or .npz file of scores by film, from whatever teachers there are; it counts as one of them."""
    teachers: tuple[str, ...] = ()
    """What the manifest calls those behind ``soft_labels``."""
    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the soft labels in the loss, 0–1."""

    def __post_init__(self) -> None:
        if not self.runs and not self.bundles and self.soft_labels is None:
            raise ValueError("names no teacher: expected runs, bundles or soft_labels")
        if bool(self.teachers) != (self.soft_labels is not None):
            raise ValueError(
                "soft_labels needs teachers, the names of those that gave the scores, and teachers needs soft_labels"
            )


@dataclass(frozen=True, slots=True)
class BoxConfig:
    """Boxes that readers drew, which teach the network where to look. They need a trunk that trains."""

    __pydantic_config__ = _STRICT
    table: Path
    """A CSV of boxes by film and finding."""
    weight: NonNegativeFloat = 0.05
    """What the part of the maps outside the boxes adds to the loss, times this."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Some epochs at one input size. The one-cycle schedule spans a phase."""

    __pydantic_config__ = _STRICT
    size: PositiveInt
    epochs: PositiveInt
    learning_rate: float
    batch: PositiveInt = 32
    """Films a step, over all workers."""


@dataclass(frozen=True, slots=True)
class Pretraining:
    """Films of a second table that the network learns from first. The splits and the film size are the experiment's."""

    __pydantic_config__ = _STRICT
    dataset: str
    """What the manifest calls these films."""
    table: Path
    sources: tuple[str, ...]
    phases: tuple[Phase, ...]
    root: Path | None = None
    layout: Layout | None = None
    distillation: Distillation | None = None


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Limits of the random changes; each is drawn anew for each film and epoch. No flips: the heart has its side."""

    __pydantic_config__ = _STRICT
    rotation: float = 8.0
    """Degrees, either way."""
    shift: float = 0.05
    """Share of the side, either way."""
    scale: float = 0.12
    """Relative, either way."""
    gamma: float = 0.3
    """Gamma is drawn between exp(−g) and exp(g)."""
    contrast: float = 0.15
    """Relative, either way."""
    blur: float = 0.5
    """Share of the films that are shrunk (to 35–100 %) and enlarged again."""
    noise: float = 0.03
    """Largest standard deviation, of the 0–1 range."""
    jpeg: float = 0.3
    """Share of the films recompressed at quality 30–90."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How the weights move."""

    __pydantic_config__ = _STRICT
    phases: tuple[Phase, ...]
    loss: Literal["bce", "focal", "asymmetric"] = "bce"
    """Binary cross entropy; focal (Lin et al. 2017); asymmetric (Ridnik et al. 2021)."""
    class_balanced: bool = True
    """Weigh an output's positives by the root of negatives per positive."""
    focal_gamma: NonNegativeFloat = 2.0
    gamma_positive: NonNegativeFloat = 0.0
    gamma_negative: NonNegativeFloat = 4.0
    """How strongly the asymmetric loss turns away from easy positives and easy negatives."""
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Negatives that score below it cost nothing in the asymmetric loss."""
    weight_decay: float = 0.02
    clip: NonNegativeFloat = 1.0
    """Largest norm of the gradient; 0: not clipped."""
    patience: PositiveInt | None = None
    """End a phase after so many epochs without a better validation figure, and keep its best averaged weights."""
    ema: float = 0.995
    """Decay of the averaged weights, which are the ones that ship."""
    seed: int = 1
    precision: Literal["fp32", "bf16"] = "fp32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto``: a GPU where there is one."""
    threads: PositiveInt = 2
    variants: PositiveInt = 1
    """With ``trainable = "head"``: of each film, as many are kept as features. The first is the film as it is."""
    checkpoint_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Folds:
    """Cross-validation by patient over everything but the hold-out."""

    __pydantic_config__ = _STRICT
    count: Annotated[int, Field(ge=2)] = 5
    seed: int = 1
    """Deals the patients. The same for a student and its teachers, or a teacher would know the student's patients."""
    phases: tuple[Phase, ...] = ()
    """A shorter schedule for the folds than ``fit.phases``, which the final training keeps."""


@dataclass(frozen=True, slots=True)
class BundleConfig:
    """What the result is called."""

    __pydantic_config__ = _STRICT
    id: str
    version: str


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """The whole experiment."""

    __pydantic_config__ = _STRICT
    data: Data
    trained_on: TrainedOnText
    network: NetworkConfig
    fit: Fit
    bundle: BundleConfig
    augmentation: Augmentation = field(default_factory=Augmentation)
    pretraining: Pretraining | None = None
    distillation: Distillation | None = None
    boxes: BoxConfig | None = None
    folds: Folds = field(default_factory=Folds)
    min_positive_patients: int = 100
    """An output with fewer positive training patients is not assessed."""
    prevalence: dict[str, float] = field(default_factory=dict)
    """Reference prevalence, 0–1, of each output."""

    def __post_init__(self) -> None:
        if self.boxes is not None and self.network.trainable == "head":
            raise ValueError('boxes need a trunk that trains: expected network.trainable = "all" or "last:N"')


_PATHS = ("table", "root", "holdout", "validation", "initial_path", "runs", "bundles", "soft_labels")
_ADAPTER = TypeAdapter(TrainingConfig)


def read_config(path: Path) -> TrainingConfig:
    """Read a configuration file; its relative paths become relative to the file's folder. Raises ``ConfigError``."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("The configuration file does not exist. Expected a TOML file.") from None
    except ValueError as error:  # not UTF-8, not TOML, or a number of thousands of digits
        raise ConfigError(f"The configuration file is not valid TOML: {error}.") from None
    _place(path, content)
    return config_from_dict(content)


def config_from_dict(content: object) -> TrainingConfig:
    """Check a configuration. Raises ``ConfigError`` that names each wrong key."""
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"The training configuration is wrong at {wrong}.") from None


def config_to_json(config: TrainingConfig) -> bytes:
    """Return the resolved configuration, every default written out."""
    return _ADAPTER.dump_json(config, indent=2)


def _place(path: Path, section: dict[str, Any]) -> None:
    """Make every path of a section and of those below it absolute, in place."""
    for key, value in section.items():
        if isinstance(value, dict):
            _place(path, value)
        elif key in _PATHS and isinstance(value, str):
            section[key] = _beside(path, value)
        elif key in _PATHS and isinstance(value, list):
            section[key] = [_beside(path, one) if isinstance(one, str) else one for one in value]


def _beside(path: Path, relative: str) -> str:
    """Return a path that the file names, absolute; links stay links, and what names no file stays as it is."""
    if relative == str(OFFICIAL):
        return relative
    return os.path.abspath(path.parent / relative)  # noqa: PTH100 - Path.resolve would follow links
