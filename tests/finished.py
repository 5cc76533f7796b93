"""A finished analysis, its film and its study, always the same: what the hospital's formats are tested with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from hilum.images.study import StudyContext
from hilum.levels import level, recommendation
from hilum.records import (
    Analysis,
    Finding,
    Heatmap,
    MemberFinding,
    MemberResult,
    ModelProvenance,
    Provenance,
    Radiograph,
    Reason,
    Source,
    TrainedOn,
    Verdict,
)

NOW = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
ROWS, COLUMNS = 120, 100

STUDY = StudyContext(
    sop_class=DigitalXRayImageStorageForPresentation,
    sop_instance="2.25.11",
    series="2.25.12",
    study="2.25.13",
    patient_name="TEST^PATIENT=山田^太郎",
    patient_id="ID 0815",
    patient_id_issuer="TEST HOSPITAL",
    birth_date="19700131",
    sex="F",
    accession_number="A-4711",
    study_id="S1",
    study_date="20261124",
    study_time="101500",
    study_description="Thorax p.a.",
    referring_physician="REFERRING^TEST",
    orientation="L\\F",
    modality="DX",
    manufacturer="TEST VENDOR",
    manufacturer_model="Detector 1",
)

MODELS = (
    ModelProvenance(
        "NetA (Set One-trained)", "net-a", "1.2.0", "ab" * 32, "fp32", TrainedOn("Set One", images=5, patients=4)
    ),
    ModelProvenance(
        "NetB (Set Two, declared)",
        "net-b",
        "0.3.0",
        "cd" * 32,
        "fp32",
        TrainedOn("Set Two", declared=True),
        ("label order assumed",),
    ),
)


def finding(name: str, confidence: float, threshold: float | None = 50.0, probability: float | None = 0.25) -> Finding:
    """Return a finding by two members, with made-up figures."""
    known = threshold is not None
    return Finding(
        name=name,
        confidence=confidence,
        evidence=None,
        probability=probability,
        prevalence=None if probability is None else 0.1188,
        spread=4.94,
        threshold=threshold,
        positive=confidence >= threshold if threshold is not None else None,
        sensitivity=0.6796 if known else None,
        specificity=0.8381 if known else None,
        members={model.name: confidence for model in MODELS},
    )


def film_of(rows: int = ROWS, columns: int = COLUMNS) -> Radiograph:
    """Return a film in memory: two dark lungs on a bright ground."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    lungs = sum(np.exp(-(((x - side) / 0.25) ** 2) - ((y + 0.1) / 0.5) ** 2) for side in (-0.45, 0.45))
    pixels = np.clip(0.85 - 0.7 * lungs, 0, 1).astype(np.float32)
    return Radiograph(pixels, Source("DICOM", columns, rows, 12, "ef" * 32, "MONOCHROME2", "PA"))


def analysis_of(findings: tuple[Finding, ...]) -> Analysis:
    """Return an accepted analysis with these findings, sorted by falling confidence, and a heat map of each."""
    top = max((one.confidence for one in findings if one.name != "Normal"), default=None)
    heat = np.outer(np.hanning(7), np.hanning(7)).astype(np.float32)
    predictions = tuple(
        MemberFinding(
            one.name, one.confidence / 100, None, one.confidence, one.probability, one.threshold, one.positive
        )
        for one in findings
    )
    return Analysis(
        source=film_of().source,
        verdict=Verdict(True),
        provenance=Provenance("hilum 9.9.9", MODELS, "youden"),
        findings=findings,
        not_assessed=("Fracture", "Tuberculosis"),
        members=tuple(
            MemberResult(model.name, model.bundle, None, True, True, predictions, (), model.warnings)
            for model in MODELS
        ),
        heatmaps=tuple(Heatmap(one.name, MODELS[0].name, heat, (0.0, 10.0, 100.0, 100.0)) for one in findings),
        ensemble_confidence=None if top is None else round(top, 1),
        level=None if top is None else level(round(top, 1)),
        recommendation=None if top is None else recommendation(round(top, 1)),
    )


FILM = film_of()
ANALYSIS = replace(
    analysis_of(
        (
            finding("Effusion", 84.24, 61.21, 0.41823),
            finding("Normal", 57.0),
            finding("Opacity", 50.04, 50.0, 0.2),
            finding("Pleural Thickening", 40.0, None, None),
            finding("Edema", 12.34),
        )
    ),
    conflicts=("Normal and Effusion are both above their operating point.",),
)
REFUSED = Analysis(
    FILM.source,
    Verdict(
        False, (Reason("colour_photograph", "The picture is in colour. Expected a grey film: send the original."),)
    ),
    ANALYSIS.provenance,
)


def dicom_film(**elements: object) -> bytes:
    """Return the film of ``STUDY`` as a DICOM file, with other elements where they are given."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = STUDY.sop_class, STUDY.sop_instance
    made.SeriesInstanceUID, made.StudyInstanceUID = STUDY.series, STUDY.study
    made.PatientName, made.PatientID, made.IssuerOfPatientID = (
        STUDY.patient_name,
        STUDY.patient_id,
        STUDY.patient_id_issuer,
    )
    made.PatientBirthDate, made.PatientSex = STUDY.birth_date, STUDY.sex
    made.AccessionNumber, made.StudyID, made.StudyDescription = (
        STUDY.accession_number,
        STUDY.study_id,
        STUDY.study_description,
    )
    made.StudyDate, made.StudyTime, made.ReferringPhysicianName = (
        STUDY.study_date,
        STUDY.study_time,
        STUDY.referring_physician,
    )
    made.PatientOrientation, made.Modality = ["L", "F"], STUDY.modality
    made.Manufacturer, made.ManufacturerModelName = STUDY.manufacturer, STUDY.manufacturer_model
    made.ViewPosition, made.BodyPartExamined = "PA", "CHEST"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = ROWS, COLUMNS
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = np.rint(FILM.pixels * 4095).astype(np.uint16).tobytes()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
