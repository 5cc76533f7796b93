"""Faults of the DICOM node and the watched folder: what was acknowledged has its result at the peer in the end, once and right."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from faults_http import Row, disk, faketime, fill
from serving import GALLERY, HILUM, children, environment

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hospital import Receiver, chest_film, receiving, send, start_node


class Node:
    """A node with one peer, a caller that sends film after film until each is acknowledged, and the count at the end."""

    def __init__(self, folder: Path, spool: Path, peer: Receiver, **given: object) -> None:
        self.config, self.log, self.peer = folder / "node.toml", folder / "node.log", peer
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        settings = {
            "port": self.port,
            "spool": str(spool),
            "retry_seconds": 0.2,
            "retry_most_seconds": 1.0,
            "returns": ["sr"],
            "threads": 1,
        }
        address = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": peer.port}
        lines = [f"{name} = {json.dumps(value)}" for name, value in (settings | given).items()]
        self.config.write_text(
            "\n".join([*lines, "[[peers]]", *(f"{name} = {json.dumps(value)}" for name, value in address.items())])
        )
        self.acknowledged: list[str] = []
        self.refused = 0
        self.process: subprocess.Popen[bytes] = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, or start it again."""
        self.process = start_node(self.config, self.log, seconds=600)
        return self.process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Send films until the block ends."""
        stop = threading.Event()
        film = chest_film()

        def run() -> None:
            while not stop.is_set():
                film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
                while not stop.is_set() and not self.send(film):
                    self.refused += 1
                    stop.wait(0.5)
                stop.wait(0.3)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def send(self, film: Dataset) -> bool:
        """Send a film; return whether it was acknowledged."""
        try:
            done = send(self.port, film) == [0x0000]
        except (ConnectionError, OSError, RuntimeError, AttributeError, AssertionError):
            return False
        if done:
            self.acknowledged.append(str(film.SOPInstanceUID))
        return done

    def settle(self, seconds: float = 240) -> tuple[int, int, str]:
        """Wait for the results; return how many are missing, how many are wrong, and what there is."""
        wanted, end = set(self.acknowledged), time.monotonic() + seconds
        while not wanted <= set(map(film_of, list(self.peer.datasets))) and time.monotonic() < end:
            time.sleep(0.5)
        results = {str(one.SOPInstanceUID): one for one in self.peer.datasets}
        of_films = [film_of(one) for one in results.values()]
        numbers = {numbers_in(one) for one in results.values()}
        self.process.terminate()
        self.process.wait(300)
        lost = len(wanted - set(of_films))
        # The films have the same pixels, so all results must say the same.
        wrong = max(0, len(numbers) - 1) + len(of_films) - len(set(of_films))
        return (
            lost,
            wrong,
            f"{len(wanted)} films acknowledged, {len(set(of_films) & wanted)} with their one result; "
            f"{self.refused} times sent again",
        )


def film_of(result: Dataset) -> str:
    """Return the film that a result is of."""
    return str(
        result.CurrentRequestedProcedureEvidenceSequence[0]
        .ReferencedSeriesSequence[0]
        .ReferencedSOPSequence[0]
        .ReferencedSOPInstanceUID
    )


def numbers_in(dataset: Dataset) -> tuple[str, ...]:
    """Return every number that a structured report has, in order."""
    return tuple(str(element.value) for element in dataset.iterall() if element.keyword == "NumericValue")


def disturbed(
    folder: Path,
    fault: str,
    tried: str,
    must: str,
    disturb: Callable[[Node], None],
    spool: Path | None = None,
    **given: object,
) -> list[Row]:
    """Run a node under load, disturb it, and see what is left."""
    with receiving() as peer:
        node = Node(folder, spool or folder / "spool", peer, **given)
        with node.load():
            time.sleep(2)
            disturb(node)
            time.sleep(2)
        lost, wrong, seen = node.settle()
    return [Row(fault, tried, must, seen, lost, wrong)]


MUST = "what was acknowledged has its result once; what was not is sent again"


def node_killed(folder: Path) -> list[Row]:
    def disturb(node: Node) -> None:
        for _ in range(6):
            time.sleep(random.uniform(0.5, 4))
            node.kill()
            node.start()

    return disturbed(folder, "`kill -9` of the node", "6 at random", MUST, disturb)


def node_decoders_killed(folder: Path) -> list[Row]:
    kills: list[int] = []

    def disturb(node: Node) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            time.sleep(random.uniform(0.1, 0.8))
            for pid in children(node.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    kills.append(pid)

    rows = disturbed(folder, "`kill -9` of the node's decoding processes", "", MUST, disturb)
    return [Row(row.fault, f"{len(kills)} at random", row.must, row.seen, row.lost, row.wrong) for row in rows]


def node_full(folder: Path) -> list[Row]:
    def disturb(_: Node) -> None:
        for seconds in (3, 15, 3):
            filler = fill(place)
            time.sleep(seconds)
            filler.unlink()
            time.sleep(3)

    with disk(folder, 24) as place:
        return disturbed(
            folder, "full disk below the node's spool", "3 times, for 3, 15 and 3 s", MUST, disturb, place / "spool"
        )


def node_read_only(folder: Path) -> list[Row]:
    said: list[bool] = []

    def disturb(node: Node) -> None:
        node.kill()
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        done = subprocess.run(
            [*HILUM, "node", "--config", node.config],
            capture_output=True,
            env=environment(folder),
            timeout=600,
            check=False,
        )
        said.append(
            done.returncode != 0
            and b"Traceback" not in done.stderr + done.stdout
            and b"spool" in done.stderr + done.stdout
        )
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
        node.start()

    with disk(folder, 24) as place:
        rows = disturbed(
            folder,
            "read-only disk below the node's spool",
            "killed with films inside, started on it, then on a writable one",
            f"the start ends and says why; {MUST}",
            disturb,
            place / "spool",
        )
    return [
        Row(
            row.fault,
            row.tried,
            row.must,
            row.seen + ("; it said why" if said == [True] else "; IT DID NOT SAY WHY"),
            row.lost,
            row.wrong + (said != [True]),
        )
        for row in rows
    ]


def node_slow(folder: Path) -> list[Row]:
    def disturb(node: Node) -> None:
        held: list[socket.socket] = []
        end = time.monotonic() + 30
        while time.monotonic() < end:
            while len(held) < 60:
                one = socket.create_connection(("127.0.0.1", node.port), timeout=5)
                one.setblocking(False)
                held.append(one)
                with contextlib.suppress(OSError):
                    one.send(
                        (
                            b"",
                            b"\x01",
                            b"\x01\x00\x00\x00\x00\xc8" + bytes(50),
                            b"\x04\x00\xff\xff\xff\xff" + bytes(50),
                        )[len(held) % 4]
                    )
            time.sleep(1)
            for one in list(held):
                try:
                    gone = not one.recv(1)
                except BlockingIOError:
                    continue
                except OSError:
                    gone = True
                if gone:
                    one.close()
                    held.remove(one)
        for one in held:
            one.close()

    tried = "60 that send nothing, a byte, half a message, or the start of one of 4 GB, for 30 s, each anew when it is hung up on"
    return disturbed(folder, "half-open callers of the node", tried, MUST, disturb, idle_seconds=5.0, associations=100)


def node_clock(folder: Path) -> list[Row]:
    clock = folder / "clock"
    clock.write_text("+0")
    jumps = ("+3650d", "-3650d", "+1h", "-1h", "+0")

    def disturb(node: Node) -> None:
        for jump in jumps:
            clock.write_text(jump)
            node.peer.status = 0xA700  # so that deliveries are postponed under every time
            time.sleep(2)
            node.peer.status = 0x0000
            time.sleep(2)
        clock.write_text("+3650d")
        node.kill()
        node.start()
        time.sleep(3)
        clock.write_text("+0")
        node.kill()
        node.start()

    before = dict(os.environ)
    os.environ.update(faketime(clock))
    try:
        return disturbed(
            folder,
            "clock jumps, node",
            f"{', '.join(jumps)} under load, the peer refusing half of the time; two starts ten years apart",
            MUST,
            disturb,
        )
    finally:
        for name in faketime(clock):
            os.environ.pop(name, None)
        os.environ.update(before)


def watch(folder: Path, out: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a watch of a folder."""
    command = [*HILUM, "watch", folder, "--out", out, "--settle", "0.2", "--poll", "0.2"]
    with log.open("ab") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream, env=environment(log.parent))


def watched(
    folder: Path,
    fault: str,
    tried: str,
    out: Path,
    disturb: Callable[[Callable[[], subprocess.Popen[bytes]]], subprocess.Popen[bytes]],
) -> list[Row]:
    """Put films into a watched folder while it is disturbed, and count their records."""
    films = folder / "films"
    films.mkdir()
    pictures = sorted(GALLERY.glob("*.jpg"))
    for number in range(24):
        # A byte behind the picture's end makes each another film.
        (films / f"{number}.jpg").write_bytes(pictures[number % len(pictures)].read_bytes() + bytes([number]))
    process = disturb(lambda: watch(films, out, folder / "watch.log"))
    end = time.monotonic() + 240
    while len(list(out.glob("*.hilum.json"))) < 24 and time.monotonic() < end:
        time.sleep(0.5)
    process.terminate()
    process.wait(60)
    records = [json.loads(path.read_text("utf-8")) for path in out.glob("*.hilum.json")]
    wrong = sum("error" in record and record["error"] is not None for record in records)
    return [
        Row(
            fault,
            tried,
            "each film has one whole record in the end",
            f"{len(records)} of 24 films have theirs",
            24 - len(records),
            wrong,
        )
    ]


def watch_killed(folder: Path) -> list[Row]:
    out = folder / "out"
    out.mkdir()

    def disturb(begin: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        process = begin()
        for _ in range(4):
            time.sleep(random.uniform(3, 8))
            process.kill()
            process.wait()
            process = begin()
        return process

    return watched(folder, "`kill -9` of the watch", "4 at random", out, disturb)


def watch_full(folder: Path) -> list[Row]:
    def disturb(begin: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        filler = fill(place)
        process = begin()
        time.sleep(15)
        filler.unlink()
        return process

    with disk(folder, 24) as place:
        return watched(folder, "full disk below the watch's results", "for 15 s from the start", place, disturb)


SCENARIOS = (
    node_killed,
    node_decoders_killed,
    node_full,
    node_read_only,
    node_slow,
    node_clock,
    watch_killed,
    watch_full,
)
