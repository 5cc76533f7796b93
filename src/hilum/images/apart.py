"""Decoding in processes of their own: whatever a hostile file does to one, the caller goes on.

A process that has answered waits for the next film, so that a film costs no start of Python. One that breaks a limit or dies is
replaced; where somebody else ended it, another one is given the same film. They end with this process, however it ends, since
their input is then closed.
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
from threading import Event, Lock, Timer
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
# As often is a film given to a process while somebody else ends them.
_ATTEMPTS = 3
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

    Raises UnreadableImage, UnsupportedSyntax or ImageTooLarge, and Busy where no process can be started, or none is left alive.
    """
    request = Request(data, limits, enough)
    for _ in range(_ATTEMPTS):
        with suppress(_EndedError):
            return _attempt(request)
    raise Busy(
        "What decodes this film was ended from outside, again and again; this machine may be short of memory. "
        "Try again, or give this service more."
    )


class _EndedError(Exception):
    """Somebody else ended the process: not the film's fault, as where the system is short of memory for something else."""


def _attempt(request: Request) -> Decoded:
    """Decode in one process. Raises as ``decode_apart`` does, and _EndedError."""
    process = _take()
    late = Event()
    try:
        answer = _ask(process, request, late)
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
        error = _why(process, request.limits, late)
        _end(process)
        raise error
    _give_back(process)
    raise answer


def _ask(process: Process, request: Request, late: Event) -> Decoded | InputError | None:
    """Return the answer, or None where there is none that can be used. ``late`` is set where it was waited for too long."""

    def give_up() -> None:
        late.set()
        process.running.kill()

    watch = Timer(_PATIENCE * request.limits.max_seconds, give_up)
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


def _why(process: Process, limits: Limits, late: Event) -> UnreadableImage | _EndedError:
    """Say why a process gave no answer."""
    ended = process.running.returncode
    if ended in (-signal.SIGTERM, -getattr(signal, "SIGKILL", 0)) and not late.is_set():
        return _EndedError()
    if late.is_set() or ended == -getattr(signal, "SIGXCPU", 0):
        return UnreadableImage(f"Decoding takes more than {limits.max_seconds} seconds. Export the film again.")
    return UnreadableImage(_PROBLEM)


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
