"""Write the golden files of the hospital's formats: PYTHONPATH=tests python tests/golden/report/make.py. Read the difference."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from pyarrow import BufferReader
from pyarrow.parquet import read_table
from pydicom import dcmread
from pypdf import PdfReader

from finished import ANALYSIS, FILM, NOW, REFUSED, STUDY
from hilum.report import csv_rows, to_dicom_pdf, to_fhir, to_parquet, to_pdf, to_sc, to_sr
from hilum.report.picture import draw_picture

FOLDER = Path(__file__).parent
BULK = ("PixelData", "EncapsulatedDocument", "EncapsulatedDocumentLength")


def dicom_text(data: bytes) -> str:
    """Return a DICOM file as JSON, without pixels and documents, which depend on versions of other libraries."""
    dataset = dcmread(io.BytesIO(data))
    for keyword in BULK:
        dataset.pop(keyword, None)
    return dump(dataset.to_json_dict())


def pdf_text(data: bytes) -> str:
    """Return the words of a PDF."""
    return "\n\f\n".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages) + "\n"


def parquet_text(data: bytes) -> str:
    """Return a Parquet file's columns with their types, and its rows."""
    table = read_table(BufferReader(data))
    return dump({"columns": {field.name: str(field.type) for field in table.schema}, "rows": table.to_pylist()})


def dump(content: Any) -> str:
    """Return JSON that is easy to compare."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


TEXTS: dict[str, Callable[[], str]] = {
    "sr.json": lambda: dicom_text(to_sr(ANALYSIS, STUDY, NOW)),
    "sr-refused.json": lambda: dicom_text(to_sr(REFUSED, STUDY, NOW)),
    "sc.json": lambda: dicom_text(to_sc(ANALYSIS, FILM, STUDY, NOW)),
    "sc-anonymous.json": lambda: dicom_text(to_sc(ANALYSIS, FILM, None, NOW)),
    "pdf.txt": lambda: pdf_text(to_pdf(ANALYSIS, FILM, STUDY, NOW)),
    "pdf-refused.txt": lambda: pdf_text(to_pdf(REFUSED, FILM, None, NOW)),
    "pdf-dicom.json": lambda: dicom_text(to_dicom_pdf(ANALYSIS, FILM, STUDY, NOW)),
    "fhir.json": lambda: to_fhir(ANALYSIS, STUDY, NOW).decode() + "\n",
    "fhir-refused.json": lambda: to_fhir(REFUSED, STUDY, NOW).decode() + "\n",
    "parquet.json": lambda: parquet_text(to_parquet([*csv_rows("a.dcm", ANALYSIS), *csv_rows("b.dcm", REFUSED)])),
}
"""File → what it must hold."""


def picture() -> Image.Image:
    """Return the Secondary Capture's picture, small: letters differ a little between versions of FreeType."""
    return draw_picture(ANALYSIS, FILM).resize((460, 300), Image.Resampling.BOX)


if __name__ == "__main__":
    for name, text in TEXTS.items():
        (FOLDER / name).write_text(text(), "utf-8")
    picture().save(FOLDER / "sc.png", optimize=True)
