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

from hilum.records.answer import (
    Analysis,
    Disagreement,
    Finding,
    Heatmap,
    MemberFinding,
    MemberResult,
    ModelProvenance,
    Provenance,
    Said,
    Scored,
    Verdict,
    Withheld,
)
from hilum.records.bundle import (
    CalibratedOn,
    Calibration,
    CalibrationFigures,
    Crop,
    InputSpec,
    Int8Figures,
    Interval,
    Manifest,
    MapCheck,
    OperatingPoint,
    Output,
    Policy,
    Precision,
    Slot,
    TrainedOn,
)
from hilum.records.ensemble import (
    ConformalCuts,
    CrossLimit,
    EnsembleRecord,
    IntervalSteps,
    NormalClaim,
    Reference,
    ReferenceRecord,
    Uncertainty,
)
from hilum.records.film import (
    Action,
    Appearance,
    Array,
    Look,
    Radiograph,
    Reason,
    ScopePolicy,
    Source,
)

__all__ = [
    "Action",
    "Analysis",
    "Appearance",
    "Array",
    "CalibratedOn",
    "Calibration",
    "CalibrationFigures",
    "ConformalCuts",
    "Crop",
    "CrossLimit",
    "Disagreement",
    "EnsembleRecord",
    "Finding",
    "Heatmap",
    "InputSpec",
    "Int8Figures",
    "Interval",
    "IntervalSteps",
    "Look",
    "Manifest",
    "MapCheck",
    "MemberFinding",
    "MemberResult",
    "ModelProvenance",
    "NormalClaim",
    "OperatingPoint",
    "Output",
    "Policy",
    "Precision",
    "Provenance",
    "Radiograph",
    "Reason",
    "Reference",
    "ReferenceRecord",
    "Said",
    "ScopePolicy",
    "Scored",
    "Slot",
    "Source",
    "TrainedOn",
    "Uncertainty",
    "Verdict",
    "Withheld",
]
