"""A network in the making: operators as plain records, tensors with their shapes. Becomes ONNX at the very end.

A tensor of rows × columns × channels is held as N×C×H×W; every other one in Keras's own order. Shapes are always Keras's,
without the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hilum.errors import UnsafeFile
from hilum.keras_h5.container import MAX_WEIGHT_BYTES
from hilum.records import Array

MAX_TENSOR = 2**26
"""Values of one tensor for one film: 256 MB. DenseNet121's largest at 224 × 224 has 0.8 million."""
MAX_OPS = 20_000

Shape = tuple[int, ...]
Attribute = int | float | list[int]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor: its name in the graph, and its shape as Keras has it, without the batch."""

    name: str
    shape: Shape

    @property
    def is_map(self) -> bool:
        """Whether it is rows × columns × channels, held channels first."""
        return len(self.shape) == 3

    def axis(self, keras_axis: int) -> int:
        """Return where Keras's axis (batch counted) lies in the tensor as held."""
        rank = len(self.shape) + 1
        axis = keras_axis % rank
        return (0, 2, 3, 1)[axis] if self.is_map else axis


@dataclass(slots=True)
class Op:
    """An ONNX operator with one output."""

    operator: str
    inputs: list[str]
    output: str
    attributes: dict[str, Attribute] = field(default_factory=dict)


class Writer:
    """Operators and weights; every method returns the tensor that it made."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.weights: dict[str, Array] = {}
        self.shapes: dict[str, npt.NDArray[np.int64]] = {}
        self._bytes = 0

    def op(self, operator: str, shape: Shape, *inputs: Value | str, **attributes: Attribute) -> Value:
        """Add an operator. Raises ``UnsafeFile`` for an absurd size."""
        if math.prod(shape) > MAX_TENSOR:
            raise UnsafeFile(
                f"The network makes a tensor of {'×'.join(map(str, shape))}. Expected at most {MAX_TENSOR:,} values."
            )
        if len(self.ops) >= MAX_OPS:
            raise UnsafeFile(f"The network has more than {MAX_OPS:,} steps.")
        names = [given if isinstance(given, str) else given.name for given in inputs]
        output = f"{operator.lower()}_{len(self.ops)}"
        self.ops.append(Op(operator, names, output, attributes))
        return Value(output, shape)

    def weight(self, values: Array) -> str:
        """Add numbers, as float32. Raises ``UnsafeFile`` where a few stored ones, used over and over, grow too many."""
        self._bytes += 4 * values.size
        if self._bytes > MAX_WEIGHT_BYTES:
            raise UnsafeFile(f"The network's weights have more than {MAX_WEIGHT_BYTES:,} bytes.")
        name = f"weight_{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(values, dtype=np.float32)
        return name

    def constant(self, value: float) -> str:
        """Add one number."""
        return self.weight(np.asarray(value, dtype=np.float32))

    def whole_numbers(self, *values: int) -> str:
        """Add a list of whole numbers, such as a shape."""
        name = f"shape_{len(self.shapes)}"
        self.shapes[name] = np.asarray(values, dtype=np.int64)
        return name

    def same(self, operator: str, x: Value, *more: Value | str, **attributes: Attribute) -> Value:
        """Add an operator whose output has the shape of ``x``."""
        return self.op(operator, x.shape, x, *more, **attributes)
