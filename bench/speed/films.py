"""What every side is given: one film in four forms, a tensor for each network, and the networks as each side takes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from bench import decode
from bench.speed.material import FORMS, THREE
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from hilum.exchange.export import export
from hilum.images import read_image
from hilum.normalise import normalise
from hilum.registry import load_bundle, shipped_folder


def prepare(folder: Path) -> None:
    """Write everything into ``folder``."""
    dataset = decode.film()
    stored = np.frombuffer(dataset.PixelData, dtype=np.uint16).reshape(dataset.Rows, dataset.Columns)
    large = (stored >> 4).astype(np.uint8)
    (folder / FORMS["dicom"]).write_bytes(decode.written(dataset, ExplicitVRLittleEndian))
    (folder / FORMS["j2k"]).write_bytes(decode.encoded(decode.film(), JPEG2000Lossless))
    Image.fromarray(large).save(folder / FORMS["jpeg"], quality=92)
    with Image.open(decode.FILM) as image:
        Image.fromarray(noisy(image.convert("L").resize((1024, 1024), Image.Resampling.BICUBIC))).save(
            folder / FORMS["png"]
        )
    film = read_image((folder / FORMS["png"]).read_bytes())
    for name in THREE:
        bundle = load_bundle(shipped_folder() / name)
        np.save(folder / f"{name}.npy", normalise(film, bundle.manifest.input))
        (folder / f"{name}.onnx").write_bytes(bundle.model)
        spec = bundle.manifest.input
        scaling = {"scale": spec.scale, "mean": spec.mean, "std": spec.std, "activation": bundle.manifest.activation}
        (folder / f"{name}.json").write_text(json.dumps(scaling))
        export(bundle, "keras-h5", folder / f"{name}.h5")


def noisy(picture: Image.Image) -> np.ndarray:
    """Return a picture with a detector's noise, without which it would compress too well."""
    values = np.asarray(picture, dtype=np.float32) + np.random.default_rng(1).normal(0, 1, picture.size[::-1])
    return np.clip(values, 0, 255).astype(np.uint8)
