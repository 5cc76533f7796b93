"""A user's ``.h5`` as a bundle in memory: what the file, its name and its sidecar say, marked as declared or assumed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.errors import BundleError, Incompatible
from hilum.findings import DENSENET121_OUTPUTS, MOBILENETV2_OUTPUTS, canonical
from hilum.keras_h5.convert import Converted, Ends
from hilum.keras_h5.network import DEFAULT_SIDE, Stored, read_stored
from hilum.keras_h5.sidecar import Preprocessing, Scaling, Sidecar, read_sidecar
from hilum.records import InputSpec, Manifest, Output, Slot, TrainedOn
from hilum.registry import MANIFEST_SCHEMA, Bundle


@dataclass(frozen=True, slots=True)
class _Known:
    """What a file's name declares."""

    slot: Slot
    architecture: str
    dataset: str
    labels: tuple[str, ...] | None
    preprocessing: Preprocessing


UNKNOWN_DATASET = "data set not stated"
KNOWN: Mapping[str, _Known] = {
    "densenet_chexpert": _Known("densenet", "DenseNet121", "CheXpert", DENSENET121_OUTPUTS, "torch"),
    "mobilenet_mimic": _Known("mobilenet", "MobileNetV2", "MIMIC-CXR", MOBILENETV2_OUTPUTS, "tf"),
    "medical_classifier": _Known("custom", "Custom CNN", UNKNOWN_DATASET, None, "0-1"),
}

_SCALINGS: Mapping[Preprocessing, Scaling] = {
    "torch": Scaling(1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "tf": Scaling(1.0, (0.5,), (0.5,)),
    # Keras turns RGB into BGR here; a radiograph is the same in all three, so only the means change places.
    "caffe": Scaling(255.0, (103.939, 116.779, 123.68), (1.0,)),
    "0-1": Scaling(),
    "0-255": Scaling(255.0),
}
NOT_KNOWN_HERE = "hilum has no such finding"
SIDECAR_SAYS_SO = "its sidecar says that it is not to be used"
UNCALIBRATED = "uncalibrated: confidence is the raw score × 100; there is no threshold and no probability"


def h5_models(folder: Path) -> tuple[Path, ...]:
    """Return the Keras files in a models folder, sorted by name: the three known names, and any with a sidecar.

    Raises ``Incompatible`` for another one, since nothing says what its outputs mean.
    """
    found = sorted(path for path in folder.glob("*.h5") if not path.name.startswith("."))
    for path in found:
        if path.stem not in KNOWN and not _sidecar(path).is_file():
            raise Incompatible(
                f"{path.name} is none of {', '.join(f'{name}.h5' for name in KNOWN)}, and has no sidecar. "
                f"Write {path.stem}.toml with its labels, or take the file out of the models folder."
            )
    return tuple(found)


def bundle_from_h5(path: Path | str) -> Bundle:
    """Read a Keras file and its sidecar into a bundle.

    Raises ``BundleNotFound``, ``UnsafeFile``, ``Incompatible``, and ``ConfigError`` for a sidecar that can't be read.
    """
    path = Path(path)
    sidecar = read_sidecar(_sidecar(path))
    try:
        return _bundle(path.stem, read_stored(path), sidecar)
    except BundleError as error:
        raise type(error)(f"{path.name}: {error}") from None


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".toml")


def _bundle(name: str, stored: Stored, given: Sidecar | None) -> Bundle:
    known, sidecar = KNOWN.get(name), given or Sidecar()
    if known is None and sidecar.labels is None:
        raise Incompatible(f"Nothing says what the outputs mean. Expected {name}.toml beside it, with labels.")
    side = sidecar.size or DEFAULT_SIDE
    _check_size(stored, sidecar)
    converted = stored.convert(side, side)
    if len(converted.outputs) != 1:
        answer = "×".join(map(str, converted.outputs))
        raise Incompatible(f"The network answers with {answer} numbers. Expected one for each label.")
    outputs = _outputs(name, converted.outputs[0], known, sidecar)
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        id=_id(name),
        version=stored.sha256[:12],
        architecture=sidecar.architecture or (known.architecture if known else "Keras network"),
        slot=known.slot if known else None,
        trained_on=TrainedOn(sidecar.dataset or (known.dataset if known else UNKNOWN_DATASET), declared=True),
        input=_input(stored, side, converted, known, sidecar),
        outputs=outputs,
        files={},
        in_ensemble=_in_ensemble(known, sidecar),
        warnings=_warnings(name, known, sidecar),
        activation=_activation(converted.ends, sidecar),
    )
    return Bundle(manifest, stored.sha256, converted.model, "fp32")


def _id(name: str) -> str:
    return f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-') or 'network'}-h5"


def _check_size(stored: Stored, sidecar: Sidecar) -> None:
    if sidecar.size is not None and any(side not in (None, sidecar.size) for side in stored.shape[:2]):
        takes = f"{stored.shape[0]}×{stored.shape[1]}"
        raise Incompatible(f"The sidecar's size is {sidecar.size}, but the network takes {takes}. Leave size out.")


# --- outputs -------------------------------------------------------------------------------------------------------


def _outputs(name: str, count: int, known: _Known | None, sidecar: Sidecar) -> tuple[Output, ...]:
    labels = sidecar.labels or (known.labels if known else None)
    if labels is None:
        return tuple(Output(f"class_{number}", assessed=True) for number in range(1, count + 1))
    if len(labels) != count:
        source = "The sidecar lists" if sidecar.labels else "Without a sidecar, it is taken to have the standard"
        raise Incompatible(
            f"The network has {count} outputs. {source} {len(labels)} labels: write {name}.toml with one for each."
        )
    if strangers := sorted(set(sidecar.not_assessed) - set(labels)):
        raise Incompatible(f"not_assessed names {strangers[0]}, which is none of the labels. Expected some of them.")
    outputs = tuple(_output(label, label not in sidecar.not_assessed) for label in labels)
    names = [output.name for output in outputs]
    if twice := sorted({label for label in names if names.count(label) > 1}):
        raise Incompatible(f"Two labels mean {twice[0]}. Expected each finding once.")
    if not any(output.assessed for output in outputs):
        raise Incompatible(
            "None of the sidecar's labels is a finding known here that may be used. Expected at least one: see the list."
        )
    return outputs


def _output(label: str, assessed: bool) -> Output:
    if not assessed:
        return Output(label, assessed=False, reason=SIDECAR_SAYS_SO)
    finding = canonical(label)
    return Output(label, assessed=False, reason=NOT_KNOWN_HERE) if finding is None else Output(finding, assessed=True)


def _in_ensemble(known: _Known | None, sidecar: Sidecar) -> bool:
    labelled = sidecar.labels is not None or (known is not None and known.labels is not None)
    if sidecar.ensemble and not labelled:
        raise Incompatible(
            "The sidecar says ensemble = true, but no labels. Expected labels: an unnamed class can't be combined."
        )
    return labelled if sidecar.ensemble is None else sidecar.ensemble


def _activation(ends: Ends | None, sidecar: Sidecar) -> Ends:
    if ends is None and sidecar.activation is None:
        raise Incompatible(
            "The network ends in neither sigmoid nor softmax. Expected one of them as its last layer, or a sidecar with "
            'activation = "sigmoid" or "softmax", which takes the answer as logits.'
        )
    if ends is not None and sidecar.activation not in (None, ends):
        raise Incompatible(
            f"The sidecar says activation = {sidecar.activation!r}, but the network ends in {ends}. Leave it out."
        )
    return ends or sidecar.activation or "sigmoid"


def _warnings(name: str, known: _Known | None, sidecar: Sidecar) -> tuple[str, ...]:
    warnings = [UNCALIBRATED]
    if sidecar.labels is None and known is not None and known.labels is not None:
        warnings.append(f"label order assumed: the standard list; {name}.toml can state it")
    elif sidecar.labels is None:
        warnings.append(f"labels unknown: {name}.toml can state them")
    if sidecar.preprocessing is None:
        warnings.append(f"preprocessing assumed; {name}.toml can state it")
    return tuple(warnings)


# --- input ---------------------------------------------------------------------------------------------------------


def _input(stored: Stored, side: int, converted: Converted, known: _Known | None, sidecar: Sidecar) -> InputSpec:
    rows, columns, channels = stored.shape
    if channels not in (1, 3):
        raise Incompatible(f"The network takes {channels} channels. Expected 1 or 3.")
    assumed: Preprocessing = "0-255" if converted.scales_itself else known.preprocessing if known else "0-1"
    scaling = sidecar.preprocessing or assumed
    if isinstance(scaling, str):
        scaling = _SCALINGS[scaling]
    mean, std = _each(scaling.mean, channels, "mean"), _each(scaling.std, channels, "std")
    if 0 in std:
        raise Incompatible("The sidecar's std has a 0. Expected numbers to divide by.")
    return InputSpec(rows or side, columns or side, channels, scaling.scale, mean, std, sidecar.crop, "NHWC")


def _each(values: tuple[float, ...], channels: int, what: str) -> tuple[float, ...]:
    """Return one number a channel. Three for a network of one channel become their mean."""
    if len(values) == 3 and channels == 1:
        return (sum(values) / 3,)
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise Incompatible(f"The sidecar's {what} has {len(values)} numbers. Expected 1 or {channels}.")
    return values
