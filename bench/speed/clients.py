"""The service under clients: one, several, and more than it can serve."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from bench.speed.sides import environment

BOUNDARY = "hilum-bench"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
PATH = "/api/v1/analyze"
AT_ONCE = 128
"""Connections of the overload; more would wait in the client."""


@contextmanager
def service(python: Path) -> Iterator[int]:
    """Run ``hilum serve`` with its defaults on a free port, and yield the port."""
    with tempfile.TemporaryDirectory() as empty:
        process = subprocess.Popen(
            [str(python.parent / "hilum"), "serve", "--port", "0"],
            cwd=empty,
            env=environment() | {"HILUM_LOG_LEVEL": "error"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            port = next(int(found[1]) for line in process.stdout if (found := re.search(r"http://\S+:(\d+)", line)))
            yield port
        finally:
            process.terminate()
            process.wait(60)


def form(film: bytes) -> bytes:
    """Return the body that ``curl -F image=@FILE`` would send."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="film"\r\n\r\n'
    return head.encode() + film + f"\r\n--{BOUNDARY}--\r\n".encode()


def send(connection: HTTPConnection, body: bytes) -> tuple[int, float]:
    """Send a film; return the status and the seconds that Retry-After asks for."""
    connection.request("POST", PATH, body, HEADERS)
    answer = connection.getresponse()
    answer.read()
    return answer.status, float(answer.getheader("Retry-After", "0"))


def alone(port: int, body: bytes) -> float:
    """Return the milliseconds of one answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    begun = perf_counter()
    status, _ = send(connection, body)
    assert status == 200
    connection.close()
    return 1000 * (perf_counter() - begun)


def in_turn(port: int, body: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """Let clients send one film after the other; one that is told to come again later waits as long as it is told."""
    answers: list[tuple[int, float]] = []
    begun = perf_counter()

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        while perf_counter() - begun < seconds:
            asked = perf_counter()
            status, wait = send(connection, body)
            answers.append((status, 1000 * (perf_counter() - asked)))
            if status == 503:
                sleep(wait)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return summary(answers, perf_counter() - begun)


def at_a_rate(port: int, body: bytes, rate: float, seconds: float) -> dict[str, Any]:
    """Send so many films a second, whatever becomes of those before; times count from when each was due."""
    answers: list[tuple[int, float]] = []
    begun = perf_counter()

    def one(due: float) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            status, _ = send(connection, body)
        except (OSError, HTTPException):
            status = 0  # the service closed the connection with its answer, before the film was all sent
        answers.append((status, 1000 * (perf_counter() - due)))
        connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            sleep(max(0.0, due - perf_counter()))
            pool.submit(one, due)
    return summary(answers, perf_counter() - begun) | {"rate": rate}


def summary(answers: list[tuple[int, float]], seconds: float) -> dict[str, Any]:
    """Return what became of the films: counts, throughput, percentiles in milliseconds."""
    accepted = sorted(took for status, took in answers if status == 200)
    busy = sorted(took for status, took in answers if status == 503)
    return {
        "accepted": len(accepted),
        "busy": len(busy),
        "other": len(answers) - len(accepted) - len(busy),
        "films_per_second": len(accepted) / seconds,
        **{f"p{share}": percentile(accepted, share) for share in (50, 95, 99)},
        "busy_p99": percentile(busy, 99),
    }


def percentile(values: list[float], share: int) -> float | None:
    """Return a percentile of sorted values; None of nothing."""
    return values[min(len(values) - 1, len(values) * share // 100)] if values else None
