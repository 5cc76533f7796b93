"""The bench's own arithmetic and tables, on a run that is made up; and that the page shows the last run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.speed import contender
from bench.speed.__main__ import groups
from bench.speed.clients import form, percentile, summary
from bench.speed.material import THREE
from bench.speed.sides import ROOT, Spread, ratio, spread
from bench.speed.table import BEGIN, END, PAGE, put, rows, table
from bench.speed.targets import targets

RESULTS = ROOT / "bench" / "results"
SIDES = ("hilum", "keras", "torch", "xrv")


def made_up(int8: bool = True, slow: float = 1.0) -> dict[str, Any]:
    """Return a run in which hilum takes 10 ms × ``slow`` for everything, and every other side 40 ms."""
    taken = {
        group: {
            f"{side} {job}": [(10.0 * slow if side == "hilum" else 40.0) * wobble for wobble in (0.9, 1.0, 1.1)]
            for side, job in runners
        }
        for group, (_, runners) in groups(int8).items()
    }
    taken["tensor"]["hilum maps"] = [0.2, 0.2, 0.2]
    taken["decode"]["hilum read_j2k_full"] = [44.0, 44.0, 44.0]
    load = {"accepted": 90, "busy": 300, "other": 0, "films_per_second": 9.0, "p50": 100.0, "p95": 150.0, "p99": 200.0}
    load["busy_p99"] = 20.0 * slow
    return {
        "date": "2026-11-25",
        "command": "make bench",
        "minutes": 8.2,
        "machine": {
            "processor": "a processor",
            "processors": 2,
            "instructions": ["avx2"],
            "memory_gib": 23.0,
            "system": "Linux",
            "load_before": 0.1,
        },
        "versions": {"python": "3.11"},
        "precisions": dict.fromkeys(THREE, "int8" if int8 else "fp32"),
        "operations": dict.fromkeys(THREE, 600000000.0),
        "stages": {"decode": 17.0},
        "score_difference": {"keras": 1e-6, "torch": 2e-6},
        "cold": {name: [[1000.0 * slow, 200.0] if name == "hilum" else [14000.0, 870.0]] * 3 for name in SIDES},
        "groups": taken,
        "http": {
            "pairs": [[108.0, 100.0 / slow]] * 3,
            "clients": {"1": load, "8": load, "64": load},
            "overload": load | {"rate": 36.0},
        },
    }


def test_a_ratio_is_taken_round_by_round() -> None:
    """What slows both sides in one round moves no ratio."""
    assert ratio([20.0, 60.0, 40.0], [10.0, 30.0, 20.0]) == Spread(2.0, 2.0, 2.0)
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3.0, 2.0, 4.0)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)


@pytest.mark.parametrize("int8", [True, False])
def test_every_comparison_was_run_together(int8: bool) -> None:
    """Each row of the table names two jobs of one group, so that they took turns."""
    results = made_up(int8)
    for _, ours, _, theirs, group in rows(results):
        assert {f"hilum {ours}", theirs} <= set(results["groups"][group]), (ours, theirs)


def test_targets_are_met_or_said_not_to_be() -> None:
    """A run that is fast enough meets every target; a slow one misses those that speed decides, with a reason."""
    assert all(one.met for one in targets(made_up()) if "float32" not in one.aim or "GEMM" not in one.aim)
    slow = targets(made_up(int8=False, slow=10.0))
    assert [one for one in slow if not one.met and "tensor in" in one.aim]
    assert [one for one in slow if not one.met and "cold start" in one.aim]
    assert [one for one in slow if not one.met and "503" in one.aim]
    assert any("no member ships weights in 8 bits" in one.why for one in slow)
    assert all(one.why for one in slow)


@pytest.mark.parametrize("int8", [True, False])
def test_the_table_is_made_of_the_run_alone(int8: bool) -> None:
    """Machine, command, targets, ratios with quartiles, the limit, the service and growth: each stands there, as JSON keeps it."""
    text = table(json.loads(json.dumps(made_up(int8))))
    for said in (
        "`make bench` on 2026-11-25 in 8 minutes",
        "a processor",
        "4.00× (4.00–4.00)",
        "| 64 clients",
        "### How it grows",
    ):
        assert said in text
    assert ("three networks, 8 bits |" in text) == int8


def test_the_table_takes_its_place_in_the_page() -> None:
    """What stands between the marks is replaced, and nothing else."""
    assert put(f"before\n{BEGIN}old\n{END}\nafter\n", "new\n") == f"before\n{BEGIN}new\n{END}\nafter\n"


def test_the_page_shows_the_last_run() -> None:
    """Page, table and JSON in the tree are of one run, where there is one."""
    page = PAGE.read_text("utf-8")
    runs = sorted(RESULTS.glob("bench-*.json"))
    if runs:
        text = table(json.loads(runs[-1].read_text("utf-8")))
        assert (RESULTS / "bench.md").read_text("utf-8") == text
        assert page == put(page, text)
    else:
        assert "Nothing is measured yet" in page


def test_what_clients_saw_is_summed_up() -> None:
    """Accepted, refused and lost films are told apart, and times of refusals are not among those of answers."""
    seen = summary([(200, 10.0), (200, 30.0), (503, 1.0), (0, 99.0)], 2.0)
    assert (seen["accepted"], seen["busy"], seen["other"], seen["films_per_second"]) == (2, 1, 1, 1.0)
    assert (seen["p50"], seen["p99"], seen["busy_p99"]) == (30.0, 30.0, 1.0)
    assert percentile([], 50) is None
    assert form(b"film").count(b"--hilum-bench") == 2


def test_memory_is_read_from_the_system() -> None:
    """The peak of this process is some tens of MiB at least."""
    assert contender.peak_mib() > 10
