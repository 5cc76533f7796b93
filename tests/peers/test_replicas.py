"""Replicas behind a balancer: nginx, by the configuration that compose.replicas.yaml gives it, and services as they start."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hospital import start_hilum, wait_for

pytestmark = pytest.mark.peers

CONFIG = Path(__file__).parents[2] / "examples" / "replicas" / "nginx.conf"
RESOLVED = "server hilum:5000 resolve max_fails=1 fail_timeout=2s;"
RESOLVER = "resolver 127.0.0.11 valid=2s ipv6=off;"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ready(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    return False


def answered(port: int) -> int:
    """Return how many films a replica has answered."""
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    counts = [line.split()[-1] for line in metrics.splitlines() if line.startswith("hilum_films_total")]
    return round(sum(map(float, counts)))


@contextlib.contextmanager
def balancing(folder: Path, port: int, replicas: list[int]) -> Iterator[None]:
    """Run Debian's nginx by the configuration, its places moved into ``folder``, before these ports of loopback.

    Debian's can't look names up again, so the one line that does is replaced by the ports themselves.
    """
    text = CONFIG.read_text("utf-8")
    assert RESOLVED in text
    assert RESOLVER in text
    servers = "\n".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=2s;" for one in replicas)
    text = text.replace(RESOLVED, servers).replace(RESOLVER, "").replace("listen 8080", f"listen 127.0.0.1:{port}")
    path = folder / "nginx.conf"
    path.write_text(text.replace("/tmp/", f"{folder}/"), "utf-8")
    with (folder / "nginx.log").open("wb") as log:
        command = ["/usr/sbin/nginx", "-e", "stderr", "-c", str(path), "-g", "daemon off;"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: ready(port), 30)
        yield
    finally:
        process.terminate()
        process.wait(20)


def test_a_replica_that_is_killed_costs_no_answer(tmp_path, tiny_folder, film_png):
    """Both replicas answer; one is killed under load and comes back later: every request of every client is answered with 200."""
    ports, port = [free_port(), free_port()], free_port()
    start = lambda one: start_hilum(tiny_folder, tmp_path / f"{one}.log", "serve", "--port", str(one))  # noqa: E731
    processes = [start(one) for one in ports]
    statuses: list[int] = []
    stop = threading.Event()

    def call() -> None:
        with httpx.Client(timeout=60) as client:
            while not stop.is_set():
                answer = client.post(f"http://127.0.0.1:{port}/api/ml-analyze", files={"image": ("film", film_png)})
                statuses.append(answer.status_code)

    callers = [threading.Thread(target=call) for _ in range(3)]
    try:
        wait_for(lambda: all(map(ready, ports)), 60)
        with balancing(tmp_path, port, ports):
            for one in callers:
                one.start()
            wait_for(lambda: all(answered(one) >= 5 for one in ports), 60)
            processes[0].kill()
            processes[0].wait()
            seen = len(statuses)
            wait_for(lambda: len(statuses) >= seen + 20, 60)
            processes[0] = start(ports[0])
            wait_for(lambda: ready(ports[0]), 60)
            wait_for(lambda: answered(ports[0]) >= 3, 60)
            stop.set()
            for one in callers:
                one.join(60)
    finally:
        stop.set()
        for process in processes:
            process.kill()
            process.wait()
    assert set(statuses) == {200}
    assert "temporary file" not in (tmp_path / "nginx.log").read_text("utf-8")
