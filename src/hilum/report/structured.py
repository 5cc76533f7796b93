"""The analysis as a DICOM Structured Report: a Measurement Report (TID 1500), one measurement group a finding."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from hilum.errors import ConfigError, InputError
from hilum.images.study import StudyContext
from hilum.levels import DISCLAIMER
from hilum.records import Analysis, Finding
from hilum.report import codes
from hilum.report.codes import Code, coded_numbers, finding_code, oid, presence
from hilum.report.instance import (
    Kind,
    device_uid,
    image_reference,
    new_instance,
    result_identity,
    several_frames,
    write_instance,
)
from hilum.report.words import RESEARCH, advice, label, model_line, not_assessed, software, warnings

if TYPE_CHECKING:
    from highdicom import sr

KIND = Kind("sr", ComprehensiveSRStorage, "SR", 9101, "structured report")


def to_sr(analysis: Analysis, study: StudyContext | None, now: datetime) -> bytes:
    """Return the analysis as the bytes of a DICOM file, Comprehensive SR.

    A finding is present or absent against its operating point, and is never stated without that word. A film that was
    refused has one group, which says so. Needs ``hilum[hospital]``; raises ``ConfigError`` where it is not installed, and
    ``InputError`` for a film that was not DICOM: a report refers to the object that it is about.
    """
    if study is None:
        raise InputError(
            "A Structured Report refers to its film, and this film is no DICOM object with identifiers. "
            "Send it as DICOM, or ask for another format, such as PDF."
        )
    made = new_instance(KIND, analysis, study, now)
    made.ReferencedPerformedProcedureStepSequence = []
    made.PerformedProcedureCodeSequence = []
    made.CompletionFlag = "COMPLETE"
    made.VerificationFlag = "UNVERIFIED"
    made.PreliminaryFlag = "PRELIMINARY"
    made.CurrentRequestedProcedureEvidenceSequence = [_evidence(study)]
    (content,) = _content(analysis, study)
    for element in content:
        made.add(element)
    return write_instance(made)


def _evidence(study: StudyContext) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = study.sop_class, study.sop_instance
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = study.series, [image]
    evidence = Dataset()
    evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = study.study, [series]
    return evidence


def _content(analysis: Analysis, study: StudyContext) -> sr.MeasurementReport:
    try:
        from highdicom import sr
    except ImportError:
        raise ConfigError("DICOM SR needs highdicom. Install it: pip install 'hilum[hospital]'.") from None
    from pydicom.sr.codedict import codes as standard

    name, version = software(analysis)
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(analysis), name=name, manufacturer_name=name, model_name=name, serial_number=version
    )
    groups = [_film_group(analysis, study), *(_group(finding, analysis, study) for finding in analysis.findings)]
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(standard.DCM.Device, device)
        ),
        procedure_reported=standard.SCT.ImagingProcedure,
        imaging_measurements=groups,
        title=standard.DCM.ImagingMeasurementReport,
        referenced_images=[_film(analysis, study)],
    )


def _film(analysis: Analysis, study: StudyContext) -> Dataset:
    """Return what the image library says of the film. Without Modality, or highdicom asks for spacings it may lack."""
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID, film.Modality = study.sop_class, study.sop_instance, ""
    film.Rows, film.Columns = analysis.source.height, analysis.source.width
    return film


def _film_group(analysis: Analysis, study: StudyContext) -> sr.MeasurementsAndQualitativeEvaluations:
    """Return what is said of the whole film, with every word that must be read beside the findings."""
    from highdicom import sr

    measurements, evaluations = [], [(codes.VERDICT, codes.READ if analysis.verdict.accepted else codes.REFUSED)]
    if analysis.ensemble_confidence is not None and analysis.level is not None:
        measurements.append(_number(codes.ENSEMBLE, analysis.ensemble_confidence))
        evaluations.append((codes.LEVEL, codes.LEVELS[analysis.level]))
    models = [model_line(model) for model in analysis.provenance.models]
    parameters = [*models, f"operating points: {analysis.provenance.policy}", f"film sha256 {analysis.source.sha256}"]
    group = _measured("Film", analysis, study, measurements, evaluations, parameters)
    refused = (f"{reason.code}: {reason.message}" for reason in analysis.verdict.refusals)
    words = (*refused, advice(analysis), *warnings(analysis), not_assessed(analysis), f"{RESEARCH}. {DISCLAIMER}")
    for text in filter(None, words):
        group[0].ContentSequence.append(
            sr.TextContentItem(_concept(codes.COMMENT), text, sr.RelationshipTypeValues.CONTAINS)
        )
    return group


def _group(finding: Finding, analysis: Analysis, study: StudyContext) -> sr.MeasurementsAndQualitativeEvaluations:
    measurements = [_number(code, value) for code, value in coded_numbers(finding)]
    evaluations = [(finding_code(finding.name), presence(finding.positive))]
    return _measured(label(finding), analysis, study, measurements, evaluations)


def _measured(
    name: str,
    analysis: Analysis,
    study: StudyContext,
    measurements: list[sr.Measurement],
    evaluations: list[tuple[Code, Code]],
    parameters: list[str] | None = None,
) -> sr.MeasurementsAndQualitativeEvaluations:
    """Return one measurement group (TID 1501). There is no "Finding" in it: that would read as one that is there."""
    from highdicom import sr

    algorithm, version = software(analysis)
    reference = image_reference(study)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=oid("tracking", name, *result_identity(analysis, study)), identifier=name
        ),
        algorithm_id=sr.AlgorithmIdentification(algorithm, version, parameters),
        finding_sites=[sr.FindingSite(_concept(codes.CHEST))],
        measurements=measurements,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(_concept(question), _concept(answer)) for question, answer in evaluations
        ],
        source_images=[
            sr.SourceImageForMeasurementGroup(
                reference.ReferencedSOPClassUID,
                reference.ReferencedSOPInstanceUID,
                [1] if several_frames(study) else None,
            )
        ],
    )


def _number(code: Code, value: float) -> sr.Measurement:
    from highdicom import sr

    return sr.Measurement(_concept(code), value, _concept(codes.PERCENT))


def _concept(code: Code) -> sr.CodedConcept:
    from highdicom import sr

    return sr.CodedConcept(code.value, code.scheme, code.meaning)
