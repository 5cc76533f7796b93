"""``hilum archive``."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from pyarrow.parquet import ParquetDataset, read_table

from hilum.cli.archive import progress_bar
from hospital import run_hilum, start_hilum, wait_for
from tiny import tiny_manifest, write_tiny


@pytest.fixture
def films(tmp_path, film_png, tiny_models) -> Path:
    """Twelve films with a broken one, in folders named as if by patients."""
    folder = tmp_path / "films"
    for number in range(12):
        path = folder / f"CANARY_{number % 3}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film_png if number != 5 else b"\x89PNG broken")
    return folder


def test_an_archive_becomes_parquet(hilum, films, tmp_path):
    """One file of rows for each shard, a summary in the folder and on the screen, exit code 1 for the broken film."""
    done = hilum("archive", films, "out", "--workers", 2, "--shard-films", 5)
    assert done.code == 1
    assert done.out.split() == [
        "films",
        "12",
        "accepted",
        "11",
        "refused",
        "0",
        "failed",
        "1",
        "(unreadable_image",
        "1)",
    ]
    assert sorted(path.name for path in Path("out/results").iterdir()) == [f"000000{n}.parquet" for n in range(3)]
    assert json.loads(Path("out/summary.json").read_text())["failed"] == {"unreadable_image": 1}
    rows = ParquetDataset("out/results").read().to_pylist()
    assert {row["file"] for row in rows} == {path.relative_to(films).as_posix() for path in films.rglob("*.png")}
    assert read_table("out/films.parquet")["file"].to_pylist() == sorted({row["file"] for row in rows})
    assert "CANARY" not in done.err
    assert "shard number=2 films=" in done.err
    assert not [name for name in Path("out").rglob("*") if "CANARY" in str(name)]


def test_the_same_command_again_does_nothing_twice(hilum, films):
    """A finished run has the same summary and the same files, untouched."""
    first = hilum("archive", films, "out", "--shard-films", 5)
    stamps = {path: path.stat().st_mtime_ns for path in Path("out/results").iterdir()}
    again = hilum("archive", films, "out")
    assert (again.out, again.code) == (first.out, first.code)
    assert {path: path.stat().st_mtime_ns for path in Path("out/results").iterdir()} == stamps


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["films", "out", "--policy", "rule_in"], "another policy"),
        (["films", "out", "--prevalence", "Edema=0.5"], "another prevalence"),
        (["films", "out", "--scope", "cropped=refuse"], "another scope"),
        (["films/CANARY_0", "out"], "another source"),
        (["films", "out", "--shard-films", "7"], "another shard_films"),
        (["none", "other"], "not a folder"),
        (["films", "films"], "other things"),
        (["films", "other", "--executor", "dask"], "belong together"),
        (["films", "other", "--scheduler", "tcp://127.0.0.1:1"], "belong together"),
    ],
)
def test_what_would_mix_results_is_refused(hilum, films, arguments, said):
    """Other settings or films into the same folder, and what can't be carried out, end with 2 and a sentence."""
    hilum("archive", films, "out", "--shard-films", 12)
    done = hilum("archive", *arguments)
    assert done.code == 2
    assert said in done.err


def test_other_models_are_refused(hilum, films, tmp_path):
    """A run that other weights began is not gone on with."""
    hilum("archive", films, "out")
    write_tiny(tmp_path / "own", tiny_manifest("Net", None, ("Edema",)))
    done = hilum("archive", films, "out", "--models", tmp_path / "own")
    assert (done.code, "another models" in done.err) == (2, True)


def test_kill_9_in_the_middle_costs_nothing(films, tmp_path, tiny_folder):
    """Killed with its first results written, the same command finishes: every film once, and the first results untouched."""
    command = ("archive", str(films), str(tmp_path / "out"), "--workers", "2", "--shard-films", "1")
    results = tmp_path / "out" / "results"
    process = start_hilum(tiny_folder, tmp_path / "log", *command)
    wait_for(lambda: results.is_dir() and list(results.glob("*.parquet")), 60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in results.glob("*.parquet")}
    time.sleep(1)  # its processes end by themselves
    done = run_hilum(tiny_folder, *command)
    assert done.returncode == 1, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["films"] == 12
    rows = ParquetDataset(results).read().to_pylist()
    assert len({(row["file"], row["finding"]) for row in rows}) == len(rows)


def test_a_run_stops_when_told_to(films, tmp_path, tiny_folder):
    """SIGTERM: what is begun is finished and kept, the exit code is 2, and the same command goes on."""
    command = ("archive", str(films), str(tmp_path / "out"), "--workers", "1", "--shard-films", "1")
    process = start_hilum(tiny_folder, tmp_path / "log", *command)
    results = tmp_path / "out" / "results"
    wait_for(lambda: results.is_dir() and list(results.glob("*.parquet")), 60)
    process.terminate()
    assert process.wait(60) == 2
    assert "goes on from there" in (tmp_path / "log").read_text()
    assert len(list(results.iterdir())) < 12
    assert run_hilum(tiny_folder, *command).returncode == 1


def test_progress_counts_films(monkeypatch, capsys):
    """Where somebody looks, a bar begins at what is done, and counts to all."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_bar(100, 40) as progress:
        progress(60)
    assert "100/100" in capsys.readouterr().err
