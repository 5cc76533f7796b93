"""Keras's JSON description of a network → one plain form, whichever Keras wrote it.

Sequential, Functional and nested models all become layers with calls: a call lists the tensors that the layer takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hilum.errors import Incompatible, UnsafeFile
from hilum.keras_h5.fields import Fields, flag, mapping, sequence, text

MAX_LAYERS = 4_000
MAX_NESTING = 8

_FUNCTIONAL = frozenset({"Functional", "Model"})
_MODELS = _FUNCTIONAL | {"Sequential"}
_RUNS_CODE = frozenset({"Lambda", "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"})
_SHAPES = ("batch_shape", "batch_input_shape")


@dataclass(frozen=True, slots=True)
class Ref:
    """One output tensor of one call of a layer."""

    layer: str
    call: int = 0
    tensor: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, or a nested model used as one."""

    kind: str
    """Keras's class name, such as ``Conv2D``."""
    name: str
    fields: Fields
    calls: tuple[tuple[Ref, ...], ...]
    """The inputs of each call; empty for an input layer."""
    model: Model | None = None

    @property
    def trainable(self) -> bool:
        return flag(self.fields, "trainable", True)


@dataclass(frozen=True, slots=True)
class Model:
    """Layers with the model's own inputs and outputs."""

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]


def read_model(config: object) -> Model:
    """Read ``model_config``. Raises ``UnsafeFile`` for what would be code, ``Incompatible`` for what is not known here."""
    described = mapping(config, "model_config")
    kind = _kind(described)
    if kind not in _MODELS:
        raise Incompatible(f"The file holds a {kind[:80]}. Expected a Sequential or Functional model.")
    model = _model(kind, described.get("config"), 0)
    if sum(1 for _ in all_layers(model)) > MAX_LAYERS:
        raise UnsafeFile(f"The network has more than {MAX_LAYERS:,} layers.")
    return model


def all_layers(model: Model) -> Iterator[Layer]:
    """Yield every layer, those of nested models after their model."""
    for layer in model.layers:
        yield layer
        if layer.model is not None:
            yield from all_layers(layer.model)


def input_shape(layer: Layer) -> tuple[int | None, ...] | None:
    """Return a layer's declared input without the batch, or None where it declares none."""
    for key in _SHAPES:
        if (shape := layer.fields.get(key)) is not None:
            return _shape(shape)
    return None


def _shape(shape: object) -> tuple[int | None, ...]:
    sides = sequence(shape, "an input's shape")[1:]
    if any(side is not None and (isinstance(side, bool) or not isinstance(side, int) or side < 1) for side in sides):
        raise Incompatible("An input's shape is not made of positive whole numbers. Expected rows, columns, channels.")
    return tuple(side if isinstance(side, int) else None for side in sides)


def _kind(described: Fields) -> str:
    """Return a layer's class; refuse by name what only code outside the file could give a meaning."""
    kind = text(described, "class_name")
    named = f"{kind[:80]!r}"
    if kind in _RUNS_CODE:
        raise UnsafeFile(f"The layer type {named} is code, not data, and is not run. Expected layers of Keras's own.")
    module, registered = described.get("module"), described.get("registered_name")
    if isinstance(module, str) and module.split(".")[0] not in ("keras", "tf_keras", "tensorflow"):
        raise UnsafeFile(
            f"The layer type {named} is a custom class: its code is not in the file. Expected layers of Keras's own."
        )
    if isinstance(registered, str) and ">" in registered and not registered.lower().startswith("keras>"):
        raise UnsafeFile(
            f"The layer type {named} is a custom class: its code is not in the file. Expected layers of Keras's own."
        )
    return kind


def _model(kind: str, config: object, depth: int) -> Model:
    if depth >= MAX_NESTING:
        raise UnsafeFile(f"Models are nested deeper than {MAX_NESTING}.")
    # Before Keras 2.2.3, a Sequential model's description was the bare list of its layers.
    fields: Fields = {"layers": config} if isinstance(config, list) else mapping(config, "a model's description")
    described = [mapping(item, "a layer's description") for item in sequence(fields.get("layers"), "layers")]
    if len(described) > MAX_LAYERS:
        raise UnsafeFile(f"The network has more than {MAX_LAYERS:,} layers.")
    name = text(fields, "name", "model")
    layers = tuple(_layer(item, depth) for item in described)
    if not layers:
        raise Incompatible(f"The model {name!r} has no layers.")
    if len({layer.name for layer in layers}) < len(layers):
        raise Incompatible(f"The model {name!r} has two layers of one name.")
    if kind == "Sequential":
        return _chain(name, layers, fields)
    return Model(name, layers, _refs(fields.get("input_layers")), _refs(fields.get("output_layers")))


def _layer(described: Fields, depth: int) -> Layer:
    kind = _kind(described)
    config = described.get("config")
    model = _model(kind, config, depth + 1) if kind in _MODELS else None
    own: Fields = {} if isinstance(config, list) else mapping(config, "a layer's configuration")
    name = text(described, "name", text(own, "name", kind))
    calls = tuple(_call(node, name) for node in sequence(described.get("inbound_nodes", []), "inbound_nodes"))
    return Layer(kind, name, own, calls, model)


def _chain(name: str, layers: tuple[Layer, ...], fields: Fields) -> Model:
    """Return a Sequential model as calls, each layer taking the one before."""
    if layers[0].kind != "InputLayer":
        layers = (Layer("InputLayer", f"{name}_input", {"batch_shape": _first_shape(layers[0], fields)}, ()), *layers)
    chained = [layers[0]]
    for layer in layers[1:]:
        taken = (Ref(chained[-1].name),)
        chained.append(Layer(layer.kind, layer.name, layer.fields, (taken,), layer.model))
    return Model(name, tuple(chained), (Ref(chained[0].name),), (Ref(chained[-1].name),))


def _first_shape(first: Layer, fields: Fields) -> list[object] | None:
    """Return what a Sequential model without an input layer takes, batch first; None where nothing says it."""
    declared: object = fields.get("build_input_shape")
    if (own := input_shape(first)) is not None:
        declared = [None, *own]
    elif first.model is not None and first.model.inputs:
        inner = {layer.name: layer for layer in first.model.layers}.get(first.model.inputs[0].layer)
        inside = None if inner is None else input_shape(inner)
        declared = declared if inside is None else [None, *inside]
    return declared if isinstance(declared, list) else None


def _refs(listed: object) -> tuple[Ref, ...]:
    """Read ``[name, call, tensor]`` or a list of such."""
    if isinstance(listed, Mapping):
        listed = list(listed.values())
    items = sequence(listed, "a model's inputs or outputs")
    if items and isinstance(items[0], str):
        items = [items]
    return tuple(_ref(item) for item in items)


def _ref(item: object) -> Ref:
    parts = sequence(item, "a reference to a layer")
    match list(parts[:3]):
        case [str() as layer, int() as call, int() as tensor] if call >= 0 and tensor >= 0:
            return Ref(layer, call, tensor)
    raise Incompatible(
        "A layer's input is not a reference of name, call and tensor. Expected a model saved by Keras 2 or 3."
    )


def _call(node: object, layer: str) -> tuple[Ref, ...]:
    """Return what one call of a layer takes. Keras 2 lists ``[name, call, tensor, keywords]``, Keras 3 nests objects."""
    if isinstance(node, Mapping):
        # Keras 3 writes defaults too, and its predict overrules ``training``.
        keywords = mapping(node.get("kwargs", {}), "a call's keywords")
        _check_keywords({key: value for key, value in keywords.items() if key != "training"}, layer)
        return tuple(_history(node.get("args")))
    items = sequence(node, "a layer's inputs")
    if items and isinstance(items[0], str):
        items = [items]
    refs = []
    for item in items:
        refs.append(_ref(item))
        for given in sequence(item, "a layer's input")[3:]:
            _check_keywords(given, layer)
    return tuple(refs)


def _check_keywords(keywords: object, layer: str) -> None:
    """Refuse a call whose answer depends on more than its inputs."""
    given = {key for key, value in mapping(keywords, "a call's keywords").items() if value not in (None, False)}
    if given:
        raise Incompatible(
            f"The layer {layer[:80]!r} is called with {', '.join(sorted(given))[:80]}. Expected tensors alone."
        )


def _history(args: object, depth: int = 0) -> Iterator[Ref]:
    """Yield the tensors in Keras 3's arguments, in order."""
    if depth > 4:
        raise Incompatible("A call's arguments are nested too deep. Expected a model saved by Keras 3.")
    if isinstance(args, Mapping):
        if args.get("class_name") != "__keras_tensor__":
            raise Incompatible("A call takes an argument that is no tensor. Expected a model of layers alone.")
        yield _ref(mapping(args.get("config"), "a tensor").get("keras_history"))
    elif isinstance(args, Sequence) and not isinstance(args, str):
        for item in args:
            yield from _history(item, depth + 1)
    elif args is not None:
        raise Incompatible("A call takes an argument that is no tensor. Expected a model of layers alone.")
