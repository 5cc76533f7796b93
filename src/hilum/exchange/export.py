"""A bundle → files for other people's software, held against the bundle's own answers before they are put in place."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from hilum import __version__
from hilum.ensemble import scores
from hilum.errors import ConfigError, Incompatible
from hilum.graph import with_float32_weights
from hilum.keras_h5 import bundle_from_h5, bundle_to_h5, sidecar_text
from hilum.records import Array, Manifest
from hilum.registry import Bundle, manifest_to_json
from hilum.runtime import open_session

Format = Literal["keras-h5", "onnx", "torch"]

SUFFIXES: Mapping[Format, str] = {"keras-h5": ".h5", "onnx": ".onnx", "torch": ".pt"}
TOLERANCE = 1e-4
"""Largest difference of a score from the bundle's own."""
FILMS = 2


def export(bundle: Bundle, to: Format, out: Path) -> tuple[Path, ...]:
    """Write a member as the file ``out`` and what explains it beside it; return the files' paths.

    Raises ``ConfigError`` for a name that does not fit or is taken, ``Incompatible`` for a network that the format can't
    hold, or whose answers would not be the bundle's.
    """
    if out.suffix != SUFFIXES[to]:
        raise ConfigError(f"The file to write is {out.name}. Expected a name that ends in {SUFFIXES[to]}.")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / out.name
        _WRITERS[to](bundle, made)
        files = sorted(made.parent.iterdir())
        targets = tuple(out.parent / file.name for file in files)
        if taken := [target for target in targets if target.exists()]:
            raise ConfigError(f"{taken[0]} is there already. Delete it, or choose another name.")
        out.parent.mkdir(parents=True, exist_ok=True)
        for file, target in zip(files, targets, strict=True):
            shutil.move(file, target)
    return targets


def _to_keras(bundle: Bundle, out: Path) -> None:
    out.write_bytes(bundle_to_h5(bundle))
    out.with_suffix(".toml").write_text(sidecar_text(bundle.manifest), "utf-8")
    read = bundle_from_h5(out)
    turned = bundle.manifest.input.layout == "NCHW"
    session = open_session(read.model)
    _check(
        bundle, lambda x: session.evaluate(np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if turned else x, "logits")[0]
    )


def _to_onnx(bundle: Bundle, out: Path) -> None:
    graph = with_float32_weights(bundle.model)
    out.write_bytes(graph)
    session = open_session(graph)
    _check(bundle, lambda x: session.evaluate(x, "logits")[0])
    _explain(bundle, out, _ONNX.format(name=out.name), None)


def _to_torch(bundle: Bundle, out: Path) -> None:
    import torch

    from hilum.training.from_onnx import network_from_graph

    builder, network = network_from_graph(bundle.model)
    torch.save(network.state_dict(), out)
    with torch.no_grad():
        _check(bundle, lambda x: network(torch.from_numpy(x)).numpy())
    usage = _TORCH.format(name=out.name, builder=builder, outputs=len(bundle.manifest.outputs))
    _explain(bundle, out, usage, f"hilum.training.networks.{builder}")


_WRITERS: Mapping[Format, Callable[[Bundle, Path], None]] = {
    "keras-h5": _to_keras,
    "onnx": _to_onnx,
    "torch": _to_torch,
}


def _check(bundle: Bundle, logits: Callable[[Array], Array]) -> None:
    """Raise ``Incompatible`` unless what was written gives the bundle's scores for made-up inputs."""
    spec = bundle.manifest.input
    sides = (
        (spec.channels, spec.height, spec.width) if spec.layout == "NCHW" else (spec.height, spec.width, spec.channels)
    )
    reach = max(
        abs(end)
        for mean, std in zip(spec.mean, spec.std, strict=True)
        for end in (-mean / std, (spec.scale - mean) / std)
    )
    x = np.random.default_rng(0).uniform(-reach, reach, (FILMS, *sides)).astype(np.float32)
    (expected,) = open_session(bundle.model).evaluate(x, "logits")
    given = logits(x)
    pairs = [
        (scores(ours, bundle.manifest), scores(theirs, bundle.manifest))
        for ours, theirs in zip(expected, given, strict=True)
    ]
    difference = max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)
    if not difference <= TOLERANCE:
        raise Incompatible(
            f"The scores of the exported network would differ from the bundle's by {difference:g}. Expected at most "
            f"{TOLERANCE:g}. Nothing is written: please report the bundle's architecture."
        )


def _explain(bundle: Bundle, out: Path, usage: str, network: str | None) -> None:
    """Write all that is known of the network beside it: for programs, and for people. ``network``: the function that makes it."""
    known = {
        "written_by": f"hilum {__version__}",
        "network": network,
        "manifest": json.loads(manifest_to_json(bundle.manifest)),
    }
    out.with_suffix(".json").write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", "utf-8")
    out.with_suffix(".md").write_text(_readme(bundle.manifest, usage), "utf-8")


_ONNX = """```python
import onnxruntime

session = onnxruntime.InferenceSession("{name}")
logits, = session.run(["logits"], {{session.get_inputs()[0].name: x}})  # x: float32
```"""
_TORCH = """```python
import torch
from hilum.training.networks import {builder}

network = {builder}({outputs}).eval()
network.load_state_dict(torch.load("{name}", weights_only=True))
logits = network(x)  # x: a float32 tensor
```"""


def _readme(manifest: Manifest, usage: str) -> str:
    spec = manifest.input
    crop = "stretched" if spec.crop == "whole" else "its largest centred rectangle of that shape, resampled"
    axes = "films × channels × rows × columns" if spec.layout == "NCHW" else "films × rows × columns × channels"
    rows = [
        f"| {n} | {one.name} | {'' if one.assessed else f'do not use: {one.reason}'} |"
        for n, one in enumerate(manifest.outputs)
    ]
    return f"""# {manifest.name}, version {manifest.version}

For research and education only. Clinical use requires validation by qualified radiologists. Written by hilum {__version__}.

{usage}

**Input**: {axes}, {spec.channels} × {spec.height} × {spec.width} (channels, rows, columns). The film, bright = dense, as
values 0–1, {crop}; the same in every channel; then `(p * scale - mean) / std`,
scale {spec.scale}, mean {list(spec.mean)}, std {list(spec.std)}.

**Output**: one logit for each line below; the score is its {manifest.activation}. Calibration and operating points stand in the
`.json` beside this file, as in hilum's manifests.

| index | finding | |
|---|---|---|
{chr(10).join(rows)}

Trained on {manifest.trained_on.dataset}. Films: {manifest.trained_on.image_licence or "licence not stated"}.
Labels: {manifest.trained_on.label_licence or "licence not stated"}. Cite: {manifest.trained_on.citation or "not stated"}.
"""
