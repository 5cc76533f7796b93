"""Keras and TensorFlow's side: the same three networks from ``hilum models export --to keras-h5``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from bench.speed.contender import Jobs
from bench.speed.material import BATCH, FORMS, THREE
from bench.speed.preprocess import film_pixels, network_input


def jobs(folder: Path) -> Jobs:
    """Return name → job."""
    found: dict[str, Callable[[], Any]] = {
        "predict": partial(each, folder, "predict"),
        "predict_on_batch": partial(each, folder, "predict_on_batch"),
        "batch": partial(batch, folder),
        "load_h5": partial(load, folder, THREE[0]),
        "scores": partial(scores, folder),
    }
    return found | {f"film_{form}": partial(film, folder, form) for form in FORMS}


def load(folder: Path, name: str) -> Any:
    """Let Keras read its file."""
    import keras

    model = keras.models.load_model(folder / f"{name}.h5", compile=False)
    return model.name  # what is timed must be sent as JSON


@cache
def networks(folder: Path) -> dict[str, Any]:
    """Return the three networks."""
    import keras

    return {name: keras.models.load_model(folder / f"{name}.h5", compile=False) for name in THREE}


@cache
def tensors(folder: Path, count: int = 1) -> dict[str, Any]:
    """Return what each network is given, N×224×224×3."""
    one = {name: np.load(folder / f"{name}.npy").transpose(0, 2, 3, 1) for name in THREE}
    return {name: np.ascontiguousarray(np.repeat(x, count, axis=0)) for name, x in one.items()}


def answer(model: Any, x: Any, method: str) -> Any:
    """Return a network's scores by ``predict`` or ``predict_on_batch``."""
    return model.predict(x, verbose=0) if method == "predict" else model.predict_on_batch(x)


def each(folder: Path, method: str) -> None:
    """A tensor through each network."""
    for name, model in networks(folder).items():
        answer(model, tensors(folder)[name], method)


def batch(folder: Path) -> None:
    """Films as one batch through each network."""
    for name, model in networks(folder).items():
        model.predict(tensors(folder, BATCH)[name], batch_size=BATCH, verbose=0)


def film(folder: Path, form: str) -> None:
    """A file → scores of each network; no findings, levels or heat maps."""
    pixels = film_pixels((folder / FORMS[form]).read_bytes(), form)
    for name, model in networks(folder).items():
        answer(model, network_input(pixels, folder, name), "predict_on_batch")


def scores(folder: Path) -> dict[str, list[float]]:
    """Network → its scores of the tensor."""
    answers = {
        name: answer(model, tensors(folder)[name], "predict_on_batch") for name, model in networks(folder).items()
    }
    return {name: [float(one) for one in np.asarray(scores)[0]] for name, scores in answers.items()}
