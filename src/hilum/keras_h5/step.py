"""One call of a Keras layer, and the layers that another may carry as its activation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hilum.errors import Incompatible
from hilum.keras_h5.activations import activation, softmax
from hilum.keras_h5.description import Layer
from hilum.keras_h5.fields import mapping, number, text
from hilum.keras_h5.ops import Shape, Value, Writer
from hilum.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One call of a layer: where its operators go, its configuration, weights and inputs."""

    w: Writer
    layer: Layer
    weights: Mapping[str, Array]
    inputs: tuple[Value, ...]
    keras: int
    """Keras's major version."""

    @property
    def x(self) -> Value:
        """The one input of a layer that takes one. Raises ``Incompatible`` where there are more."""
        if len(self.inputs) != 1:
            raise self.misfit(f"takes {len(self.inputs)} inputs, expected one")
        return self.inputs[0]

    @property
    def x_map(self) -> Value:
        """The one input, rows × columns × channels."""
        if not self.x.is_map:
            raise self.misfit(f"takes {sizes(self.x.shape)}, expected rows × columns × channels")
        return self.x

    def weight(self, kind: str, shape: Shape) -> Array:
        """Return a weight, which must have the shape that the description gives it."""
        values = self.weights[kind]
        if values.shape != shape:
            raise self.misfit(f"has a {kind} of {sizes(values.shape)} in the file, {sizes(shape)} by its description")
        return values

    def bias(self, size: int) -> Array:
        """Return the bias, zeros where there is none."""
        return self.weight("bias", (size,)) if "bias" in self.weights else np.zeros(size, dtype=np.float32)

    def activated(self, x: Value) -> Value:
        """Add the activation that the layer carries."""
        given = self.layer.fields.get("activation")
        if isinstance(given, Mapping) and (kind := text(given, "class_name", "")) in CARRIED:
            inner = Layer(kind, self.layer.name, mapping(given.get("config"), "an activation"), ())
            return CARRIED[inner.kind](Step(self.w, inner, {}, (x,), self.keras))
        return activation(self.w, x, given, self.keras, self.layer.name)

    def misfit(self, what: str) -> Incompatible:
        """Return an error that names the layer."""
        return Incompatible(f"The {self.layer.kind} layer {self.layer.name!r} {what}.")

    def channels_last(self) -> None:
        """Refuse what Keras itself runs on GPUs only."""
        if self.layer.fields.get("data_format") not in (None, "channels_last"):
            raise self.misfit("has its channels first. Expected channels_last: save the model so")


def sizes(shape: Shape) -> str:
    """Return a shape in words."""
    return "×".join(map(str, shape))


def _relu(step: Step) -> Value:
    fields, w = step.layer.fields, step.w
    slope, limit = number(fields, "negative_slope", 0), fields.get("max_value")
    if number(fields, "threshold", 0):
        raise step.misfit("has a threshold other than 0")
    if limit is not None and not slope:
        return w.same("Clip", step.x, w.constant(0), w.constant(number(fields, "max_value", 0)))
    x = w.same("LeakyRelu", step.x, alpha=slope) if slope else w.same("Relu", step.x)
    return x if limit is None else w.same("Min", x, w.constant(number(fields, "max_value", 0)))


def _leaky_relu(step: Step) -> Value:
    fields = step.layer.fields
    return step.w.same("LeakyRelu", step.x, alpha=number(fields, "negative_slope", number(fields, "alpha", 0.3)))


def _elu(step: Step) -> Value:
    return step.w.same("Elu", step.x, alpha=number(step.layer.fields, "alpha", 1))


def _softmax(step: Step) -> Value:
    axis = step.layer.fields.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if not isinstance(axis, int) or not -len(step.x.shape) <= axis <= len(step.x.shape) or axis == 0:
        raise step.misfit("works on an axis that its input does not have, or on several")
    return softmax(step.w, step.x, axis)


CARRIED: Mapping[str, Callable[[Step], Value]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
}
