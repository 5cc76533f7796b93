"""torchxrayvision's public DenseNet121 weights → a bundle that gives the same numbers, and proves it at every start."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hilum.calibrate import sigmoid
from hilum.errors import Incompatible
from hilum.exchange.catalogue import WEIGHTS_LICENCE, PublicWeights
from hilum.exchange.library import SIDE, Entry, own_network
from hilum.findings import canonical
from hilum.normalise import scale_pixels
from hilum.pipeline import GOLDEN_TOLERANCE
from hilum.records import InputSpec, Manifest, OperatingPoint, Output
from hilum.registry import MANIFEST_SCHEMA
from hilum.runtime import open_session
from hilum.training.networks import DENSENET121_BLOCKS, LinearHead, Network, torchxrayvision_densenet121
from hilum.training.to_onnx import network_to_onnx

TOLERANCE = 1e-4
"""Largest difference of a score from the library's own network; a logit may differ by ``GOLDEN_TOLERANCE``, as at every start."""
GOLDEN_FILMS = 2
SOURCE = "source.json"
INPUT = InputSpec(SIDE, SIDE, channels=1, scale=2048.0, mean=(1024.0,), std=(1.0,), crop="centre")
"""``(2 * (x / 255) - 1) * 1024`` of a film of 0–255, of its central square: what the library's documentation prescribes."""
UNCALIBRATED = (
    "uncalibrated: confidence is the raw score × 100, and thresholds are torchxrayvision's own; there is no probability"
)
NOT_TRAINED = "not trained: the data set has no such label"
NOT_KNOWN_HERE = "hilum has no such finding"

State = Mapping[str, npt.NDArray[Any]]


def bundle_parts(weights: PublicWeights, entry: Entry, state: State, sha256: str) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and the files of a bundle. ``sha256``: of the file that ``state`` was read from.

    Raises ``Incompatible`` where the state is not of that network, or our graph's answers are not the library's.
    """
    network = read_state(state, len(entry.labels))
    graph = network_to_onnx(network, len(entry.labels), SIDE)
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        id=weights.id,
        version=sha256[:12],
        architecture="DenseNet121",
        slot=None,
        trained_on=weights.trained_on,
        input=INPUT,
        outputs=outputs(entry),
        files={},
        in_ensemble=False,
        warnings=(UNCALIBRATED,),
    )
    source = {"address": entry.address, "sha256": sha256, "library": f"torchxrayvision {entry.version}"}
    files = {
        "model.onnx": graph,
        "golden.npz": _golden(graph, state, len(entry.labels)),
        "card.md": _card(manifest, entry, sha256).encode(),
        SOURCE: json.dumps(source, indent=2).encode() + b"\n",
    }
    return manifest, files


def outputs(entry: Entry) -> tuple[Output, ...]:
    """Return the network's outputs under our names. Of two that mean the same finding, the first answers."""
    means = [canonical(label) for label in entry.labels]
    made = []
    for index, (label, target, cut) in enumerate(zip(entry.labels, entry.targets, entry.thresholds, strict=True)):
        finding = means[index]
        if not label:
            ours = canonical(target)
            made.append(Output(target if ours is None or ours in means else ours, assessed=False, reason=NOT_TRAINED))
        elif finding is None:
            made.append(Output(label, assessed=False, reason=NOT_KNOWN_HERE))
        elif finding in means[:index]:
            first = entry.labels[means.index(finding)]
            made.append(
                Output(label, assessed=False, reason=f"means {finding} too, for which its output {first} answers")
            )
        else:
            points = {} if cut is None else {"youden": OperatingPoint(100 * cut, None, None)}
            made.append(Output(finding, assessed=True, operating_points=points))
    return tuple(made)


@torch.no_grad()
def read_state(state: State, outputs: int) -> Network:
    """Return our network with a state dict of torchvision's names. Raises ``Incompatible`` where it is of another network."""
    network = torchxrayvision_densenet121(outputs)
    own = [part for part in network.trunk.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    head = network.head
    places = dict(zip(_names(), own, strict=True)) | (
        {"classifier": head.logits} if isinstance(head, LinearHead) else {}
    )
    for place, module in places.items():
        for part, values in module.state_dict(keep_vars=True).items():
            name = f"{place}.{part}"
            given = state.get(name)
            if part == "num_batches_tracked":
                continue
            if given is None or given.shape != tuple(values.shape):
                raise Incompatible(
                    f"The weights do not fit a DenseNet121 of {outputs} outputs: see {name}. Fetch them again."
                )
            values.copy_(torch.from_numpy(given.astype(np.float32)))
    return network.eval()


def _names() -> Iterator[str]:
    """Yield torchvision's names of the trunk's convolutions and batch norms, in the order of the forward pass."""
    yield from ("features.conv0", "features.norm0")
    for block, depth in enumerate(DENSENET121_BLOCKS, start=1):
        for layer in range(1, depth + 1):
            for part in ("norm1", "conv1", "norm2", "conv2"):
                yield f"features.denseblock{block}.denselayer{layer}.{part}"
        if block < len(DENSENET121_BLOCKS):
            yield from (f"features.transition{block}.{part}" for part in ("norm", "conv"))
    yield "features.norm5"


def _golden(graph: bytes, state: State, outputs: int) -> bytes:
    """Return an .npz of made-up films and the logits that the library's own network gives, which ours must give too."""
    films = _films()
    x = np.ascontiguousarray(scale_pixels(films.astype(np.float32) / np.float32(255), INPUT), dtype=np.float32)
    theirs = own_network(state, outputs)(x)
    (ours,) = open_session(graph).evaluate(x, "logits")
    logit, score = float(np.abs(ours - theirs).max()), float(np.abs(sigmoid(ours) - sigmoid(theirs)).max())
    allowed = GOLDEN_TOLERANCE["fp32"]
    if not (logit <= allowed and score <= TOLERANCE):
        raise Incompatible(
            f"The bundle's scores would differ from torchxrayvision's own by {score:g}, its logits by {logit:g}. "
            f"Expected at most {TOLERANCE:g} and {allowed:g}. Nothing is written. "
            "Report the processor and the versions of torch and onnxruntime."
        )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=films, logits=theirs)
    return buffer.getvalue()


def _films() -> npt.NDArray[np.uint8]:
    """Return pictures of smooth light and shade, uint8, N×224×224: noise would not reach the deeper layers."""
    y, x = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j]
    films = [0.5 + 0.25 * np.sin(9 * y + n) + 0.25 * np.cos((5 + 3 * n) * x) for n in range(GOLDEN_FILMS)]
    return np.asarray(np.rint(255 * np.stack(films)), dtype=np.uint8)


def _card(manifest: Manifest, entry: Entry, sha256: str) -> str:
    """Return the model card."""
    trained, rows = manifest.trained_on, []
    for output in manifest.outputs:
        point = output.operating_points.get("youden")
        cut = "none" if point is None else f"{point.threshold:.2f}"
        rows.append(f"| {output.name} | {cut if output.assessed else f'not assessed: {output.reason}'} |")
    return f"""# {manifest.name}, version {manifest.version}

For research and education only. Clinical use requires validation by qualified radiologists.

Nobody here trained or measured these weights. They are torchxrayvision's (version {entry.version}), trained on
{trained.dataset}, from <{entry.address}>, sha256 `{sha256}`.
Weights: {WEIGHTS_LICENCE}. Films: {trained.image_licence}. Labels: {", ".join(trained.label_sources)}.
Cite: {trained.citation}.

Not calibrated: confidence is the raw score × 100, with torchxrayvision's own thresholds on it.

| output | threshold (confidence) |
|---|---|
{chr(10).join(rows)}
"""
