"""Decoding in processes of their own: the same film, bounded memory and time, and nothing left behind."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from hilum.errors import Busy, ImageTooLarge, UnreadableImage
from hilum.images import DEFAULT_LIMITS, Limits, apart, read_image
from hilum.images.apart import decode_apart
from hilum.images.decoded import Channel, Decoded, Facts, receive_answer, send_answer
from hilum.images.dicom import decode

SYNTAXES = (RLELossless, JPEGLSLossless, JPEG2000Lossless)


@pytest.fixture(autouse=True)
def _fresh():
    """No process waits from an earlier test."""
    apart.close()


def peak(pid: int) -> float:
    """Return the most memory, MiB, that a process has had."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def gone(pid: int) -> bool:
    """Say whether a process ends within a while."""
    for _ in range(200):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def same(one: Decoded, other: Decoded) -> bool:
    return (
        np.array_equal(one.index, other.index) and np.array_equal(one.table, other.table) and one.facts == other.facts
    )


def test_it_is_the_same_film(make_dicom, make_data_set, compress):
    """What another process decodes is what this one would, facts and all, grey and colour."""
    colour = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    files = [make_dicom(PatientAge="012Y"), make_dicom(colour, 8), *(compress(make_data_set(), it) for it in SYNTAXES)]
    for data in files:
        assert same(decode_apart(data, DEFAULT_LIMITS), decode(data, DEFAULT_LIMITS))


def test_without_shared_memory_it_is_the_same_film(make_dicom, monkeypatch):
    """Where the system has no files in memory, pixels go through the pipes."""
    monkeypatch.delattr(os, "memfd_create")
    data = make_dicom()
    assert same(decode_apart(data, DEFAULT_LIMITS), decode(data, DEFAULT_LIMITS))


def test_one_process_serves_film_after_film(make_dicom):
    """A process that has answered, with a film or a refusal, waits for the next one."""
    read_image(make_dicom())
    first = apart.waiting()
    with pytest.raises(UnreadableImage):
        read_image(make_dicom(Rows=0))
    read_image(make_dicom())
    assert len(first) == 1
    assert apart.waiting() == first


def test_threads_have_their_own(make_dicom, make_data_set, compress):
    """Films of several threads at once come out each as itself."""
    films = [compress(make_data_set(np.full((64, 64), shade, np.uint16), PixelPaddingValue=0), it)
             for shade in range(1, 9) for it in SYNTAXES]  # fmt: skip
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda data: decode_apart(data, DEFAULT_LIMITS), films))
    assert [int(answer.index[0, 0]) for answer in answers] == [shade for shade in range(1, 9) for _ in SYNTAXES]
    assert 1 <= len(apart.waiting()) <= 4


def test_one_that_died_while_it_waited_is_replaced(make_dicom):
    """A process that ended between two films costs nobody a film."""
    read_image(make_dicom())
    (pid,) = apart.waiting()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    read_image(make_dicom())
    assert pid not in apart.waiting()


def killing(monkeypatch, times: int) -> list[int]:
    """Kill as many of the processes as are given a film; return their ids, to be filled."""
    killed: list[int] = []
    send = apart.send_request

    def send_and_kill(channel, request) -> None:
        send(channel, request)
        if len(killed) < times:
            (child,) = (
                int(pid) for pid in Path("/proc/thread-self/children").read_text().split() if int(pid) not in killed
            )
            killed.append(child)
            os.kill(child, signal.SIGKILL)

    monkeypatch.setattr(apart, "send_request", send_and_kill)
    return killed


def test_a_film_whose_process_was_killed_is_read_by_another(make_dicom, monkeypatch):
    """Who kills a process that is at a film, as a system short of memory does, costs nobody the film."""
    killed = killing(monkeypatch, 2)
    assert read_image(make_dicom()).source.width == 64
    assert len(killed) == 2


def test_who_kills_every_process_is_not_the_films_fault(make_dicom, monkeypatch):
    """A film that none was left alive for is not called unreadable: it is worth another try."""
    killing(monkeypatch, 3)
    with pytest.raises(Busy, match="ended from outside"):
        read_image(make_dicom())
    assert read_image(make_dicom()).source.width == 64


def test_a_decoder_that_dies_takes_only_its_process(make_data_set, write, make_dicom):
    """A frame over which a decoder ends its process is an error, and the next film is read."""
    header = b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 11, 12, 48, 64, 1) + b"\x01\x11\x00"
    frame = header + b"\xff\xda\x00\x08\x01\x01\x00\x07\x00\x00" + b"\xaa" * 500 + b"\xff\xd9"
    fragment = struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame
    data = make_data_set(PixelData=struct.pack("<HHI", 0xFFFE, 0xE000, 0) + fragment)
    data["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableImage):
        read_image(write(data, JPEGLosslessSV1))
    assert read_image(make_dicom()).source.width == 64


def elements(count: int) -> bytes:
    """Return so many empty elements in rising order."""
    tags = np.arange(count, dtype="<u4")
    rows = np.empty((count, 4), dtype="<u2")
    rows[:, 0], rows[:, 1] = 0x0009 + 2 * (tags >> 16), tags & 0xFFFF
    rows[:, 2], rows[:, 3] = int.from_bytes(b"LO", "little"), 0
    return rows.tobytes()


def test_time_is_limited(make_dicom):
    """A header that takes too long to parse, of millions of elements, is ended, and the next film is read."""
    data = make_dicom()
    place = data.index(struct.pack("<HH2s", 0x0028, 0x0002, b"US"))
    endless = data[:place] + elements(900_000) * 8 + data[place:]
    read_image(data)
    (pid,) = apart.waiting()
    with pytest.raises(UnreadableImage, match="more than 1 seconds"):
        read_image(endless, Limits(max_seconds=1))
    assert apart.waiting() == ()
    assert gone(pid)
    assert read_image(data).source.width == 64


def test_waiting_is_limited_too(make_dicom):
    """A process that neither answers nor computes is ended after a multiple of its seconds."""
    read_image(make_dicom())
    (pid,) = apart.waiting()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(UnreadableImage, match="seconds"):
        read_image(make_dicom(), Limits(max_seconds=1))
    assert gone(pid)


def test_memory_is_limited():
    """Beyond its limit an allocation fails, in the process itself."""
    script = (
        "from hilum.images.limits import Limits; from hilum.images.worker import restrict; import numpy\n"
        "restrict(Limits(max_memory=64 << 20), 0)\n"
        "numpy.ones(32 << 20, dtype='u1')\n"
        "try: numpy.ones(400 << 20, dtype='u1')\n"
        "except MemoryError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, *SYNTAXES, JPEGLosslessSV1])
def test_what_the_header_check_lets_in_fits(make_dicom, make_data_set, compress, lossless, syntax):
    """A film whose estimate just fits the memory limit is decoded within it, in every syntax, and takes no more than that."""
    rng = np.random.default_rng(3)
    film = rng.integers(0, 4096, (1500, 1500), dtype=np.uint16)
    if syntax == DeflatedExplicitVRLittleEndian:
        data = make_dicom(film, syntax=syntax)
    else:
        data = lossless(make_dicom(film)) if syntax == JPEGLosslessSV1 else compress(make_data_set(film), syntax)
    limits = Limits(max_memory=1500 * 1500 * 20)
    read_image(make_dicom())
    (pid,) = apart.waiting()
    before = peak(pid)
    film = read_image(data, limits)
    assert film.pixels.shape == (1500, 1500)
    assert peak(pid) - before < (limits.max_memory + 4 * len(data)) / 2**20 + 16
    with pytest.raises(ImageTooLarge):
        read_image(data, Limits(max_memory=1500 * 1500 * 20 - 1))


def test_no_process_to_be_had_is_busy(make_dicom, monkeypatch):
    """Where no process can be started the film is not to blame, and trying again is worth it."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Busy):
        read_image(make_dicom())


def test_an_interrupt_ends_the_process(make_dicom, monkeypatch):
    """After Ctrl-C in the middle of a film its process is ended: its answer must not be taken for the next film's."""

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(apart, "receive_answer", interrupt)
        with pytest.raises(KeyboardInterrupt):
            read_image(make_dicom())
    assert apart.waiting() == ()
    assert read_image(make_dicom(np.full((7, 9), 3, np.uint16))).source.height == 7


SCRIPT = """
import os, sys
from pathlib import Path
from hilum.images import apart, read_image
data = Path(sys.argv[1]).read_bytes()
read_image(data)
{then}
print(*apart.waiting(), flush=True)
{last}
"""


@pytest.mark.parametrize("last", ["", "os.kill(os.getpid(), 9)"])
def test_processes_end_with_their_caller(make_dicom, tmp_path, last):
    """Whether the caller ends by itself or is killed, no process stays behind."""
    path = tmp_path / "film"
    path.write_bytes(make_dicom())
    script = SCRIPT.format(then="", last=last)
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
    (pid,) = map(int, done.stdout.split())
    assert gone(pid)
    assert done.stderr == ""


def test_a_fork_has_its_own(make_dicom, tmp_path):
    """A forked process, as of a data loader, starts its own and leaves its parent's alone."""
    path = tmp_path / "film"
    path.write_bytes(make_dicom())
    then = (
        "mine = apart.waiting()\n"
        "if os.fork() == 0:\n"
        "    assert apart.waiting() == ()\n"
        "    read_image(data)\n"
        "    assert not set(apart.waiting()) & set(mine)\n"
        "    apart.close()\n"
        "    os._exit(0)\n"
        "assert os.wait()[1] == 0\n"
        "read_image(data)\n"
        "assert apart.waiting() == mine\n"
    )
    script = SCRIPT.format(then=then, last="")
    done = subprocess.run([sys.executable, "-W", "error", "-c", script, path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


FACTS = Facts(12, "MONOCHROME2", "PA", ("shown by its first window",), 0.0, ())


def answer_of(changes: dict[str, object], table: np.ndarray | None = None) -> bytes:
    """Return an answer's bytes as a process sends them, with changes to its message."""
    stream = io.BytesIO()
    table = np.linspace(0, 1, 256, dtype=np.float32) if table is None else table
    content = {"shape": [2, 3], "itemsize": 1, "facts": asdict(FACTS)} | changes
    Channel(stream, stream, None).send(content, memoryview(bytes(6)), table.data.cast("B"))
    return stream.getvalue()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xff\xff\xff\xff",
        answer_of({})[:-1],
        answer_of({"shape": [2, 3000]}),
        answer_of({"shape": [-2, -3]}),
        answer_of({"shape": [10**6, 10**6]}),
        answer_of({"itemsize": 8}),
        answer_of({"facts": {}}),
        answer_of({"facts": asdict(FACTS) | {"chroma": float("nan")}}),
        answer_of({"facts": asdict(FACTS) | {"run": "this"}}),
        answer_of({"error": "error", "message": ""}),
        answer_of({}, np.full(256, np.nan, dtype=np.float32)),
        answer_of({}, np.full(256, 2, dtype=np.float32)),
        struct.pack("<I", 2) + b"[]",
        struct.pack("<I", 2) + b"no",
    ],
)
def test_an_answer_is_not_believed(sent):
    """Whatever a process that was taken over may answer, it is a sound film or none."""
    stream = io.BytesIO(sent)
    with pytest.raises((EOFError, ValueError, KeyError, TypeError, struct.error)):
        receive_answer(Channel(stream, stream, None), DEFAULT_LIMITS)


def test_an_answer_comes_back_whole():
    """A film and a refusal come out of the stream as they went in."""
    sent = Decoded(np.arange(6, dtype=np.uint8).reshape(2, 3), np.linspace(0, 1, 256, dtype=np.float32), FACTS)
    stream = io.BytesIO()
    channel = Channel(stream, stream, None)
    send_answer(channel, sent)
    send_answer(channel, ImageTooLarge("so large"))
    stream.seek(0)
    received = receive_answer(channel, DEFAULT_LIMITS)
    assert isinstance(received, Decoded)
    assert same(received, sent)
    refused = receive_answer(channel, DEFAULT_LIMITS)
    assert isinstance(refused, ImageTooLarge)
    assert str(refused) == "so large"
