"""Do a member's heat maps show what its network used, and do they point at what readers saw?

The first two questions do not depend on where anybody expects a finding.

Occlusion (Zeiler and Fergus 2014): where covering a cell of the film lowers the logit, the map should be bright. Randomisation
(Adebayo et al. 2018, Sanity Checks for Saliency Maps): with the network's weights shuffled, the map should change; one that
stays shows the picture's edges, not what was learnt. The third does: is the map brightest inside a box that a reader drew, oftener
than one point that is the same for every film (see ``localise``)?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from hilum import explain
from hilum.datasets.table import Row, Table
from hilum.errors import Incompatible
from hilum.evaluation.bootstrap import patient_draws, replicate, summarise
from hilum.evaluation.localise import Boxed, localise
from hilum.evaluation.scoring import score_table
from hilum.graph import read_head, with_float32_weights
from hilum.normalise import normalise
from hilum.pipeline import open_bundles
from hilum.records import Array, InputSpec, Interval, Manifest, MapCheck, Radiograph
from hilum.registry import Bundle, bundle_files, replace_bundle
from hilum.runtime import Session, open_session

LOUDEST = 3
"""A third of the films is looked at for each output: those for which it speaks loudest."""
SEED = 20263
BATCH = 16


def check_maps(bundle: Bundle, films: Iterable[tuple[str, Radiograph]]) -> dict[str, MapCheck]:
    """Return assessed output → what its maps are worth, on films that nothing trained on; a film with its patient.

    Raises ``Incompatible`` for a network that gives no maps.
    """
    head = read_head(bundle.model)
    if head is None:
        raise Incompatible(
            "The network gives no heat maps. Expected one that ends in global average pooling and dense layers."
        )
    without = shuffle_weights(bundle.model)
    network, shuffled, lost = open_session(bundle.model), open_session(without), read_head(without) or head
    patients: list[str] = []
    logits, occlusion, randomised = [], [], []
    for patient, film in films:
        x = normalise(film, bundle.manifest.input)
        given, features = network.evaluate(x, "logits", "features")
        maps = explain.signed_activation(features[0], head)
        drops = covered_drops(network, x, given[0], bundle.manifest.input, maps.shape[1:])
        # With their negative parts: a shuffled network's maps are often empty without, and would resemble nothing.
        other = explain.signed_activation(shuffled.evaluate(x, "features")[0][0], lost)
        patients.append(patient)
        logits.append(given[0])
        occlusion.append(rank_correlation(np.maximum(maps, 0), drops))
        randomised.append(rank_correlation(maps, other))
    columns = np.stack(logits), np.stack(occlusion), np.stack(randomised)
    return {
        output.name: _check(patients, *(column[:, index] for column in columns))
        for index, output in enumerate(bundle.manifest.outputs)
        if output.assessed
    }


def _check(patients: list[str], logits: Array, occlusion: Array, randomised: Array) -> MapCheck:
    loudest = np.argsort(-logits)[: max(1, len(logits) // LOUDEST)]
    owners = [patients[index] for index in loudest]
    return MapCheck(len(loudest), _mean(owners, occlusion[loudest]), _mean(owners, randomised[loudest]))


def _mean(patients: list[str], values: Array) -> Interval:
    column = values.astype(np.float32)
    draws = patient_draws(patients)
    return summarise(replicate(lambda weights: weights @ column.astype(weights.dtype) / weights.sum(axis=1), draws))


def covered_drops(session: Session, x: Array, logits: Array, spec: InputSpec, cells: tuple[int, ...]) -> Array:
    """Return how much each logit falls, K×h×w, when the place of each of the map's h×w cells is covered in the input ``x``.

    The cover is two cells wide and as grey as the film is on average, so that its edges tell as little as can be.
    """
    rows, columns = cells
    film = x[0] if spec.layout == "NCHW" else np.moveaxis(x[0], -1, 0)
    height, width = film.shape[1:]
    grey = film.mean(axis=(1, 2))[:, np.newaxis, np.newaxis]
    covered = []
    for row in range(rows):
        for column in range(columns):
            picture = film.copy()
            top, left = int((row - 0.5) * height / rows), int((column - 0.5) * width / columns)
            bottom, right = int((row + 1.5) * height / rows), int((column + 1.5) * width / columns)
            picture[:, max(0, top) : bottom, max(0, left) : right] = grey
            covered.append(picture if spec.layout == "NCHW" else np.moveaxis(picture, 0, -1))
    parts = [
        session.evaluate(np.ascontiguousarray(np.stack(covered[start : start + BATCH])), "logits")[0]
        for start in range(0, len(covered), BATCH)
    ]
    fallen = logits[np.newaxis] - np.concatenate(parts)
    return np.asarray(fallen.T.reshape(-1, rows, columns))


def shuffle_weights(model: bytes) -> bytes:
    """Return the graph with each kernel's and each dense layer's weights in a random order: the same numbers, nothing learnt.

    Biases and what batch norms left keep their places, so that the signal neither dies nor grows on its way.
    """
    proto = onnx.load_model_from_string(with_float32_weights(model))
    rng = np.random.default_rng(SEED)
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(rng.permutation(values.ravel()).reshape(values.shape), tensor.name))
    return bytes(proto.SerializeToString())


def rank_correlation(one: Array, other: Array) -> Array:
    """Return (K,): Spearman's correlation of each pair of maps K×h×w over their cells; 0 where one of them is flat."""
    first, second = (_ranks(maps.reshape(len(maps), -1)) for maps in (one, other))
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    shared = (first * second).sum(axis=1)
    return np.asarray(np.divide(shared, scale, out=np.zeros(len(first)), where=scale > 0))


def _ranks(values: Array) -> Array:
    """Return each row's ranks, equal values sharing their mean rank."""
    rows = []
    for row in values:
        _, place, count = np.unique(row, return_inverse=True, return_counts=True)
        rows.append((np.cumsum(count) - (count - 1) / 2)[place])
    return np.asarray(rows, dtype=np.float64)


def box_gains(
    bundle: Bundle, table: Table, boxed: Mapping[str, Sequence[Boxed]], rows: Iterable[Row] | None = None
) -> dict[str, Interval]:
    """Return finding → how much oftener the member's map points into a reader's box than the best fixed point does.

    ``table``: films that nothing trained on. ``boxed``: finding → every film with boxes of it, of other patients too, from which
    the fixed point is chosen. ``rows``: the table's, behind a progress bar perhaps. A finding with too few films is left out.
    """
    unchecked = tuple(replace(one, map_check=None) for one in bundle.manifest.outputs)
    engine = open_bundles([replace(bundle, manifest=replace(bundle.manifest, outputs=unchecked))], threads=1)
    scores = score_table(engine, table, rows, {row.image for row in table.rows})
    found = localise(scores.heatmaps, boxed).get(engine.members[0].name, {})
    return {finding: pointing.hits_gain for finding, pointing in found.items()}


def write_checks(bundle: Bundle, checks: dict[str, MapCheck]) -> Bundle:
    """Write the checks into the bundle, whose manifest changes with them, and the records beside it follow.

    Raises ``Incompatible`` where it is no folder.
    """
    if bundle.folder is None:
        raise Incompatible("The member is not a bundle folder. Expected one, which hilum models import makes of a .h5.")
    outputs = tuple(replace(one, map_check=checks.get(one.name, one.map_check)) for one in bundle.manifest.outputs)
    manifest: Manifest = replace(bundle.manifest, outputs=outputs)
    return replace_bundle(bundle, bundle.folder, manifest, bundle_files(bundle))
