"""hilum beside what else could read the same films: one run, taking turns, every figure a ratio.

    make bench
    python -m bench.speed --peers .venv-extras/bin/python

Writes ``bench/results/bench-DATE.json``, the table ``bench/results/bench.md`` that is made of it, and the same table into
``docs/explanation/performance.md``. ``--quick`` tries everything with tiny counts, and writes nowhere but to ``--out``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.speed import clients
from bench.speed.films import prepare
from bench.speed.material import FORMS, THREE
from bench.speed.sides import ROOT, Samples, Side, cold_start, open_sides, take_turns
from bench.speed.table import PAGE, put, table

PEERS = ("keras", "torch", "xrv")
RESULTS = ROOT / "bench" / "results"
PACKAGES = ("hilum", "onnxruntime", "numpy", "pillow", "pydicom")
PEER_PACKAGES = ("keras", "tensorflow", "torch", "torchvision", "torchxrayvision")


def groups(int8: bool) -> dict[str, tuple[int, list[tuple[str, str]]]]:
    """Return group → rounds, and who does what in each; what stands in one group is compared."""
    mark = ("", "_int8") if int8 else ("",)
    films: dict[str, tuple[int, list[tuple[str, str]]]] = {}
    for form in FORMS:
        runners = [
            *(("hilum", f"film_{form}{one}") for one in mark),
            ("keras", f"film_{form}"),
            ("torch", f"film_{form}"),
        ]
        if form in ("jpeg", "png"):
            runners += [("hilum", f"film_{form}_densenet"), ("xrv", f"film_{form}")]
        films[f"film {form}"] = (7, runners)
    return {
        "tensor": (
            15,
            [
                *(("hilum", f"tensor_maps{one}") for one in mark),
                ("hilum", "tensor_logits"),
                ("hilum", "maps"),
                ("hilum", "densenet_maps"),
                ("keras", "predict"),
                ("keras", "predict_on_batch"),
                ("torch", "eager"),
                ("torch", "maps"),
                ("torch", "densenet_map"),
                ("xrv", "tensor"),
            ],
        ),
        "peak": (
            9,
            [
                *(("hilum", f"gemm_{kind}_{threads}") for kind in ("fp32", "int8") for threads in (1, 2)),
                *(("hilum", f"one_thread_{name}{one}") for one in mark for name in THREE),
            ],
        ),
        **films,
        "decode": (7, [("hilum", "read_j2k"), ("hilum", "read_j2k_full")]),
        "batch": (3, [*(("hilum", f"batch{one}") for one in mark), ("keras", "batch"), ("torch", "batch")]),
        "import": (3, [("hilum", "import_h5"), ("keras", "load_h5")]),
        "growth": (
            3,
            [
                *(("hilum", f"members_{count}") for count in (1, 2, 3, 4)),
                *(("hilum", f"folder_{count}") for count in (4, 16, 64)),
            ],
        ),
    }


def measure(pythons: dict[str, Path], folder: Path, quick: bool) -> dict[str, Any]:
    """Return everything that is measured."""
    prepare(folder)
    found: dict[str, Any] = {"cold": {}, "groups": {}}
    with open_sides({"hilum": pythons["hilum"], "torch": pythons["torch"]}, folder) as sides:
        found["precisions"] = sides["hilum"].ask("precisions")["value"]
        found["operations"] = sides["hilum"].ask("operations")["value"]
        found["stages"] = sides["hilum"].ask("stages")["value"]
        sides["torch"].ask("scores")  # saves the networks as torch's users have them
    for number in range(1 if quick else 4):
        for name, python in pythons.items():
            took = cold_start(python, name, folder, "film_png")
            if number or quick:  # the first reads from the disk
                found["cold"].setdefault(name, []).append(took)
    with open_sides(pythons, folder) as sides:
        given = {name: sides[name].ask("scores")["value"] for name in ("hilum", "keras", "torch")}
        found["score_difference"] = {name: difference(given["hilum"], given[name]) for name in ("keras", "torch")}
        for group, (rounds, runners) in groups("int8" in found["precisions"].values()).items():
            say(group)
            found["groups"][group] = named(take_turns(sides, runners, 1 if quick else rounds))
    say("service")
    with clients.service(pythons["hilum"]) as port, open_sides({"hilum": pythons["hilum"]}, folder) as sides:
        found["http"] = serve(port, sides["hilum"], (folder / FORMS["png"]).read_bytes(), quick)
    return found


def serve(port: int, inside: Side, film: bytes, quick: bool) -> dict[str, Any]:
    """Return what the service does: a film alone beside the same film without HTTP, then clients, then too many."""
    body = clients.form(film)
    pairs = []
    for number in range(3 if quick else 31):
        pair = clients.alone(port, body), 1000 * inside.ask("film_png_all")["seconds"][0]
        if number:
            pairs.append(pair)
    seconds = 3 if quick else 10
    found: dict[str, Any] = {"pairs": pairs, "clients": {}}
    for count in (1, 8, 64):
        found["clients"][count] = clients.in_turn(port, body, count, seconds)
    rate = 4 * max(one["films_per_second"] for one in found["clients"].values())
    return found | {"overload": clients.at_a_rate(port, body, rate, seconds)}


def difference(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> float:
    """Return the largest difference of a score."""
    return max(abs(a - b) for name in THREE for a, b in zip(ours[name], theirs[name], strict=True))


def named(samples: Samples) -> dict[str, list[float]]:
    """Return samples by "side job"."""
    return {" ".join(runner): values for runner, values in samples.items()}


def machine() -> dict[str, Any]:
    """Return what it runs on."""
    cpu = Path("/proc/cpuinfo").read_text("utf-8")
    model = next((line.split(":")[1].strip() for line in cpu.splitlines() if line.startswith("model name")), "unknown")
    flags = next((line.split() for line in cpu.splitlines() if line.startswith("flags")), [])
    memory = int(Path("/proc/meminfo").read_text("ascii").split()[1]) / 2**20
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "instructions": [
            name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if name in flags
        ],
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": os.getloadavg()[0],
    }


def versions(peers: Path) -> dict[str, str]:
    """Return the versions of what took part."""
    script = f"import importlib.metadata as m; print(*[m.version(name) for name in {PEER_PACKAGES}])"
    theirs = subprocess.run([peers, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    ours = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **ours, **dict(zip(PEER_PACKAGES, theirs, strict=True))}


def say(what: str) -> None:
    """Tell whoever waits how far it is."""
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peers", type=Path, default=ROOT / ".venv-extras" / "bin" / "python", help="with Keras, torch …"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    begun = perf_counter()
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "command": "make bench", "machine": machine()}
    about |= {"versions": versions(given.peers)}
    pythons = {"hilum": Path(sys.executable), **dict.fromkeys(PEERS, given.peers)}
    with tempfile.TemporaryDirectory() as folder:
        results = about | measure(pythons, Path(folder), given.quick)
    results["minutes"] = round((perf_counter() - begun) / 60, 1)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"bench-{results['date']}.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    text = table(results)
    (given.out / "bench.md").write_text(text, "utf-8")
    if not given.quick:
        PAGE.write_text(put(PAGE.read_text("utf-8"), text), "utf-8")
    print(text)


if __name__ == "__main__":
    main()
