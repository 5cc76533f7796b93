"""The analysis as a DICOM Secondary Capture: the film with its heat map and a legend, for any viewer of a PACS."""

from __future__ import annotations

from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from hilum.images.study import StudyContext
from hilum.records import Analysis, Radiograph
from hilum.report.codes import SOURCE_IMAGE
from hilum.report.instance import Kind, coded, copy_text, image_reference, new_instance, write_instance
from hilum.report.picture import draw_picture
from hilum.report.words import RESEARCH

KIND = Kind("sc", SecondaryCaptureImageStorage, "OT", 9102, "heat map")


def to_sc(analysis: Analysis, image: Radiograph, study: StudyContext | None, now: datetime) -> bytes:
    """Return the analysis as the bytes of a DICOM file: an RGB picture that names no patient.

    A film that was not DICOM (``study`` None) gives a study of its own, with empty patient fields.
    """
    made = new_instance(KIND, analysis, study, now)
    made.ConversionType = "WSD"
    made.BodyPartExamined = "CHEST"
    made.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    made.ImageComments = f"{RESEARCH}. Not for measurement: resampled, 8 bits, with colour over it."
    made.DerivationDescription = "Resampled to 8 bits; heat map of the leading finding and a legend drawn in."
    copy_text(made, "PatientOrientation", "" if study is None else study.orientation)
    if study is not None:
        made.SourceImageSequence = [_source(study)]
        # Nothing that identifies anybody is drawn in; what was burned into the film is still there.
        if study.burned_in in ("YES", "NO"):
            made.BurnedInAnnotation = study.burned_in
    _add_pixels(made, analysis, image)
    return write_instance(made)


def _source(study: StudyContext) -> Dataset:
    source = image_reference(study)
    source.PurposeOfReferenceCodeSequence = [coded(SOURCE_IMAGE)]
    return source


def _add_pixels(made: Dataset, analysis: Analysis, image: Radiograph) -> None:
    picture = draw_picture(analysis, image)
    made.SamplesPerPixel = 3
    made.PhotometricInterpretation = "RGB"
    made.PlanarConfiguration = 0
    made.Rows, made.Columns = picture.height, picture.width
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.PixelRepresentation = 0
    made.PixelData = picture.tobytes()
    made["PixelData"].VR = "OB"
