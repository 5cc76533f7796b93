"""Faults of the HTTP service: killed, on a disk that takes nothing, beset by slow clients, damaged weights, a wrong time."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

from hilum.errors import BundleError
from hilum.registry import ENSEMBLE, MANIFEST, find_bundles, load_bundle, load_ensemble, shipped_folder
from serving import HILUM, Film, Service, children, environment, good_films, post, serving, start

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
AGAIN = ("lost", "busy")
"""What a client asks again after, as its answer says."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    fault: str
    tried: str
    must: str
    seen: str
    lost: int
    wrong: int


@dataclass
class Load:
    """What came of films sent while something else happened."""

    asked: int = 0
    answered: int = 0
    again: Counter[str] = None  # type: ignore[assignment]
    wrong: int = 0
    lost: int = 0
    slowest: float = 0.0

    def __str__(self) -> str:
        repeated = ", ".join(f"{count} asked again after {why}" for why, count in sorted(self.again.items()))
        parts = [
            f"{self.answered} of {self.asked} films answered right",
            repeated,
            f"the slowest took {self.slowest:.1f} s",
        ]
        return "; ".join(filter(None, parts))


def answers(service: Service, films: list[Film]) -> dict[str, str]:
    """Return what an undisturbed service says of each film."""
    with service.client() as http:
        return {film.kind: post(http, film).content for film in films}


@contextlib.contextmanager
def load(address: Callable[[], Service], films: list[Film], right: dict[str, str], clients: int = 3) -> Iterator[Load]:
    """Send films from some clients until the block ends; each is asked again until it is answered, for two minutes."""
    result, stop, lock = Load(again=Counter()), threading.Event(), threading.Lock()

    def send(place: int) -> None:
        for film in cycle(films[place:] + films[:place]):
            if stop.is_set():
                return
            begun = time.monotonic()
            outcome = None
            while outcome is None or (outcome.said in AGAIN and time.monotonic() - begun < 120):
                if outcome is not None:
                    with lock:
                        result.again[outcome.said] += 1
                    time.sleep(0.3)
                with address().client(30) as http:
                    outcome = post(http, film)
            with lock:
                result.asked += 1
                result.slowest = max(result.slowest, time.monotonic() - begun)
                result.lost += outcome.said in AGAIN
                result.wrong += outcome.said not in AGAIN and outcome.content != right[film.kind]
                result.answered += outcome.content == right[film.kind]

    threads = [threading.Thread(target=send, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield result
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def dicom_films() -> list[Film]:
    return [film for film in good_films() if film.kind.startswith("DICOM")]


def decoders_killed(folder: Path) -> list[Row]:
    """Kill the processes that decode, at random."""
    films, kills = dicom_films(), 0
    with serving(folder) as service:
        right = answers(service, films)
        with load(lambda: service, films, right) as result:
            end = time.monotonic() + 40
            while time.monotonic() < end:
                time.sleep(random.uniform(1.0, 4.0))
                for pid in children(service.process.pid)[:1]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        kills += 1
    return [
        Row(
            "`kill -9` of decoding processes",
            f"{kills} at random, 3 clients, DICOM",
            "each film answered right",
            str(result),
            result.lost,
            result.wrong,
        )
    ]


def server_killed(folder: Path) -> list[Row]:
    """Kill the service, at random, and start it again as a supervisor would."""
    films = good_films()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = start(folder, port)
    right = answers(service, films)
    kills, before = 6, temporary(folder)
    left: list[int] = []
    with load(lambda: service, films, right) as result:
        for _ in range(kills):
            time.sleep(random.uniform(1, 5))
            left += children(service.process.pid)
            service.process.kill()
            service.process.wait()
            service = start(folder, port)
        time.sleep(5)  # for films that were being decoded
        orphans = sum(Path(f"/proc/{pid}").exists() for pid in left)
    service.stop()
    seen = (
        f"{result}; of {len(left)} decoding processes {orphans} left, {temporary(folder) - before} temporary files left"
    )
    return [
        Row(
            "`kill -9` of the service",
            f"{kills} at random, started again each time, 3 clients",
            "a film that had no answer has it when it is asked again; no process or file is left",
            seen,
            result.lost,
            result.wrong,
        )
    ]


def temporary(folder: Path) -> int:
    """Return how many files are in a folder but logs."""
    return sum(path.is_file() and path.suffix != ".log" for path in folder.rglob("*"))


@contextlib.contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a small disk."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


def fill(place: Path) -> Path:
    """Fill a disk to its last byte; return the file to delete to make room again."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def no_disk(folder: Path) -> list[Row]:
    """Run the service where nothing can be written."""
    rows, films = [], good_films()
    for name in ("full", "read-only"):
        with disk(folder, 2) as place:
            fill(place)
            if name == "read-only":
                subprocess.run(["mount", "-o", "remount,ro", place], check=True)
            service = start(folder, cwd=place, TMPDIR=str(place), HOME=str(place), XDG_CACHE_HOME=str(place))
            right = answers(service, films)
            with load(lambda service=service: service, films, right) as result:
                time.sleep(15)
            missing = sum(not content for content in right.values())
            service.stop()
        rows.append(
            Row(
                f"{name} disk",
                "working folder, home, cache and temporary folder of the service; every format",
                "each film answered: nothing is written",
                str(result),
                result.lost + missing,
                result.wrong,
            )
        )
    return rows


def slow_clients(folder: Path) -> list[Row]:
    """Open connections that send a byte at a time, half an upload, or read nothing, while others want answers."""
    films = [film for film in good_films() if film.kind.startswith("JPEG")]
    with serving(folder) as service:
        right = answers(service, films)
        before = len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))
        place = urlsplit(service.address)
        stop = threading.Event()
        threads = [
            threading.Thread(target=beset, args=(place.hostname, place.port, kind, count, stop))
            for kind, count in (("header", 700), ("upload", 6), ("deaf", 30))
        ]
        for thread in threads:
            thread.start()
        with load(lambda: service, films, right, clients=1) as result:
            time.sleep(75)
        stop.set()
        for thread in threads:
            thread.join()
        time.sleep(12)
        after = len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))
    seen = f"{result}; {max(0, after - before - 2)} connections left open"
    return [
        Row(
            "slow, half-open and deaf clients",
            "700 that send a header byte by byte, 6 that stop in the middle of an upload, 30 that read no answer, for 75 s, "
            "each anew when it is hung up on",
            "others' films are answered, if need be when they are asked again; no connection stays open",
            seen,
            result.lost + max(0, after - before - 2),
            result.wrong,
        )
    ]


def beset(host: str, port: int, kind: str, count: int, stop: threading.Event) -> None:
    """Hold so many connections of a kind, and open each anew when it is ended."""
    begun = {
        "header": b"G",
        "upload": b"POST /api/ml-analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: 100000\r\n\r\n--b\r\n",
        "deaf": b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200,
    }[kind]
    held: list[socket.socket] = []
    while not stop.wait(1.0):
        for one in list(held):
            try:
                if kind == "header":
                    one.sendall(b"E")
                elif kind == "upload" and not one.recv(1, socket.MSG_PEEK):
                    raise ConnectionResetError
            except BlockingIOError:
                continue
            except OSError:
                one.close()
                held.remove(one)
        while len(held) < count and not stop.is_set():
            try:
                one = socket.create_connection((host, port), timeout=5)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    one.send(begun)
                held.append(one)
            except OSError:
                break
    for one in held:
        one.close()


def damaged_at_start(folder: Path) -> list[Row]:
    """Damage each file of each bundle, and see whether it is opened."""
    copies = folder / "models"
    shutil.copytree(shipped_folder(), copies)
    good = {path.name: load_bundle(path).sha256 for path in find_bundles(copies)}
    tried: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    renamed = 0
    for bundle in find_bundles(copies):
        for path in sorted(bundle.iterdir()):
            content = path.read_bytes()
            for spoilt in damages(content):
                tried[path.name] += 1
                path.unlink() if spoilt is None else path.write_bytes(spoilt)
                with contextlib.suppress(BundleError):
                    known = load_bundle(bundle).sha256 == good[bundle.name]
                    opened[path.name] += known or path.name != MANIFEST
                    renamed += not known
                path.write_bytes(content)
    record = (copies / ENSEMBLE).read_bytes()
    right, read = load_ensemble(copies), Counter[str]()
    for spoilt in damages(record):
        if spoilt is None:
            continue
        tried[ENSEMBLE] += 1
        (copies / ENSEMBLE).write_bytes(spoilt)
        with contextlib.suppress(BundleError):
            read["the same" if load_ensemble(copies) == right else "another"] += 1
    (copies / ENSEMBLE).write_bytes(record)
    others = sum(count for name, count in tried.items() if name not in (MANIFEST, ENSEMBLE))
    served = [ended(folder, copies, name) for name in ("model.onnx", "golden.npz", MANIFEST)]
    return [
        Row(
            "damaged bundle, before the start",
            f"{others} damaged, cut, emptied or missing graphs, golden answers, cards and gate records",
            "refused before anything of it is parsed",
            f"{others - sum(opened.values())} refused; "
            f"`hilum serve` ends with {', '.join(map(str, sorted(set(served))))} and says which file",
            0,
            sum(opened.values()) + (0 in served),
        ),
        Row(
            "damaged manifest, before the start",
            f"{tried[MANIFEST]} damaged, cut, emptied or missing",
            "refused, or another bundle: every answer names the manifest's hash",
            f"{tried[MANIFEST] - renamed} refused, {renamed} under another hash, for which the ensemble's record does not hold",
            0,
            opened[MANIFEST],
        ),
        Row(
            "damaged ensemble record",
            f"{tried[ENSEMBLE]} damaged, cut or emptied",
            "refused, or a sound record",
            f"{tried[ENSEMBLE] - read.total()} refused, {read['the same']} the same to the byte that counts, "
            f"{read['another']} a sound record with another number, which only a signature tells",
            0,
            0,
        ),
    ]


def damages(content: bytes) -> Iterator[bytes | None]:
    """Yield a file with single bits flipped all over it, cut, emptied, and not there at all."""
    for place in range(0, len(content), max(1, len(content) // 12)):
        yield content[:place] + bytes([content[place] ^ (1 << random.randrange(8))]) + content[place + 1 :]
    yield from (content[: len(content) // 2], content[:-1], content + b"\0", b"", None)


def ended(folder: Path, models: Path, name: str) -> int:
    """Start the service with one damaged file; return its exit code, 0 where it says nothing of the file."""
    path = next(find_bundles(models)[0].glob(name))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    done = subprocess.run(
        [*HILUM, "serve", "--port", "0", "--models", models],
        capture_output=True,
        env=environment(folder),
        cwd=folder,
        timeout=600,
        check=False,
    )
    path.write_bytes(content)
    said = done.stdout + done.stderr
    return done.returncode if b"Traceback" not in said and (name.encode() in said or b"manifest" in said) else 0


def damaged_while_running(folder: Path) -> list[Row]:
    """Damage and delete the bundles of a service that runs."""
    copies, films = folder / "models", good_films()
    shutil.copytree(shipped_folder(), copies, dirs_exist_ok=True)
    with serving(folder, HILUM_MODELS=str(copies)) as service:
        right = answers(service, films)
        with load(lambda: service, films, right) as result:
            time.sleep(5)
            for path in copies.rglob("*.*"):
                if path.is_file():
                    path.write_bytes(path.read_bytes()[:1000] + bytes(1000))
            time.sleep(5)
            shutil.rmtree(copies)
            time.sleep(5)
    return [
        Row(
            "damaged bundle, while running",
            "every file overwritten, then deleted, 3 clients",
            "each film answered as before",
            str(result),
            result.lost,
            result.wrong,
        )
    ]


def clock_jumps(folder: Path) -> list[Row]:
    """Set the time of a service that runs."""
    films, clock = good_films(), folder / "clock"
    clock.write_text("+0")
    jumps = ("+1h", "-1h", "+3650d", "-3650d", "+0", "+20000d", "+0")
    with serving(folder, **faketime(clock)) as service:
        right = answers(service, films)
        with load(lambda: service, films, right) as result:
            for jump in jumps:
                clock.write_text(jump)
                time.sleep(3)
    return [
        Row(
            "clock jumps, service",
            f"{', '.join(jumps)} under load",
            "each film answered as before",
            str(result),
            result.lost,
            result.wrong,
        )
    ]


def faketime(clock: Path) -> dict[str, str]:
    """Return the environment under which the time of a process is what a file says; what counts seconds goes on evenly."""
    # libfaketime 0.9.10 has no sleep by the monotonic clock, which is how Python sleeps.
    sleep = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds) and None\n"
    (clock.parent / "sitecustomize.py").write_text(sleep)
    path = os.pathsep.join(filter(None, (str(clock.parent), os.environ.get("PYTHONPATH"))))
    even = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "PYTHONPATH": path, **even}


SCENARIOS = (
    decoders_killed,
    server_killed,
    no_disk,
    slow_clients,
    damaged_at_start,
    damaged_while_running,
    clock_jumps,
)
