"""What was aimed at, what was measured, and why it is so where it was missed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.speed.material import GEMM, THREE
from bench.speed.sides import Spread, ratio, spread

Results = Mapping[str, Any]
WORKERS, QUEUE = 2, 8
"""The service's defaults."""
QUICK_MS = 100
"""Within which a film that finds no place should be told so."""


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the first table."""

    aim: str
    measured: str
    met: bool
    why: str


def compare(results: Results, group: str, ours: str, theirs: str) -> Spread:
    """Return how many times as long ``theirs`` took as ``ours``, round by round of one group."""
    samples = results["groups"][group]
    return ratio(samples[theirs], samples[ours])


def times(value: Spread) -> str:
    """Return a ratio with its quartiles."""
    return f"{value.median:.2f}× ({value.low:.2f}–{value.high:.2f})"


def has_int8(results: Results) -> bool:
    """Say whether a member ships weights in 8 bits."""
    return "int8" in results["precisions"].values()


def peak(results: Results, kind: str, threads: int) -> float:
    """Return the measured speed of a matrix product, operations a millisecond."""
    return 2.0 * GEMM**3 / min(results["groups"]["peak"][f"hilum gemm_{kind}_{threads}"])


def share_of_peak(results: Results, names: tuple[str, ...], precision: str) -> float:
    """Return the share of the peak on one thread, 0–1, that these networks reach together."""
    mark = "" if precision == "fp32" else "_int8"
    samples = results["groups"]["peak"]
    needed = sum(results["operations"][name] for name in names)
    took = sum(median(samples[f"hilum one_thread_{name}{mark}"]) for name in names)
    return float(needed / took / peak(results, precision, 1))


def targets(results: Results) -> list[Target]:
    """Return every target with what became of it."""
    return [
        *_starting(results),
        *_networks(results),
        _maps(results),
        *_peaks(results),
        _jpeg_2000(results),
        *_service(results),
    ]


def _starting(results: Results) -> list[Target]:
    ours, theirs = results["cold"]["hilum"], results["cold"]["keras"]
    start = ratio([ms for ms, _ in theirs], [ms for ms, _ in ours])
    memory = median(mib for _, mib in ours) / median(mib for _, mib in theirs)
    seconds, mib = median(ms for ms, _ in ours) / 1000, median(mib for _, mib in ours)
    return [
        Target(
            "cold start to a first answer of three members: at least 10 times as fast as Keras/TensorFlow",
            times(start),
            start.median >= 10,
            f"{seconds:.1f} s; Keras imports TensorFlow first, and traces three graphs",
        ),
        Target(
            "its memory: at most 1/4 of Keras/TensorFlow's",
            f"{memory:.2f}",
            memory <= 0.25,
            f"{mib:.0f} MiB at the peak: Python and libraries, the files, and each network once more as the engine lays it out",
        ),
    ]


def _networks(results: Results) -> list[Target]:
    samples = results["groups"]["tensor"]
    densenet = results["groups"]["peak"]
    part = median(densenet[f"hilum one_thread_{THREE[0]}"]) / sum(
        median(densenet[f"hilum one_thread_{name}"]) for name in THREE
    )
    exact = compare(results, "tensor", "hilum tensor_maps", "keras predict_on_batch")
    reached = share_of_peak(results, THREE, "fp32")
    found = [
        Target(
            "tensor in to heat maps out, three members: at least 2.5 times as fast as `predict_on_batch` without maps; float32",
            times(exact),
            exact.median >= 2.5,
            f"both compute the same products, and these run at {reached:.0%} of the processor's peak: only fewer bits or a smaller "
            f"network gain more; DenseNet121 is {part:.0%} of it",
        )
    ]
    if "hilum tensor_maps_int8" in samples:
        coarse = compare(results, "tensor", "hilum tensor_maps_int8", "keras predict_on_batch")
        inside = ", ".join(f"{name}: {precision}" for name, precision in results["precisions"].items())
        found.append(
            Target(
                "the same; 8 bits where the accuracy holds (`--precision int8`)",
                times(coarse),
                coarse.median >= 2.5,
                f"{inside}; stretch target 4 times: {'met' if coarse.median >= 4 else 'not met'}",
            )
        )
    else:
        found.append(
            Target(
                "the same; 8 bits where the accuracy holds", "not measured", False, "no member ships weights in 8 bits"
            )
        )
    exact = compare(results, "batch", "hilum batch", "torch batch")
    found.append(
        Target(
            "batch throughput: at least 3 times torch eager; float32",
            times(exact),
            exact.median >= 3,
            "torch runs the networks as they were trained, batch norms unfolded, one operator after the other, but its products "
            "too run near the peak",
        )
    )
    if "hilum batch_int8" in results["groups"]["batch"]:
        coarse = compare(results, "batch", "hilum batch_int8", "torch batch")
        found.append(
            Target(
                "the same; 8 bits (`--precision int8`)",
                times(coarse),
                coarse.median >= 3,
                "fewer bits: see each network below",
            )
        )
    return found


def _maps(results: Results) -> Target:
    samples = results["groups"]["tensor"]
    added = spread([m / n for m, n in zip(samples["hilum maps"], samples["hilum tensor_logits"], strict=True)])
    return Target(
        "heat maps of every finding add at most 3 %",
        f"{added.median:.1%} ({added.low:.1%}–{added.high:.1%})",
        added.median <= 0.03,
        f"{median(samples['hilum maps']):.1f} ms for three members: the head's backward pass and one product, no second run",
    )


def _peaks(results: Results) -> list[Target]:
    exact = share_of_peak(results, THREE, "fp32")
    each = ", ".join(f"{name} {share_of_peak(results, (name,), 'fp32'):.0%}" for name in THREE)
    found = [Target("float32: at least 80 % of the GEMM peak, one thread", f"{exact:.1%}", exact >= 0.8, each)]
    if has_int8(results):
        names = tuple(name for name in THREE if results["precisions"][name] == "int8")
        coarse = share_of_peak(results, names, "int8")
        found.append(
            Target(
                "8 bits: its share of the 8-bit peak, explained",
                f"{coarse:.0%}",
                True,
                "DenseNet121's batch norms before its convolutions stay in float32, so values are scaled and rounded between "
                "any two; depthwise convolutions wait for memory, not for products",
            )
        )
    return found


def _jpeg_2000(results: Results) -> Target:
    faster = compare(results, "decode", "hilum read_j2k", "hilum read_j2k_full")
    return Target(
        "a JPEG 2000 film of 2500 × 2048: at least 3 times as fast as a full decode",
        times(faster),
        faster.median >= 3,
        "its finest wavelet level, three quarters of the samples, is not decoded",
    )


def _service(results: Results) -> list[Target]:
    http = results["http"]
    adds = spread([sent - inside for sent, inside in http["pairs"]])
    overload, clients = http["overload"], http["clients"]
    throughput = max(one["films_per_second"] for one in clients.values())
    bound = 1500 * (WORKERS + QUEUE) / throughput
    slowest = overload["p99"] or float("inf")
    refused = overload["busy_p99"] or float("inf")
    return [
        Target(
            "HTTP adds at most 10 ms at p50",
            f"{adds.median:.1f} ms ({adds.low:.1f}–{adds.high:.1f})",
            adds.median <= 10,
            "the upload, the HTML report with two pictures, JSON, and the way back",
        ),
        Target(
            "at 4 times what it can serve, p99 of accepted films stays bounded",
            f"{slowest:.0f} ms",
            slowest <= bound and not overload["other"],
            f"bound: 1.5 times what a full pool of {WORKERS} workers and {QUEUE} places takes, {bound:.0f} ms; "
            f"{overload['accepted']} accepted, {overload['busy']} told to come again, {overload['other']} lost",
        ),
        Target(
            f"and the rest get 503 within {QUICK_MS} ms (p99)",
            f"{refused:.0f} ms",
            refused <= QUICK_MS,
            "a place is asked for before a byte of the film is read; what remains is waiting for a processor, which the clients of "
            "this measurement use as well",
        ),
    ]
