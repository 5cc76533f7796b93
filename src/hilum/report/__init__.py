"""From an analysis to bytes, for people, programs and hospitals. Each is one function of the analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hilum.report.film import film_png
from hilum.report.html import to_html
from hilum.report.json import ml_analysis, to_dict, to_json
from hilum.report.table import CSV_COLUMNS, csv_rows

if TYPE_CHECKING:
    from hilum.report.capture import to_sc
    from hilum.report.fhir import to_fhir
    from hilum.report.parquet import to_parquet
    from hilum.report.pdf import to_dicom_pdf, to_pdf
    from hilum.report.structured import to_sr

__all__ = [
    "CSV_COLUMNS",
    "csv_rows",
    "film_png",
    "ml_analysis",
    "to_dicom_pdf",
    "to_dict",
    "to_fhir",
    "to_html",
    "to_json",
    "to_parquet",
    "to_pdf",
    "to_sc",
    "to_sr",
]

_HOME = {
    "to_dicom_pdf": "hilum.report.pdf",
    "to_fhir": "hilum.report.fhir",
    "to_parquet": "hilum.report.parquet",
    "to_pdf": "hilum.report.pdf",
    "to_sc": "hilum.report.capture",
    "to_sr": "hilum.report.structured",
}


def __getattr__(name: str) -> Any:
    """Import the hospital's formats on first use: they need pydicom, which the rest of the reports need not wait for."""
    if name not in _HOME:
        raise AttributeError(f"module 'hilum.report' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
