"""The Markdown table of a run, made of its JSON and nothing else.

python -m bench.speed.table bench/results/bench-DATE.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.speed.material import BATCH, FORMS, THREE
from bench.speed.sides import ROOT, ratio
from bench.speed.targets import Results, compare, has_int8, peak, share_of_peak, targets, times

PAGE = ROOT / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- figures: written by make bench -->\n", "<!-- end of figures -->"
FILMS = {
    "jpeg": "JPEG 2500 × 2048",
    "png": "PNG 1024²",
    "dicom": "DICOM 2500 × 2048, raw, 12 bits in 16",
    "j2k": "the same in JPEG 2000",
}
Row = tuple[str, str, str, str, str]
"""What, hilum's job, the other side, its job, the group that both ran in."""


def rows(results: Results) -> Iterator[Row]:
    """Yield what is compared, in the table's order."""
    marks = {"": "", "_int8": ", 8 bits"} if has_int8(results) else {"": ""}
    for mark, bits in marks.items():
        tensor = f"tensor in, heat maps out, three networks{bits}"
        yield tensor, f"tensor_maps{mark}", "Keras `predict_on_batch`, no maps", "keras predict_on_batch", "tensor"
        yield tensor, f"tensor_maps{mark}", "Keras `predict`, no maps", "keras predict", "tensor"
        yield tensor, f"tensor_maps{mark}", "torch eager, no maps", "torch eager", "tensor"
    yield (
        "DenseNet121 with heat maps",
        "densenet_maps",
        "torchxrayvision's DenseNet121, no maps",
        "xrv tensor",
        "tensor",
    )
    for mark, bits in marks.items():
        batch = f"{BATCH} films, three networks{bits}"
        yield batch, f"batch{mark}", f"torch eager, a batch of {BATCH}", "torch batch", "batch"
        yield batch, f"batch{mark}", f"Keras `predict`, a batch of {BATCH}", "keras batch", "batch"
    for form in FORMS:
        for mark, bits in marks.items():
            what = f"{FILMS[form]}, file to findings and maps, three networks{bits}"
            yield what, f"film_{form}{mark}", "Keras, file to scores", f"keras film_{form}", f"film {form}"
            yield what, f"film_{form}{mark}", "torch, file to logits", f"torch film_{form}", f"film {form}"
        if form in ("jpeg", "png"):
            what = f"{FILMS[form]}, DenseNet121"
            yield what, f"film_{form}_densenet", "torchxrayvision's README", f"xrv film_{form}", f"film {form}"
    yield "heat maps of every output, three networks", "maps", "autograd through the heads", "torch maps", "tensor"
    yield (
        "DenseNet121, forward and every map",
        "densenet_maps",
        "torch, one map by backward",
        "torch densenet_map",
        "tensor",
    )
    yield "a DenseNet121 `.h5` file opened", "import_h5", "Keras `load_model`", "keras load_h5", "import"
    yield "JPEG 2000 as it is read", "read_j2k", "all of it decoded", "hilum read_j2k_full", "decode"


def table(results: Results) -> str:
    """Return the tables."""
    return "\n".join(
        [
            *_about(results),
            "### What was aimed at\n",
            *_grid(
                ("target", "measured", "met", "why"),
                [(one.aim, one.measured, "yes" if one.met else "**no**", one.why) for one in targets(results)],
            ),
            "### Beside others\n",
            *_grid(
                ("what", "ms", "beside", "ms", "times as long (quartiles)"),
                (_row(results, row) for row in rows(results)),
            ),
            *_starts(results),
            "### The limit of the processor\n",
            *_limit(results),
            "### Where the time of a film goes\n",
            *_grid(("stage", "ms"), [(name, f"{ms:.1f}") for name, ms in results["stages"].items()]),
            "### The service\n",
            *_service(results),
            "### How it grows\n",
            *_growth(results),
        ]
    )


def _about(results: Results) -> Iterator[str]:
    about, versions = results["machine"], results["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    worst = max(results["score_difference"].values())
    yield (
        f"Made by `{results['command']}` on {results['date']} in {results['minutes']:.0f} minutes, on {about['processors']} "
        f"processors of {about['processor']} ({', '.join(about['instructions'])}) with {about['memory_gib']:.0f} GiB and "
        f"{about['system']}; the machine's load before it was {about['load_before']:.1f}. {named}. All samples: "
        f"`bench/results/bench-{results['date']}.json`.\n"
    )
    yield f"The same weights on all sides: no score differs by more than {worst:.1g}.\n"


def _grid(head: Sequence[str], lines: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(line)} |" for line in lines)
    yield ""


def _row(results: Results, row: Row) -> tuple[str, ...]:
    what, ours, other, theirs, group = row
    samples = results["groups"][group]
    mine, other_ms = median(samples[f"hilum {ours}"]), median(samples[theirs])
    return what, f"{mine:.1f}", other, f"{other_ms:.1f}", times(compare(results, group, f"hilum {ours}", theirs))


def _starts(results: Results) -> Iterator[str]:
    ours = results["cold"]["hilum"]
    names = {
        "hilum": "hilum",
        "keras": "Keras/TensorFlow",
        "torch": "torch",
        "xrv": "torchxrayvision, DenseNet121 alone",
    }
    lines = []
    for name, called in names.items():
        took = results["cold"][name]
        slower = times(ratio([ms for ms, _ in took], [ms for ms, _ in ours])) if name != "hilum" else ""
        lines.append(
            (called, f"{median(ms for ms, _ in took) / 1000:.2f}", slower, f"{median(mib for _, mib in took):.0f}")
        )
    head = ("from starting Python to the first film's answer, three networks", "s", "times as long", "peak memory, MiB")
    yield from _grid(head, lines)


def _limit(results: Results) -> Iterator[str]:
    lines = []
    for kind in ("fp32", "int8"):
        one, two = (peak(results, kind, threads) / 1e6 for threads in (1, 2))
        lines.append((f"a product of matrices, {kind}", f"{one:.0f}", f"{two:.0f} on two threads"))
    for kind in ("fp32", "int8") if has_int8(results) else ("fp32",):
        for name in THREE:
            if kind == "fp32" or results["precisions"][name] == kind:
                share = share_of_peak(results, (name,), kind)
                lines.append((f"{name}, {kind}", f"{share * peak(results, kind, 1) / 1e6:.0f}", f"{share:.0%} of it"))
    yield from _grid(("on one thread", "thousand million operations a second", ""), lines)


def _service(results: Results) -> Iterator[str]:
    http = results["http"]
    lines = [(f"{count} clients, one film after the other", http["clients"][count]) for count in http["clients"]]
    lines.append((f"{http['overload']['rate']:.0f} films a second, whatever is answered", http["overload"]))
    head = (
        "PNG 1024², all members, `hilum serve` with its defaults",
        "films/s",
        "p50 ms",
        "p95",
        "p99",
        "503",
        "503 p99 ms",
    )
    cells = []
    for what, one in lines:
        numbers = [f"{one['films_per_second']:.1f}", *(_ms(one[key]) for key in ("p50", "p95", "p99"))]
        cells.append((what, *numbers, str(one["busy"]), _ms(one["busy_p99"])))
    yield from _grid(head, cells)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _growth(results: Results) -> Iterator[str]:
    samples = results["groups"]["growth"]
    lines = [(f"{count} members, a PNG", f"{median(samples[f'hilum members_{count}']):.1f}") for count in (1, 2, 3, 4)]
    for count in (4, 16, 64):
        each = median(samples[f"hilum folder_{count}"]) / count
        lines.append((f"`hilum analyze` on a folder of {count}, all members, each film", f"{each:.1f}"))
    yield from _grid(("what", "ms"), lines)


def put(page: str, text: str) -> str:
    """Return the page with the table in its place."""
    return f"{page.split(BEGIN)[0]}{BEGIN}{text}{END}{page.split(END)[1]}"


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
