"""Several processes share each batch, hold the same weights, and one of them writes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hilum.errors import ConfigError
from hilum.training.history import HISTORY
from hilum.training.workers import ALONE, Worker, joined
from small_training import run_to

TESTS = Path(__file__).parents[1]
SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from pathlib import Path
import torch
from hilum.training.workers import joined
from small_training import FIT, run_to

folder = Path({folder!r})
with joined("cpu") as worker:
    fit = replace(FIT, checkpoint_seconds=1e9)
    straight = run_to(folder / "straight", fit=fit, worker=worker)
    run_to(folder / "cut", fit=replace(fit, phases=fit.phases[:1]), worker=worker)
    resumed = run_to(folder / "cut", fit=fit, worker=worker)
    torch.save([run.averaged.state_dict() for run in (straight, resumed)], folder / f"rank-{{worker.rank}}.pt")
"""


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Two processes as torchrun starts them end with the same weights, and a resumed training with those of a straight one."""
    code = SCRIPT.format(tests=str(TESTS), folder=str(tmp_path))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **place, "RANK": str(rank)})
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    (first, first_resumed), (second, _) = (
        torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    learnt = [name for name in first if "running" not in name and "batches" not in name]
    assert all(torch.equal(first[name], second[name]) for name in learnt)
    assert all(torch.equal(first[name], first_resumed[name]) for name in first)
    alone = run_to(tmp_path / "alone").averaged.state_dict()
    assert not all(torch.equal(first[name], alone[name]) for name in learnt)
    lines = (tmp_path / "straight" / HISTORY).read_text().splitlines()
    assert len(lines) == 3


def test_a_batch_is_shared() -> None:
    """The workers' shares of a batch are disjoint, cover it, and differ by at most one film."""
    batch = np.random.default_rng(0).permutation(13)
    shares = [Worker(rank, 4).share(batch) for rank in range(4)]
    assert sorted(np.concatenate(shares)) == list(range(13))
    assert {len(share) for share in shares} == {3, 4}


def test_alone_nobody_waits() -> None:
    """One process needs no other to go on, and agrees with itself."""
    ALONE.wait()
    assert ALONE.agree(0.25) == 0.25
    module = torch.nn.Linear(1, 1)
    assert ALONE.together(module) is module


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for a GPU where there is none, training says so; left to choose, it takes the processor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="finds no GPU"), joined("cuda"):
        pass
    with joined("auto") as worker:
        assert worker == ALONE
