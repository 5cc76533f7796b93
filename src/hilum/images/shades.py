"""From stored DICOM grey values to shades 0–1: modality LUT or rescale, then VOI LUT, window or the whole range."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from hilum.errors import UnreadableImage
from hilum.images.header import real

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# No detector's values are anywhere near, and float64 still tells neighbours apart.
_FAR = 1e12


def shades(stored: Values, seen: Flags, dataset: Dataset) -> tuple[Values, str]:
    """Return the shade, 0–1, of each stored value, and in words how it was chosen.

    ``stored`` are all values that a pixel could have; ``seen`` marks those that pixels have, padding left out.
    Raises UnreadableImage for a rescale or table that gives no finite shades.
    """
    values = _modality(stored, dataset)
    low, high = values[seen].min(), values[seen].max()
    # Written so that NaN is refused too.
    if not (low > -_FAR and high < _FAR):
        raise UnreadableImage("The DICOM header's rescale gives values beyond any detector's. Export the film again.")
    if dataset.get("VOILUTSequence"):
        result, words = _voi_table(values, dataset.VOILUTSequence[0]), "shown by its VOI LUT"
    else:
        result, words = _window(values, low, high, dataset)
    if low == high or np.ptp(result[seen]) > 0:
        return result, words
    # What lies beside all pixels' values would make the film blank.
    return _whole_range(values, low, high), "grey scale beside the pixels' values: shown from lowest to highest instead"


def _modality(stored: Values, dataset: Dataset) -> Values:
    if dataset.get("ModalityLUTSequence"):
        first, table, _ = _table(dataset.ModalityLUTSequence[0], stored)
        return _look_up(stored, first, table)
    slope, intercept = real(dataset, "RescaleSlope"), real(dataset, "RescaleIntercept")
    with np.errstate(over="ignore", invalid="ignore"):
        return stored * (1.0 if slope is None else slope) + (intercept or 0.0)


def _voi_table(values: Values, item: Dataset) -> Values:
    first, table, bits = _table(item, values)
    # Some writers state fewer bits than their table uses.
    top = max(float((1 << bits) - 1), float(table.max()))
    return _look_up(values, first, table) / top


def _window(values: Values, low: float, high: float, dataset: Dataset) -> tuple[Values, str]:
    """Apply the first window (PS3.3, C.11.2.1.2 and C.11.2.1.3), or the whole range where there is none to be used."""
    centre, width = real(dataset, "WindowCenter"), real(dataset, "WindowWidth")
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip()
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return _whole_range(values, low, high), "no window: shown from its lowest to its highest value"
    if function == "SIGMOID":
        # Beyond ±700 the exponential leaves the floats, and the shade is 0 or 1 long before.
        power = np.clip(-4 * (values - centre) / width, -700, 700)
        return np.reciprocal(1 + np.exp(power)), "shown by its first window (sigmoid)"
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1), "shown by its first window (exact)"
    return np.clip((values - centre + 0.5) / max(width - 1, 1e-9) + 0.5, 0, 1), "shown by its first window"


def _whole_range(values: Values, low: float, high: float) -> Values:
    span = high - low if high > low else 1.0
    return np.clip((values - low) / span, 0, 1)


def _table(item: Dataset, values: Values) -> tuple[int, Values, int]:
    """Return a look-up table's first mapped value, its entries and their bits. Raises UnreadableImage."""
    order = ">" if item.original_encoding[1] is False else "<"
    count, first, bits = (int(value) for value in _words(item["LUTDescriptor"], 3, order))
    # Written as unsigned words whatever the sign; 0 stands for 65,536.
    count = count % 65536 or 65536
    first = first - 65536 if first > 32767 and values.min() < 0 else first
    entries = _words(item["LUTData"], count, order)
    if len(entries) < count or not 8 <= bits <= 16:
        raise UnreadableImage("A look-up table in the DICOM header is not as its descriptor says. Export it again.")
    # Entries are unsigned words, whatever they were written as.
    return first, (entries[:count] & 0xFFFF).astype(np.float64), bits


def _words(element: DataElement, count: int, order: str) -> npt.NDArray[np.int64]:
    """Return a LUT element's numbers, which come as a list, as 16-bit words or, for 8-bit entries, as bytes."""
    value = element.value
    if isinstance(value, bytes):
        width = np.dtype(f"{order}u2" if len(value) >= 2 * count else "u1")
        return np.frombuffer(value[: count * width.itemsize], dtype=width).astype(np.int64)
    return np.atleast_1d(np.asarray(value, dtype=np.int64))


def _look_up(values: Values, first: int, table: Values) -> Values:
    places = np.clip(np.rint(values) - first, 0, len(table) - 1).astype(np.intp)
    result: Values = table[places]
    return result
