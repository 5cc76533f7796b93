"""What a DICOM header says against reading its film: coded reasons, without a word about whom it shows.

A reason says what kind of thing stands in the header, never the value itself, unless that is one of DICOM's own terms. An age
becomes a reason, or nothing, here; neither it nor a date leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset

from hilum.records import Reason

ADULT = 18
"""Years."""

# OT and SC: what digitised films are often labelled. Absent: the picture itself has to be judged.
_PROJECTION = ("CR", "DX", "RG", "SC", "OT", "")
# Shown in messages; anything else that stands there could be free text, and is not repeated.
_MODALITIES = frozenset(
    "AU BI CT DOC ECG ES GM IO IVUS KO MG MR NM OP OPT PR PT PX RF RTDOSE RTIMAGE RTPLAN RTSTRUCT SEG SM SR US XA XC".split()  # noqa: SIM905
)

_LATERAL = ("LL", "RL", "LAT", "LATERAL")
_OBLIQUE = ("RLO", "LLO", "RAO", "LAO", "RPO", "LPO", "OBL", "OBLIQUE")
# Decubitus films are frontal: the beam is horizontal, the patient lies.
FRONTAL = ("AP", "PA", "RLD", "LLD")
PROJECTIONS = (*FRONTAL, *_LATERAL, *_OBLIQUE)
"""Values of View Position that are repeated; anything else could be free text."""

# PS3.16, CID 4010: SNOMED CT, and SNOMED RT as older devices write it.
LATERAL_CODES = {
    "399067008": "R-102CD",  # lateral
    "399173006": "R-10236",  # left lateral
    "399198007": "R-10232",  # right lateral
    "399260004": "R-10224",  # medial-lateral
    "399352003": "R-10228",  # lateral-medial
    "30730003": "G-A145",  # sagittal
}
OBLIQUE_CODES = {
    "399182000": "R-102C1",  # oblique
    "399184004": "R-10238",  # left oblique
    "399236003": "R-10234",  # right oblique
    "399135007": "R-10220",  # left anterior oblique
    "399356000": "R-40985",  # right anterior oblique
    "399006002": "R-10212",  # left posterior oblique
    "399038007": "R-10210",  # right posterior oblique
    "399059000": "R-10216",  # postero-anterior oblique
    "399312000": "R-10208",  # antero-posterior oblique
}

# PS3.16, annex L and CID 4009: terms of Body Part Examined that are not the chest, with their codes.
# What is not listed, such as a term of somebody's own, says nothing.
OTHER_PARTS: dict[str, tuple[str, str]] = {
    "ABDOMEN": ("818981001", ""),
    "ANKLE": ("70258002", "T-15750"),
    "BREAST": ("76752008", "T-04000"),
    "CALCANEUS": ("80144004", "T-12770"),
    "CLAVICLE": ("51299004", "T-12310"),
    "COCCYX": ("64688005", "T-11BF0"),
    "CSPINE": ("122494005", "T-11501"),
    "ELBOW": ("16953009", "T-15430"),
    "EXTREMITY": ("66019005", "T-D0300"),
    "FEMUR": ("71341001", "T-12710"),
    "FIBULA": ("87342007", "T-12750"),
    "FINGER": ("7569003", "T-D8800"),
    "FOOT": ("56459004", "T-D9700"),
    "FOREARM": ("14975008", "T-D8500"),
    "HAND": ("85562004", "T-D8700"),
    "HEAD": ("69536005", "T-D1100"),
    "HIP": ("29836001", "T-D2500"),
    "HUMERUS": ("85050009", "T-12410"),
    "ILIUM": ("22356005", "T-12340"),
    "JAW": ("661005", "T-D1213"),
    "KNEE": ("72696002", "T-D9200"),
    "LEG": ("61685007", "T-D9000"),
    "LSPINE": ("122496007", "T-11503"),
    "LSSPINE": ("1217253001", ""),
    "MANDIBLE": ("91609006", "T-11180"),
    "MAXILLA": ("70925003", "T-11170"),
    "NECK": ("45048000", "T-D1600"),
    "ORBIT": ("363654007", "T-D14AE"),
    "PATELLA": ("64234005", "T-12730"),
    "PELVIS": ("816092008", ""),
    "SCAPULA": ("79601000", "T-12280"),
    "SHOULDER": ("16982005", "T-D2220"),
    "SKULL": ("89546000", "T-11100"),
    "SPINE": ("421060004", "T-D04FF"),
    "SSPINE": ("54735007", "T-11AD0"),
    "STERNUM": ("56873002", "T-11210"),
    "THIGH": ("68367000", "T-D9100"),
    "THUMB": ("76505004", "T-D8810"),
    "TLSPINE": ("1217256009", ""),
    "TOE": ("29707007", "T-D9800"),
    "TSPINE": ("122495006", "T-11502"),
    "WRIST": ("74670003", "T-15460"),
    "ZYGOMA": ("13881006", "T-11166"),
}


def stated(dataset: Dataset) -> tuple[Reason, ...]:
    """Return what the header says against reading the film, at most one reason a code, in a fixed order."""
    return tuple(Reason(code, message, basis="header") for code, message in _stated(dataset))


def _stated(dataset: Dataset) -> Iterator[tuple[str, str]]:
    modality = _term(dataset, "Modality")
    if modality not in _PROJECTION:
        named = f"is {modality}" if modality in _MODALITIES else "is one that is not known here"
        yield "wrong_modality", f"The header's modality {named}; a chest radiograph is CR, DX or a secondary capture."
    if _not_chest(dataset):
        yield "not_chest", "The header names another part of the body than the chest."
    if view := _side_view(dataset):
        yield (
            "lateral_view",
            f"The header says that this is {view} view; the networks learnt from frontal ones, PA and AP.",
        )
    years = _years(dataset)
    if years is not None and years < ADULT:
        yield (
            "paediatric",
            f"The header says that the patient is under {ADULT}; the networks learnt from adults, mostly.",
        )
    if _term(dataset, "PresentationIntentType") == "FOR PROCESSING":
        yield (
            "for_processing",
            "The header says that these are a detector's raw values. Send the image FOR PRESENTATION.",
        )


def _term(dataset: Dataset, keyword: str) -> str:
    """Return an element's text as DICOM's terms are written; empty where there is none."""
    return str(dataset.get(keyword) or "").strip().upper()


def _not_chest(dataset: Dataset) -> bool:
    part = _term(dataset, "BodyPartExamined")
    return part in OTHER_PARTS or (not part and _coded(dataset, "AnatomicRegionSequence", OTHER_PARTS.values()))


def _side_view(dataset: Dataset) -> str:
    """Return "a lateral", "an oblique", or nothing: by View Position, else its code, else how the film lies."""
    view = _term(dataset, "ViewPosition")
    if view in _LATERAL or (not view and _coded(dataset, "ViewCodeSequence", LATERAL_CODES.items())):
        return "a lateral"
    if view in _OBLIQUE or (not view and _coded(dataset, "ViewCodeSequence", OBLIQUE_CODES.items())):
        return "an oblique"
    if view or dataset.get("ViewCodeSequence"):
        return ""
    # Along the rows of a frontal film lie left and right; of a lateral one, front and back.
    rows = dataset.get("PatientOrientation") or [""]
    return "a lateral" if str(rows[0]).strip()[:1] in ("A", "P") else ""


def _coded(dataset: Dataset, keyword: str, codes: Iterable[tuple[str, str]]) -> bool:
    """Say whether the first item of a code sequence is one of ``codes``, pairs of SNOMED CT and RT."""
    items = dataset.get(keyword) or [Dataset()]
    value = str(items[0].get("CodeValue") or "")
    return bool(value) and any(value in pair for pair in codes)


def _years(dataset: Dataset) -> float | None:
    """Return the patient's age in years where the header tells it; 000Y, which stands for "not known", does not."""
    found = re.fullmatch(r"(\d{1,3})([DWMY])", _term(dataset, "PatientAge"))
    if found and (int(found[1]) or found[2] != "Y"):
        return int(found[1]) / {"D": 365, "W": 52, "M": 12, "Y": 1}[found[2]]
    born, taken = _date(dataset, "PatientBirthDate"), _date(dataset, "StudyDate")
    # Of the difference of two dates written as numbers, the ten thousands are full years.
    return None if not born or not taken or taken < born else (taken - born) // 10_000


def _date(dataset: Dataset, keyword: str) -> int:
    """Return a date as the number YYYYMMDD, 0 where there is none."""
    text = _term(dataset, keyword).replace(".", "")
    return int(text) if re.fullmatch(r"[12]\d{7}", text) else 0
