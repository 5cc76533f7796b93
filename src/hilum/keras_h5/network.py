"""A Keras file as a network that answers as Keras would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.errors import BundleError, Incompatible
from hilum.keras_h5.container import read_container
from hilum.keras_h5.convert import Converted, Weights, convert
from hilum.keras_h5.description import Layer, Model, Ref, all_layers, input_shape, read_model
from hilum.keras_h5.layers import check_known
from hilum.keras_h5.weights import assign_weights
from hilum.records import Array
from hilum.runtime import Session, open_session

DEFAULT_SIDE = 224
"""Rows and columns for a network that leaves them open."""
BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A Keras file, read and understood, not yet converted."""

    sha256: str
    keras: int
    """Major version that wrote it."""
    model: Model
    weights: Weights
    shape: tuple[int | None, int | None, int]
    """Rows, columns, channels; None: any."""

    def convert(self, rows: int = DEFAULT_SIDE, columns: int = DEFAULT_SIDE) -> Converted:
        """Return the network as ONNX; ``rows`` and ``columns`` count where the file leaves them open."""
        return convert(
            self.model, self.weights, (self.shape[0] or rows, self.shape[1] or columns, self.shape[2]), self.keras
        )


class KerasNetwork:
    """A network read from a Keras file."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._sessions: dict[tuple[int, int], Session] = {}
        self._session(stored.shape[0] or DEFAULT_SIDE, stored.shape[1] or DEFAULT_SIDE)

    @property
    def input_shape(self) -> tuple[int | None, int | None, int]:
        """Rows, columns, channels; None: any."""
        return self._stored.shape

    def predict(self, x: npt.ArrayLike) -> Array:
        """Return what Keras's ``predict`` returns for ``x`` (N×H×W×C, as the network takes it; nothing is scaled here).

        Raises ``Incompatible`` for another shape.
        """
        films = np.ascontiguousarray(x, dtype=np.float32)
        wanted = self._stored.shape
        if films.ndim != 4 or any(want not in (None, side) for side, want in zip(films.shape[1:], wanted, strict=True)):
            raise Incompatible(
                f"The input is {'×'.join(map(str, films.shape))}. "
                f"Expected N×{'×'.join('any' if side is None else str(side) for side in wanted)}."
            )
        session = self._session(films.shape[1], films.shape[2])
        parts = [films[start : start + BATCH] for start in range(0, len(films), BATCH)] or [films]
        return np.concatenate([session.evaluate(part, "output")[0] for part in parts])

    def _session(self, rows: int, columns: int) -> Session:
        if (rows, columns) not in self._sessions:
            self._sessions = {(rows, columns): open_session(self._stored.convert(rows, columns).model)}
        return self._sessions[rows, columns]


def load(path: Path | str) -> KerasNetwork:
    """Read an HDF5 file that Keras 2 or 3 wrote. Nothing in it is executed.

    Raises ``BundleNotFound``, ``UnsafeFile`` for what asks to be more than data, and ``Incompatible`` for what can't be read.
    """
    path = Path(path)
    try:
        return KerasNetwork(read_stored(path))
    except BundleError as error:
        raise type(error)(f"{path.name}: {error}") from None


def read_stored(path: Path) -> Stored:
    """Read and check a file without converting it."""
    container = read_container(path)
    model = read_model(container.config)
    for layer in all_layers(model):
        if layer.model is None and layer.kind != "InputLayer":
            check_known(layer)
    major = container.keras_version.split(".")[0]
    if not major.isdecimal() or int(major[:3]) not in (2, 3):
        raise Incompatible(f"The file was written by Keras {container.keras_version[:20]!r}. Expected Keras 2 or 3.")
    shape = _input_shape(model)
    return Stored(container.sha256, int(major), model, assign_weights(model, container.weights), shape)


def _input_shape(model: Model) -> tuple[int | None, int | None, int]:
    """Return rows, columns, channels of the network's one input."""
    if len(model.inputs) != 1:
        raise Incompatible(f"The network has {len(model.inputs)} inputs. Expected one, the film.")
    layer: Layer | None = _layer(model, model.inputs[0])
    declared = None if layer is None else input_shape(layer)
    if declared is None or len(declared) != 3 or declared[2] is None:
        raise Incompatible(
            "The network's input is not rows × columns × channels. Expected such an input layer, with its channels."
        )
    return declared[0], declared[1], declared[2]


def _layer(model: Model, ref: Ref) -> Layer | None:
    return next((layer for layer in model.layers if layer.name == ref.layer), None)
