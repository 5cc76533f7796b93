"""hilum's side: what ships, opened as every service opens it."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from bench.speed.contender import Jobs
from bench.speed.material import BATCH, FORMS, GEMM, THREE

FOUR = (*THREE, "efficientnet-lite2-nih")
"""All that ship; the gate reads the fourth's features."""
PROCESSORS = os.cpu_count() or 1


def jobs(folder: Path) -> Jobs:
    """Return name → job."""
    films = {form: folder / name for form, name in FORMS.items()}
    found: dict[str, Callable[[], Any]] = {}
    for precision, mark in (("fp32", ""), ("int8", "_int8")):
        found |= {f"film_{form}{mark}": partial(analyze, file, THREE, precision) for form, file in films.items()}
        found[f"tensor_maps{mark}"] = partial(tensor_maps, folder, THREE, precision)
        found[f"batch{mark}"] = partial(batch, folder, precision)
        found |= {f"one_thread_{name}{mark}": partial(one_member, folder, name, precision) for name in THREE}
    found |= {f"members_{count}": partial(analyze, films["png"], FOUR[:count]) for count in (1, 2, 3, 4)}
    found |= {f"folder_{count}": partial(folder_of, films["png"], count) for count in (4, 16, 64)}
    for kind in ("fp32", "int8"):
        found |= {f"gemm_{kind}_{threads}": partial(gemm, kind, threads) for threads in (1, 2)}
    return found | {
        "tensor_logits": partial(tensor_logits, folder),
        "maps": partial(maps_only, folder),
        "film_png_densenet": partial(analyze, films["png"], THREE[:1]),
        "film_jpeg_densenet": partial(analyze, films["jpeg"], THREE[:1]),
        "densenet_maps": partial(tensor_maps, folder, THREE[:1]),
        "film_png_all": partial(analyze, films["png"], FOUR),
        "read_j2k": partial(read, films["j2k"]),
        "read_j2k_full": partial(read, films["j2k"], enough=False),
        "import_h5": partial(import_h5, folder / f"{THREE[0]}.h5"),
        "scores": partial(scores, folder),
        "operations": partial(operations, folder),
        "precisions": precisions,
        "stages": partial(stages, films["jpeg"]),
    }


@cache
def tensors(folder: Path) -> dict[str, Any]:
    """Return what each network is given, 1×3×224×224."""
    return {name: np.load(folder / f"{name}.npy") for name in THREE}


@cache
def engine(names: tuple[str, ...], precision: str = "fp32", threads: int | None = None) -> Any:
    """Open these members, and no other."""
    from hilum.pipeline import open_bundles
    from hilum.registry import load_bundle, shipped_folder

    return open_bundles([load_bundle(shipped_folder() / name) for name in names], threads=threads, precision=precision)


def read(file: Path, enough: bool = True) -> Any:
    """Decode a film as the service does."""
    from hilum.images import ENOUGH, read_image

    return read_image(file.read_bytes(), enough=ENOUGH if enough else None).pixels.shape


def analyze(file: Path, names: tuple[str, ...], precision: str = "fp32") -> Any:
    """A file → findings, level and heat maps."""
    from hilum.images import ENOUGH, read_image
    from hilum.pipeline import analyze

    analysis = analyze(read_image(file.read_bytes(), enough=ENOUGH), engine(names, precision))
    assert analysis.heatmaps
    return analysis.level


def tensor_maps(folder: Path, names: tuple[str, ...], precision: str = "fp32", threads: int | None = None) -> None:
    """Tensors in, logits and every heat map out."""
    for member in engine(names, precision, threads).members:
        draw(member, member.session.run(tensors(folder)[member.manifest.id]))


def draw(member: Any, scored: Any) -> None:
    """Make a member's heat maps, on a film that is body all over."""
    from hilum import explain

    explain.heatmaps(
        member.name, scored, member.head, member.manifest, np.ones((explain.BODY, explain.BODY), dtype=bool), 1024, 1024
    )


def tensor_logits(folder: Path) -> None:
    """Tensors in, logits out."""
    for member in engine(THREE).members:
        member.session.evaluate(tensors(folder)[member.manifest.id], "logits")


def one_member(folder: Path, name: str, precision: str) -> None:
    """One network on one thread, logits and features."""
    (member,) = engine((name,), precision, 1).members
    member.session.run(tensors(folder)[name])


@cache
def _given(folder: Path) -> list[tuple[Any, Any]]:
    """Return each member with what it gave for its tensor."""
    return [(member, member.session.run(tensors(folder)[member.manifest.id])) for member in engine(THREE).members]


def maps_only(folder: Path) -> None:
    """Every heat map of three members, from what the networks gave."""
    for member, scored in _given(folder):
        draw(member, scored)


def batch(folder: Path, precision: str = "fp32") -> None:
    """Films side by side as ``hilum analyze`` does it, each on one thread; logits and every heat map."""
    engine(THREE, precision, 1)
    with ThreadPoolExecutor(PROCESSORS) as pool:
        list(pool.map(lambda _: tensor_maps(folder, THREE, precision, 1), range(BATCH)))


def folder_of(film: Path, count: int) -> None:
    """``hilum analyze`` on so many films, all members."""
    from hilum.cli.analyze import answer_all

    answers = answer_all([film] * count, engine(FOUR, "fp32", 1), PROCESSORS)
    assert all(one.analysis is not None for one in answers)


def import_h5(file: Path) -> None:
    """A Keras file → a bundle."""
    from hilum.keras_h5 import bundle_from_h5

    bundle_from_h5(file)


def scores(folder: Path) -> dict[str, list[float]]:
    """Member → its scores of the tensor."""
    from hilum import ensemble

    found = {}
    for member in engine(THREE).members:
        (logits,) = member.session.evaluate(tensors(folder)[member.manifest.id], "logits")
        found[member.manifest.id] = [float(one) for one in ensemble.scores(logits[0], member.manifest)]
    return found


def precisions() -> dict[str, str]:
    """Member → what it computes in where int8 is asked for."""
    return {member.manifest.id: member.bundle.precision for member in engine(THREE, "int8").members}


def operations(folder: Path) -> dict[str, float]:
    """Member → multiplications and additions of its convolutions and dense layers for one film."""
    import onnx

    from hilum.graph import with_float32_weights

    found = {}
    for name in THREE:
        model = onnx.load_model_from_string(with_float32_weights((folder / f"{name}.onnx").read_bytes()))
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        graph = onnx.shape_inference.infer_shapes(model).graph
        shapes = {one.name: [d.dim_value for d in one.type.tensor_type.shape.dim] for one in graph.value_info}
        weights = {one.name: list(one.dims) for one in graph.initializer}
        outputs = {one.name: [d.dim_value for d in one.type.tensor_type.shape.dim] for one in graph.output}
        total = 0.0
        for node in graph.node:
            if node.op_type == "Conv":
                rows, columns = (shapes | outputs)[node.output[0]][2:]
                total += 2 * float(np.prod(weights[node.input[1]])) * rows * columns
            elif node.op_type == "Gemm":
                total += 2 * float(np.prod(weights[node.input[1]]))
        found[name] = total
    return found


@cache
def _multiplier(kind: str, threads: int) -> Callable[[], Any]:
    """Return a matrix product by the inference engine."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    if kind == "fp32":
        given, result, operator = TensorProto.FLOAT, TensorProto.FLOAT, "MatMul"
        x, weight = (rng.random((GEMM, GEMM), dtype=np.float32) for _ in range(2))
    else:
        given, result, operator = TensorProto.UINT8, TensorProto.INT32, "MatMulInteger"
        x = rng.integers(0, 127, (GEMM, GEMM), dtype=np.uint8)
        weight = rng.integers(-64, 64, (GEMM, GEMM), dtype=np.int8)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"])],
        "gemm",
        [helper.make_tensor_value_info("x", given, [GEMM, GEMM])],
        [helper.make_tensor_value_info("y", result, [GEMM, GEMM])],
        [numpy_helper.from_array(weight, "w")],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


def gemm(kind: str, threads: int) -> float:
    """Multiply two matrices; return the operations that takes."""
    _multiplier(kind, threads)()
    return 2.0 * GEMM**3


def stages(film: Path) -> dict[str, float]:
    """Where the time of one film goes, all members: stage → milliseconds, the median of 15 times."""
    from hilum import appearance, ensemble, explain, gate
    from hilum.images import ENOUGH, read_image
    from hilum.normalise import network_input, resample
    from hilum.pipeline import analyze
    from hilum.report import ml_analysis, to_html

    opened, data = engine(FOUR), film.read_bytes()
    image = read_image(data, enough=ENOUGH)
    analysis = analyze(image, opened)
    spec = opened.members[0].manifest.input
    height, width = image.pixels.shape
    small = resample(image.pixels, spec)
    inputs = [network_input(small, member.manifest.input) for member in opened.members]
    scored = [member.session.run(x) for member, x in zip(opened.members, inputs, strict=True)]

    def results() -> list[Any]:
        pairs = zip(opened.members, scored, strict=True)
        return [ensemble.member_result(m.name, m.manifest, one.logits, opened.policy, {}) for m, one in pairs]

    manifests = [member.manifest for member in opened.members]
    steps: dict[str, Callable[[], Any]] = {
        "decode a JPEG of 2500 × 2048": lambda: read_image(data, enough=ENOUGH),
        "judge its pixels": lambda: gate.judge(image, opened.scope),
        "resample": lambda: resample(image.pixels, spec),
    }
    for member, x in zip(opened.members, inputs, strict=True):
        steps[member.manifest.architecture] = partial(member.session.run, x)
    inside = explain.body(image.pixels)
    gated = next(place for place, member in enumerate(opened.members) if member.appearance is not None)
    steps |= {
        "what it looks like": lambda: appearance.look(
            scored[gated].features, image.pixels, opened.members[gated].appearance
        ),
        "find the body": lambda: explain.body(image.pixels),
        "heat maps": lambda: [
            explain.heatmaps(m.name, one, m.head, m.manifest, inside, width, height)
            for m, one in zip(opened.members, scored, strict=True)
        ],
        "calibrate, combine": lambda: ensemble.combine(results(), manifests, opened.policy, {}, opened.record),
        "HTML report": lambda: to_html(analysis, image),
        "JSON": lambda: json.dumps(ml_analysis(analysis), ensure_ascii=False, allow_nan=False).encode(),
    }
    return {name: statistics.median(_milliseconds(step) for _ in range(15)) for name, step in steps.items()}


def _milliseconds(step: Callable[[], Any]) -> float:
    begun = perf_counter()
    step()
    return 1000 * (perf_counter() - begun)
