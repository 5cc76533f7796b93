"""The one vocabulary: what a radiograph can show, and what each publisher calls it."""

from __future__ import annotations

NORMAL = "Normal"

FINDINGS: tuple[str, ...] = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Fracture",
    "Hernia",
    "Infiltration",
    "Lesion",
    "Nodule",
    "Opacity",
    "Pleural Thickening",
    "Pneumonia",
    "Pneumothorax",
    "Tuberculosis",
)
"""Findings in alphabetical order; ``Normal`` ("none of the listed findings") is an output, not a finding."""

OUTPUTS: tuple[str, ...] = (*FINDINGS, NORMAL)

DENSENET121_OUTPUTS: tuple[str, ...] = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Fracture",
    "Infiltration",
    "Lesion",
    "Nodule",
    "Pleural Thickening",
    "Pneumonia",
    "Pneumothorax",
)
MOBILENETV2_OUTPUTS: tuple[str, ...] = (
    "Normal",
    "Pneumonia",
    "Tuberculosis",
    "Pneumothorax",
    "Fracture",
    "Effusion",
    "Nodule",
    "Opacity",
    "Cardiomegaly",
    "Edema",
)
CUSTOM_CNN_OUTPUTS: tuple[str, ...] = (
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Normal",
    "Opacity",
    "Pneumonia",
    "Pneumothorax",
)

SYNONYMS: dict[str, str] = {
    # NIH ChestX-ray14 (Data_Entry_2017)
    "mass": "Lesion",
    "pleural_thickening": "Pleural Thickening",
    "no finding": "Normal",
    "infiltrate": "Infiltration",  # in the list of boxes
    # CheXpert and MIMIC-CXR-JPG
    "lung lesion": "Lesion",
    "lung opacity": "Opacity",
    "airspace opacity": "Opacity",  # in MIMIC-CXR-JPG's test set and in Google's labels for NIH
    "pleural effusion": "Effusion",
    # others
    "lesion/mass": "Lesion",
    "oedema": "Edema",
    "enlarged heart": "Cardiomegaly",
}
"""Publishers' names, lower case, that differ from ours. CheXpert's "Enlarged Cardiomediastinum", "Pleural Other"
and "Support Devices" have no counterpart here and stay unmapped."""

_BY_LOWER = {name.lower(): name for name in OUTPUTS} | SYNONYMS


def canonical(name: str) -> str | None:
    """Return our name for a publisher's ``name``, or None where we have no such finding."""
    return _BY_LOWER.get(name.strip().lower())
