"""The analysis as a PDF of one page, plain or inside a DICOM object."""

from __future__ import annotations

import io
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from pydicom.uid import EncapsulatedPDFStorage

from hilum.errors import ConfigError
from hilum.images.study import StudyContext
from hilum.levels import DISCLAIMER
from hilum.records import Analysis, Finding, Radiograph
from hilum.report.codes import REPORT, SOURCE_IMAGE
from hilum.report.film import overlay, png, thumbnail
from hilum.report.instance import Kind, coded, image_reference, new_instance, write_instance
from hilum.report.numbers import percent, share, share_percent
from hilum.report.picture import leading_map
from hilum.report.words import (
    RESEARCH,
    advice,
    coverage,
    label,
    map_caption,
    model_line,
    normal_claim,
    not_assessed,
    present,
    warnings,
)

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

KIND = Kind("pdf", EncapsulatedPDFStorage, "DOC", 9103, "report")
MARGIN = 40
PICTURE = 235
"""Points, of the longer side of a picture."""
UNPRINTABLE = "(letters that can't be printed here)"
INK, SOFT, RULE, SHADE = "#1b2430", "#4a5666", "#c3cad3", "#eef1f5"


def to_pdf(analysis: Analysis, image: Radiograph, study: StudyContext | None, now: datetime) -> bytes:
    """Return the analysis as the bytes of a PDF: one A4 page, the same bytes for the same arguments.

    Names of patient and study stand on it; a film that was not DICOM (``study`` None) has none. Needs
    ``hilum[hospital]``; raises ``ConfigError`` where it is not installed.
    """
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.pdfgen.canvas import Canvas
        from reportlab.platypus import Frame, KeepInFrame
    except ImportError:
        raise ConfigError("PDF needs reportlab. Install it: pip install 'hilum[hospital]'.") from None
    _load_fonts()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    canvas.setTitle("Chest radiograph: report")
    canvas.setSubject(RESEARCH)
    canvas.setCreator(analysis.provenance.software)
    width, height = A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN
    # Whatever there is to say, it is said on one page: what does not fit is made smaller.
    page = KeepInFrame(width, height, _page(analysis, image, study, now), mode="shrink")
    Frame(MARGIN, MARGIN, width, height, 0, 0, 0, 0).addFromList([page], canvas)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def to_dicom_pdf(analysis: Analysis, image: Radiograph, study: StudyContext | None, now: datetime) -> bytes:
    """Return the same PDF inside a DICOM file, Encapsulated PDF."""
    made = new_instance(KIND, analysis, study, now)
    made.ConversionType = "SYN"
    made.AcquisitionDateTime = None
    made.DocumentTitle = f"Chest radiograph: report. {RESEARCH}"
    made.ConceptNameCodeSequence = [coded(REPORT)]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    # The page names the patient, where there is one.
    made.BurnedInAnnotation = "NO" if study is None else "YES"
    made.VerificationFlag = "UNVERIFIED"
    if study is not None:
        source = image_reference(study)
        source.PurposeOfReferenceCodeSequence = [coded(SOURCE_IMAGE)]
        made.SourceInstanceSequence = [source]
    document = to_pdf(analysis, image, study, now)
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return write_instance(made)


def _load_fonts() -> None:
    """Register the two faces that come with reportlab; embedded, so that the page looks the same everywhere."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name, file in (("Vera", "Vera.ttf"), ("VeraBd", "VeraBd.ttf")):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, file))


def printable(text: str) -> str:
    """Return text that the page's font has every letter of, or words that say that it does not."""
    from reportlab.pdfbase import pdfmetrics

    face: Any = pdfmetrics.getFont("Vera").face
    return text if all(ord(letter) in face.charToGlyph for letter in text) else UNPRINTABLE


def _text(text: str, size: float = 8, colour: str = INK, bold: bool = False) -> Flowable:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        "text", fontName="VeraBd" if bold else "Vera", fontSize=size, leading=size * 1.35, textColor=colour
    )
    return Paragraph(escape(text), style)


def _page(analysis: Analysis, image: Radiograph, study: StudyContext | None, now: datetime) -> list[Flowable]:
    from reportlab.platypus import Spacer

    page = [
        _text(f"{RESEARCH.upper()}. NOT REVIEWED BY A PERSON.", 8, "#9a3412", bold=True),
        _text(f"Chest radiograph, read by {analysis.provenance.software}", 15, bold=True),
        Spacer(1, 8),
        _of_whom(study, now),
        Spacer(1, 10),
    ]
    if not analysis.verdict.accepted:
        page.append(_text("This film was not read.", 12, bold=True))
        page += [_text(reason.message, 10) for reason in analysis.verdict.refusals]
    else:
        page += _answer(analysis)
    page += [Spacer(1, 8), _pictures(analysis, image)]
    if analysis.verdict.accepted:
        page += [Spacer(1, 8), _findings(analysis), Spacer(1, 3), _text(_explained(analysis), 6.5, SOFT)]
    page += [Spacer(1, 6), *(_text(printable(model_line(model)), 6.5, SOFT) for model in analysis.provenance.models)]
    film = analysis.source
    page.append(
        _text(
            f"Film: {film.format}, {film.width} × {film.height} pixels, {film.bits} bits, sha256 {film.sha256}.",
            6.5,
            SOFT,
        )
    )
    return [*page, Spacer(1, 6), _text(DISCLAIMER, 7.5, bold=True)]


def _of_whom(study: StudyContext | None, now: datetime) -> Flowable:
    """Return who and what the film is of, as a table of names and values."""
    made = f"{now:%Y-%m-%d %H:%M}"
    if study is None:
        return _table(
            [[_text("The film was not DICOM: it names no patient.", 8, SOFT), _text(f"Made {made}", 8, SOFT)]],
            (365, 150),
        )
    name = study.patient_name.split("=")[0].replace("^", " ").strip()
    cells = (
        ("Patient", name),
        ("Patient ID", study.patient_id),
        ("Born", _day(study.birth_date)),
        ("Sex", study.sex),
        ("Accession number", study.accession_number),
        ("Study", study.study_description),
        ("Taken", _day(study.study_date)),
        ("Made", made),
    )
    values = [
        [_text(title, 6.5, SOFT), _text(printable(value) or "–", 8.5, bold=title == "Patient")]
        for title, value in cells
    ]
    rows = [[*values[place], *values[place + 4]] for place in range(4)]
    return _table(rows, (55, 200, 85, 175))


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text


def _answer(analysis: Analysis) -> list[Flowable]:
    above = ", ".join(finding.name for finding in present(analysis)) or "none"
    lines = [_text(f"At or above their operating point: {above}", 10, bold=True)]
    if analysis.ensemble_confidence is not None:
        level = f"Ensemble confidence {analysis.ensemble_confidence:.1f}, level {analysis.level}. {advice(analysis)}"
        lines.append(_text(level, 9))
    lines += [_text(printable(text), 8, "#9a3412") for text in warnings(analysis)]
    return lines


def _pictures(analysis: Analysis, image: Radiograph) -> Flowable:
    """Return the film, and beside it the film with the leading heat map, each with what it shows."""
    heatmap = leading_map(analysis)
    film = thumbnail(image, 900)
    pictures = [(png(film), "The film as it was read, bright = dense.")]
    if heatmap is not None:
        pictures.append((png(overlay(film, image, heatmap)), map_caption(heatmap)))
    scale = PICTURE / max(image.pixels.shape)
    height, width = (side * scale for side in image.pixels.shape)
    cells = [[[_picture(drawn, width, height), _text(words, 6.5, SOFT)] for drawn, words in pictures]]
    return _table(cells, [515 / 2] * len(pictures), plain=True)


def _picture(png: bytes, width: float, height: float) -> Flowable:
    from reportlab.platypus import Image

    picture: Flowable = Image(io.BytesIO(png), width, height, hAlign="LEFT")
    return picture


def _findings(analysis: Analysis) -> Flowable:
    head = ("Finding", "Confidence", "Operating point", "", "Sens. / spec.", "Probability", "Set", "Spread")
    rows = [[_text(cell, 6.5, SOFT) for cell in head]]
    rows += [[_text(cell, 7.5, INK, bool(finding.positive)) for cell in _row(finding)] for finding in analysis.findings]
    return _table(rows, (132, 52, 66, 44, 60, 84, 42, 35))


def _row(finding: Finding) -> tuple[str, ...]:
    known = finding.sensitivity is not None and finding.specificity is not None
    at = (
        ""
        if finding.probability is None
        else f"{share_percent(finding.probability):.2f} % ({share_percent(finding.prevalence):.2f} %)"
    )
    return (
        label(finding),
        f"{percent(finding.confidence):.1f}",
        "unknown" if finding.threshold is None else f"{percent(finding.threshold):.1f}",
        {True: "present", False: "absent", None: "–"}[finding.positive],
        f"{share(finding.sensitivity):.2f} / {share(finding.specificity):.2f}" if known else "unknown",
        at or "unknown",
        finding.set or "–",
        "–" if finding.spread is None else f"{percent(finding.spread):.1f}",
    )


def _explained(analysis: Analysis) -> str:
    return (
        "Confidence, 0–100: how likely the finding would be, had it been as likely as not before the film. Present: at or "
        "above the operating point, which had this sensitivity and specificity on validation patients. Probability: where "
        "the share of films in brackets shows it. Spread: largest minus smallest confidence of the members. Operating "
        f"points: {analysis.provenance.policy}. {coverage(analysis)} {normal_claim(analysis)} {not_assessed(analysis)}"
    )


def _table(rows: list[list[Any]], widths: Any, plain: bool = False) -> Flowable:
    from reportlab.platypus import Table, TableStyle

    style: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    if not plain:
        style.append(("LINEBELOW", (0, 0), (-1, -1), 0.3, RULE))
    return Table(rows, widths, style=TableStyle(style), hAlign="LEFT")
