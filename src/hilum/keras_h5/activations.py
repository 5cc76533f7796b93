"""Keras's activations as operators. Those that changed between Keras 2 and 3 take the file's version."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from hilum.errors import Incompatible, UnsafeFile
from hilum.keras_h5.ops import Value, Writer


def _swish(w: Writer, x: Value) -> Value:
    return w.same("Mul", x, w.same("Sigmoid", x))


def _gelu(w: Writer, x: Value) -> Value:
    half = w.same("Mul", x, w.constant(0.5))
    error = w.same("Erf", w.same("Mul", x, w.constant(math.sqrt(0.5))))
    return w.same("Mul", half, w.same("Add", error, w.constant(1)))


def _mish(w: Writer, x: Value) -> Value:
    return w.same("Mul", x, w.same("Tanh", w.same("Softplus", x)))


def _relu6(w: Writer, x: Value) -> Value:
    return w.same("Clip", x, w.constant(0), w.constant(6))


def softmax(w: Writer, x: Value, axis: int = -1) -> Value:
    """Add a softmax over one of Keras's axes."""
    return w.same("Softmax", x, axis=x.axis(axis))


def _plain(operator: str, **attributes: float) -> Callable[[Writer, Value], Value]:
    return lambda w, x: w.same(operator, x, **attributes)


_KNOWN: Mapping[str, Callable[[Writer, Value], Value]] = {
    "relu": _plain("Relu"),
    "relu6": _relu6,
    "leaky_relu": _plain("LeakyRelu", alpha=0.2),
    "elu": _plain("Elu", alpha=1.0),
    "selu": _plain("Selu"),
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "tanh": _plain("Tanh"),
    "sigmoid": _plain("Sigmoid"),
    "exponential": _plain("Exp"),
    "swish": _swish,
    "silu": _swish,
    "gelu": _gelu,
    "mish": _mish,
    "hard_swish": _plain("HardSwish"),
    "hard_silu": _plain("HardSwish"),
    "softmax": softmax,
}


def activation(w: Writer, x: Value, given: object, keras: int, layer: str) -> Value:
    """Add the activation that a layer's configuration names. ``given``: its name, or None for none."""
    if given in (None, "linear"):
        return x
    if not isinstance(given, str):
        raise UnsafeFile(
            f"The layer {layer!r} has a custom activation: its code is not in the file. Expected one of Keras's own."
        )
    if given == "hard_sigmoid":  # Keras 2: clip(0.2 x + 0.5); Keras 3: relu6(x + 3) / 6
        return w.same("HardSigmoid", x, alpha=0.2 if keras < 3 else 1 / 6, beta=0.5)
    if given not in _KNOWN:
        known = ", ".join(sorted({*_KNOWN, "hard_sigmoid", "linear"}))
        raise Incompatible(f"The layer {layer!r} has the activation {given[:80]!r}. Known are {known}.")
    return _KNOWN[given](w, x)
