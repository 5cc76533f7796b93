"""What was measured of several members together, and what their films were like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hilum.records.bundle import Calibration, CalibrationFigures, Interval, OperatingPoint
from hilum.records.film import Array


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
    votes: Mapping[str, int] = field(default_factory=dict)
    """Bundle id → how often its answer counts in the mean, chosen on the validation patients; 1 for one that isn't named."""


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
