"""An archive on this machine: processes that share the weights, since they are forked from the one that opened them."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from hilum.cluster.run import Execute, Take
from hilum.cluster.shard import Part, read_part
from hilum.cluster.source import Source
from hilum.errors import HilumError
from hilum.pipeline import Engine

_work: tuple[Source, Engine] | None = None
"""What this process reads from, and by: set in a worker when it begins."""


def on_processes(source: Source, engine: Engine, workers: int) -> Execute:
    """Return what reads parts on so many processes. ``engine``: opened with one thread, since threads do not survive a fork."""

    def execute(take: Take) -> Iterator[tuple[Part, bytes | None]]:
        pool = _pool(source, engine, workers)
        under_way: dict[Future[bytes | HilumError], Part] = {}
        try:
            while True:
                while len(under_way) < workers and (part := take()) is not None:
                    under_way[_submit(pool, part)] = part
                if not under_way:
                    return
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                    # Nobody says which process died, and so over which part: all of them are under suspicion.
                    pool.shutdown()
                    pool = _pool(source, engine, workers)
                    done = set(under_way)
                for future in done:
                    yield under_way.pop(future), _outcome(future)
        finally:
            pool.shutdown(cancel_futures=True)

    return execute


def _pool(source: Source, engine: Engine, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers, mp_context=get_context("fork"), initializer=_begin, initargs=(source, engine, os.getpid())
    )


def _submit(pool: ProcessPoolExecutor, part: Part) -> Future[bytes | HilumError]:
    with warnings.catch_warnings():
        # Newer Pythons warn of forking beside threads. Here they are numpy's, which a worker starts anew, and fsspec's, which
        # resets itself; the pool forks all its workers before it starts a thread of its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return pool.submit(_read, part)
        except BrokenProcessPool as error:
            # A process died between two parts. This one then comes back as those under way do.
            failed: Future[bytes | HilumError] = Future()
            failed.set_exception(error)
            return failed


def _outcome(future: Future[bytes | HilumError]) -> bytes | None:
    try:
        outcome = future.result()
    except BrokenProcessPool:
        return None
    if isinstance(outcome, HilumError):
        raise outcome
    return outcome


def _begin(source: Source, engine: Engine, parent: int) -> None:
    """Begin a worker. Ctrl-C is its parent's to answer, which lets it finish; by SIGTERM the pool ends it."""
    global _work
    _work = source, engine
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process once its parent is no more, however that ended: nobody would take its results."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _read(part: Part) -> bytes | HilumError:
    if _work is None:
        return HilumError("A process was given films before it had begun.")
    return read_part(part, *_work)
