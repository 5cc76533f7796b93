"""An .npz of numbers as data: whatever is in it, it is arrays or an error of ours, and nothing stored is run."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.errors import Incompatible

MAX_BYTES = 2**30
"""Of all arrays together, unpacked."""


def read_arrays(content: bytes, what: str, *names: str) -> list[npt.NDArray[Any]]:
    """Return the arrays of these names; ``what`` is what an error calls the file. Raises ``Incompatible``."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            if sum(part.file_size for part in stored.zip.infolist()) <= MAX_BYTES:
                return [stored[name] for name in names]
        problem = f"holds more than {MAX_BYTES:,} bytes"
    except Exception as error:  # noqa: BLE001 - the edge: numpy, zipfile and zlib raise what they like over a damaged file
        problem = f"can't be read ({type(error).__name__})"
    raise Incompatible(f"The {what} {problem}. Expected a file of hilum's with the arrays {', '.join(names)}.")
