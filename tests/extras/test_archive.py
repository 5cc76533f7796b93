"""``hilum archive`` against a real Dask cluster that dies, and against an S3 server; both on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pyarrow.parquet import ParquetDataset

pytestmark = pytest.mark.extras

SECRET = "CANARY^Quentin"
COMMAND = """
import sys
from pathlib import Path
from hilum import cli, pipeline
folder = Path(sys.argv.pop(1))
pipeline.shipped_folder = lambda: folder
cli.main()
"""
PRELOAD = """
import os, time
from pathlib import Path
from hilum import pipeline
from hilum.cluster import shard
from hilum.cluster.source import read_film
pipeline.shipped_folder = lambda: Path({folder!r})
def slow(source, film):
    time.sleep(0.1)
    if film.name.endswith("deadly.png"):
        os.kill(os.getpid(), 9)
    return read_film(source, film)
shard.read_film = slow
"""
"""What a worker begins with: tiny weights, films that take their time, and one that kills."""


class Cluster:
    """A Dask scheduler and workers as processes of their own, which the test may kill."""

    def __init__(self, folder: Path, tiny: Path) -> None:
        self.folder, self._preload = folder, folder / "preload.py"
        self._preload.write_text(PRELOAD.format(folder=str(tiny)))
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{one.getsockname()[1]}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def command(self, tiny: Path, *arguments: object) -> subprocess.Popen[bytes]:
        """Start a run over the cluster; what it prints goes to ``log``."""
        process = start(tiny, self.folder / "log", *arguments, "--executor", "dask", "--scheduler", self.address)
        self.processes.append(process)
        return process

    def scheduler(self, **more: str) -> subprocess.Popen[bytes]:
        return self._start(environment(**more), "scheduler", "--host", self.address, "--no-dashboard")

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker that nobody starts again when it dies."""
        return self._start(
            environment(),
            *("worker", self.address, "--host", "127.0.0.1", "--nworkers", "1", "--nthreads", "1", "--no-nanny"),
            *("--no-dashboard", "--local-directory", str(self.folder / "scratch"), "--preload", str(self._preload)),
        )

    def _start(self, variables: dict[str, str], what: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *arguments]
        with (self.folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=variables, start_new_session=True)
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path, tiny_folder) -> Iterator[Cluster]:
    one = Cluster(tmp_path, tiny_folder)
    try:
        yield one
    finally:
        one.end()


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HILUM_", "AWS_", "DASK_"))}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | more


def write_films(folder: Path, film: bytes, count: int) -> Path:
    """Write films, the fourth of them broken, below a folder that is named like a patient."""
    (folder / SECRET).mkdir(parents=True)
    for number in range(count):
        (folder / SECRET / f"{number:03d}.png").write_bytes(film if number != 3 else b"\x89PNG broken")
    return folder


def start(tiny: Path, log: Path, *arguments: object, **more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", COMMAND, str(tiny), "archive", *map(str, arguments)]
    with log.open("wb") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream, env=environment(**more), start_new_session=True)


def wait_for(true: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 90) -> None:
    """Wait until something is so; the command must not end before."""
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, "the command has ended"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def check_rows(out: Path, films: Path) -> None:
    """Every film has its rows, and none has them twice; the shards' order is the listing's."""
    rows = ParquetDataset(out / "results").read().to_pylist()
    expected = sorted(path.relative_to(films).as_posix() for path in films.rglob("*.png"))
    assert list(dict.fromkeys(row["file"] for row in rows)) == expected
    assert max(Counter((row["file"], row["finding"]) for row in rows).values()) == 1


def test_a_worker_and_the_scheduler_die(cluster, tmp_path, tiny_folder, film_png):
    """Three workers; one is killed, then the scheduler with all that it knows: every shard is there once, written once."""
    films, out, log = write_films(tmp_path / "films", film_png, 80), tmp_path / "out", tmp_path / "log"
    scheduler = cluster.scheduler()
    workers = [cluster.worker() for _ in range(3)]
    process = cluster.command(tiny_folder, films, out, "--shard-films", 2)

    def done() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (out / "results").glob("*.parquet")}

    wait_for(lambda: len(done()) >= 4, process)
    workers[0].kill()
    wait_for(lambda: len(done()) >= 12, process)
    scheduler.kill()
    scheduler.wait()
    before = done()
    assert len(before) < 40
    cluster.scheduler()
    for _ in range(2):
        cluster.worker()
    assert process.wait(90) == 1, log.read_text()
    told = log.read_text()
    assert "scheduler lost" in told
    assert Counter(re.findall(r"shard number=(\d+)", told)) == Counter(str(number) for number in range(40))
    after = done()
    assert len(after) == 40
    assert {name: after[name] for name in before} == before
    check_rows(out, films)
    assert json.loads((out / "summary.json").read_text()) == {
        "films": 80,
        "accepted": 79,
        "refused": {},
        "failed": {"unreadable_image": 1},
    }
    assert SECRET not in told + (tmp_path / "dask.log").read_text()


def test_a_film_that_kills_its_workers_is_given_up_alone(cluster, tmp_path, tiny_folder, film_png):
    """It takes three workers with it: in its shard, by itself, alone. Then it has a row with an error, the others answers."""
    films, out, log = write_films(tmp_path / "films", film_png, 5), tmp_path / "out", tmp_path / "log"
    (films / SECRET / "deadly.png").write_bytes(film_png)
    cluster.scheduler(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    for _ in range(4):
        cluster.worker()
    process = cluster.command(tiny_folder, films, out, "--shard-films", 3)
    assert process.wait(110) == 1, log.read_text()
    check_rows(out, films)
    assert json.loads((out / "summary.json").read_text())["failed"] == {"unreadable_image": 2}
    assert SECRET not in log.read_text() + (tmp_path / "dask.log").read_text()


def test_a_scheduler_that_is_not_there_is_waited_for_and_then_said(cluster, tmp_path, tiny_folder, film_png):
    """The command ends with 2 and `peer_error`, its listing kept, and nothing is lost by trying again."""
    films = write_films(tmp_path / "films", film_png, 4)
    process = cluster.command(tiny_folder, films, tmp_path / "out", "--wait", 0)
    assert process.wait(60) == 2
    assert "peer_error" in (tmp_path / "log").read_text()


@pytest.fixture
def s3() -> Iterator[tuple[str, ThreadedMotoServer]]:
    """An S3 server on a free port."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}", server
    server.stop()


def test_films_are_read_from_s3(s3, tmp_path, tiny_folder, film_png):
    """Objects below a prefix, and no others, give the rows that the same files in a folder give."""
    url, _ = s3
    keys = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    films, log = write_films(tmp_path / "films", film_png, 6), tmp_path / "log"
    client.create_bucket(Bucket="radiology")
    for path in films.rglob("*.png"):
        client.put_object(Bucket="radiology", Key=f"films/{path.relative_to(films).as_posix()}", Body=path.read_bytes())
    client.put_object(Bucket="radiology", Key="filmsets/other.png", Body=film_png)
    arguments = ("--shard-films", 4, "--workers", 2)
    assert start(tiny_folder, log, "s3://radiology/films", tmp_path / "s3", *arguments, **keys).wait(90) == 1, (
        log.read_text()
    )
    assert start(tiny_folder, log, films, tmp_path / "local", *arguments).wait(90) == 1
    tables = [ParquetDataset(tmp_path / name / "results").read().to_pylist() for name in ("s3", "local")]
    assert tables[0] == tables[1]
    check_rows(tmp_path / "s3", films)
