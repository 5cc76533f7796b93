"""The rows of many films as one Parquet file, with types, for tables of thousands of films."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

from hilum.errors import ConfigError
from hilum.report.table import CSV_COLUMNS

NUMBERS = frozenset(("confidence", "probability", "prevalence", "spread", "threshold", "ensemble_confidence"))
FLAGS = frozenset(("accepted", "positive"))


def to_parquet(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return rows as of ``csv_rows`` as a Parquet file: the same columns; what is absent is null.

    Needs ``hilum[parquet]``; raises ``ConfigError`` where it is not installed.
    """
    try:
        import pyarrow as arrow
        from pyarrow.parquet import write_table
    except ImportError:
        raise ConfigError("Parquet needs pyarrow. Install it: pip install 'hilum[parquet]'.") from None
    types = {column: arrow.string() for column in CSV_COLUMNS}
    types |= dict.fromkeys(NUMBERS, arrow.float64()) | dict.fromkeys(FLAGS, arrow.bool_())
    schema = arrow.schema([(column, types[column]) for column in CSV_COLUMNS])
    buffer = io.BytesIO()
    write_table(arrow.Table.from_pylist([dict(row) for row in rows], schema), buffer)
    return buffer.getvalue()
