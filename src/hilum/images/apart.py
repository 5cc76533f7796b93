"""Decoding in processes of their own: whatever a hostile file does to one, the caller goes on.

A process that has answered waits for the next film, so that a film costs no start of Python. One that breaks a limit or dies is
replaced. They end with this process, however it ends, since their input is then closed.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Timer
from typing import BinaryIO, cast

from hilum.errors import Busy, InputError, UnreadableImage
from hilum.images.decoded import Channel, Decoded, Request, receive_answer, send_request
from hilum.images.limits import Limits


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """A process that decodes, and the way to it."""

    running: subprocess.Popen[bytes]
    channel: Channel


# A film may wait for a processor, which does not count as seconds of its own.
_PATIENCE = 4
# More are not kept waiting, however many films came at once.
_KEPT = 8
_ENVIRONMENT = {
    # One film is one thread's work; and threads of a library that is not used here take memory.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc's: memory of a film is kept for the next one. Asking the system for it again took a third of the time.
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
_PROBLEM = "The DICOM object is broken: what decodes it ended over it. Export the film again."

_idle: list[Process] = []
_inherited: list[Process] = []
_lock = Lock()


def decode_apart(data: bytes, limits: Limits, enough: int | None = None) -> Decoded:
    """Decode a DICOM file's first frame in another process; ``enough``: see ``read_image``. Safe to call from several threads.

    Raises UnreadableImage, UnsupportedSyntax or ImageTooLarge, and Busy where no process can be started.
    """
    process = _take()
    try:
        answer = _ask(process, Request(data, limits, enough))
    except BaseException:
        # Its next answer would be to this film.
        _end(process)
        raise
    if isinstance(answer, Decoded):
        _give_back(process)
        return answer
    if answer is None:
        # So that how it ended by itself is known, if it did.
        with suppress(subprocess.TimeoutExpired):
            process.running.wait(1)
        why = _why(process, limits)
        _end(process)
        raise UnreadableImage(why)
    _give_back(process)
    raise answer


def _ask(process: Process, request: Request) -> Decoded | InputError | None:
    """Return the answer, or None where there is none that can be used."""
    watch = Timer(_PATIENCE * request.limits.max_seconds, process.running.kill)
    watch.daemon = True
    watch.start()
    try:
        send_request(process.channel, request)
        return receive_answer(process.channel, request.limits)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
    finally:
        watch.cancel()
        process.channel.clear()


def _why(process: Process, limits: Limits) -> str:
    """Say why a process gave no answer."""
    if process.running.returncode in (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)):
        return f"Decoding takes more than {limits.max_seconds} seconds, or more memory than there is. Export it again."
    return _PROBLEM


def _take() -> Process:
    """Return a process that waits, or start one."""
    while True:
        with _lock:
            process = _idle.pop() if _idle else None
        if process is None:
            return _start()
        if process.running.poll() is None:
            return process
        _end(process)


def _give_back(process: Process) -> None:
    with _lock:
        kept = len(_idle) < _KEPT
        if kept:
            _idle.append(process)
    if not kept:
        _end(process)


def _start() -> Process:
    """Start a process. It may still be importing when this returns; a film waits in its pipe. Raises Busy."""
    home = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    environment = os.environ | _ENVIRONMENT | {"PYTHONPATH": path}
    # -P: or a folder's own modules would stand in the way of others' of the same name.
    command = [sys.executable, "-P", "-m", "hilum.images.worker"]
    try:
        shared = os.memfd_create("hilum") if hasattr(os, "memfd_create") else None
        given = () if shared is None else (shared,)
        running = subprocess.Popen(
            [*command, *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders in C write what they like there
            env=environment,
            pass_fds=given,
        )
    except OSError:
        raise Busy("No process to decode a film can be started. Try again, or give this service more.") from None
    return Process(running, Channel(cast(BinaryIO, running.stdout), cast(BinaryIO, running.stdin), shared))


def _end(process: Process) -> None:
    """End a process and let go of all that it had."""
    process.running.kill()
    process.running.wait()
    for stream in (process.channel.incoming, process.channel.outgoing):
        with suppress(OSError):  # what was not sent yet
            stream.close()
    if process.channel.shared is not None:
        os.close(process.channel.shared)


def waiting() -> tuple[int, ...]:
    """Return the ids of the processes that wait for a film."""
    with _lock:
        return tuple(process.running.pid for process in _idle)


def close() -> None:
    """End the processes that wait. The next film starts one again."""
    with _lock:
        ending, _idle[:] = list(_idle), []
    for process in ending:
        process.channel.outgoing.close()
    for process in ending:
        with suppress(subprocess.TimeoutExpired):
            process.running.wait(5)
        _end(process)


def _forget() -> None:
    """After a fork: these processes are the parent's. They are kept here unused, or Python would complain of them."""
    _inherited.extend(_idle)
    _idle.clear()
    _lock.release()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    # Held over the fork, so that the child never finds it held by a thread that it does not have.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget)
