"""From an analysis to bytes: JSON, CSV rows, an HTML document. Each is one function of the analysis."""

from hilum.report.film import film_png
from hilum.report.html import to_html
from hilum.report.json import ml_analysis, to_dict, to_json
from hilum.report.table import CSV_COLUMNS, csv_rows

__all__ = ["CSV_COLUMNS", "csv_rows", "film_png", "ml_analysis", "to_dict", "to_html", "to_json"]
