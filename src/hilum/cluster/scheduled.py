"""An archive over the workers of a Dask cluster that somebody else runs. Scheduler and workers may die and come back."""

from __future__ import annotations

import logging
import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from hilum.cluster.plan import basis_from_json, basis_of
from hilum.cluster.run import Execute, Take
from hilum.cluster.shard import Part, read_part
from hilum.cluster.source import Source
from hilum.errors import ConfigError, HilumError, Incompatible, PeerError
from hilum.logs import line
from hilum.pipeline import Engine, open_engine

if TYPE_CHECKING:
    from distributed import Client

LOG = logging.getLogger("hilum.cluster")
CONNECT_SECONDS = 5.0
"""Of one attempt to reach the scheduler."""
AHEAD = 2
"""Parts that are given out for each thread of the cluster: one that is read, and one that waits beside it."""
_TICK = 1.0
"""Seconds between two looks at the scheduler while no part ends."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to read parts as all others do. It opens its models itself, and they must be the same."""

    source: Source
    models: Path | None
    """A folder that every worker sees under this path, or None for those that ship."""
    basis: bytes = field(repr=False)
    """As ``basis_to_json`` writes it."""


class _Lost(Exception):
    """The scheduler is gone, and with it what was under way."""


def on_dask(job: Job, scheduler: str, wait_seconds: float, stop: Event) -> Execute:
    """Return what reads parts on the cluster of the scheduler at an address such as ``tcp://10.0.0.5:8786``.

    A scheduler that can't be reached is waited for, so many seconds; then PeerError. After ``stop`` what is under way is dropped.
    """

    def execute(take: Take) -> Iterator[tuple[Part, bytes | None]]:
        again: deque[Part] = deque()
        under_way: dict[str, tuple[Part, Any]] = {}
        while True:
            with suppress(_Lost), _connected(scheduler, wait_seconds, stop) as client:
                yield from _through(client, job, lambda: again.popleft() if again else take(), under_way, stop)
                return
            LOG.warning(line("scheduler lost", {"parts": f"{len(under_way)}"}))
            again.extend(part for part, _ in under_way.values())
            under_way.clear()

    return execute


def _through(
    client: Client, job: Job, take: Take, under_way: dict[str, tuple[Part, Any]], stop: Event
) -> Iterator[tuple[Part, bytes | None]]:
    """Give out parts and yield them as they end. Raises _Lost; what did not end is then in ``under_way``: key → part and future."""
    ended: SimpleQueue[Any] = SimpleQueue()
    looked, room = 0.0, 0
    while not stop.is_set():
        if monotonic() - looked > _TICK:
            looked, room = monotonic(), max(1, AHEAD * _threads(client))
        while len(under_way) < room and (part := take()) is not None:
            key = f"hilum-{part.shard:07d}-{part.first}-{uuid.uuid4().hex[:8]}"
            under_way[key] = part, None
            with _losing():
                future = client.submit(_read, part, job, key=key, pure=False)
                under_way[key] = part, future
                future.add_done_callback(ended.put)
        if not under_way:
            return
        with suppress(Empty):
            future = ended.get(timeout=_TICK)
            outcome = _outcome(future)
            part, _ = under_way.pop(future.key)
            # Or the scheduler would keep its rows, and have them made again when the worker that holds them dies.
            future.release()
            yield part, outcome
        if client.status != "running":
            raise _Lost


def _outcome(future: Any) -> bytes | None:
    """Return what a part gave, or None where workers died over it. Raises _Lost, or what keeps all films from being read."""
    from distributed import KilledWorker

    if future.status not in ("finished", "error"):
        raise _Lost
    with _losing():
        failure = future.exception()
        outcome = None if failure is not None else future.result()
    if isinstance(failure, KilledWorker):
        return None
    if failure is not None:
        raise PeerError(
            f"A worker of the cluster can't run hilum ({type(failure).__name__}). Expected the same version of it, with the extras "
            "of this command, on every worker."
        )
    if isinstance(outcome, HilumError):
        raise outcome
    return outcome


@contextmanager
def _losing() -> Iterator[None]:
    """Raise _Lost for whatever a connection that broke raises."""
    try:
        yield
    except (OSError, CancelledError, TimeoutError, RuntimeError):
        raise _Lost from None


def _threads(client: Client) -> int:
    """Return how many threads the cluster's workers have. Raises _Lost."""
    with _losing():
        return sum(client.nthreads().values())


@contextmanager
def _connected(scheduler: str, wait_seconds: float, stop: Event) -> Iterator[Client]:
    """Have a client of the scheduler for a while. Raises as ``_connect`` does."""
    client = _connect(scheduler, wait_seconds, stop)
    try:
        yield client
    finally:
        with suppress(OSError, CancelledError, TimeoutError, RuntimeError):
            client.close(timeout=CONNECT_SECONDS)


def _connect(scheduler: str, wait_seconds: float, stop: Event) -> Client:
    """Return a client. Raises PeerError where the scheduler does not answer in time, ConfigError for what is no address."""
    from distributed import Client

    end = monotonic() + wait_seconds
    while True:
        try:
            return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except ValueError:
            raise ConfigError("--scheduler is no address. Expected one such as tcp://10.0.0.5:8786.") from None
        except OSError:
            if monotonic() > end or stop.wait(_TICK):
                raise PeerError(
                    f"No Dask scheduler answers at the address given, for {wait_seconds:.0f} seconds. Start it, and run the same "
                    "command again: it goes on where this ended."
                ) from None


_opening = Lock()


def _read(part: Part, job: Job) -> bytes | HilumError:
    """Read a part, on a worker. Returns errors: what is raised, Dask logs together with the arguments."""
    try:
        with _opening:
            engine = _engine(job.models, job.basis)
    except HilumError as error:
        return error
    return read_part(part, job.source, engine)


@cache
def _engine(models: Path | None, stated: bytes) -> Engine:
    """Return the engine that a job describes, opened once a process. Raises Incompatible where it would answer otherwise."""
    basis = basis_from_json(stated)
    engine = open_engine(models, policy=basis.policy, prevalence=basis.prevalence, threads=1, scope=basis.scope)
    if basis_of(engine, basis.source) != basis:
        raise Incompatible(
            "A worker of the cluster has another version of hilum or other models than this command. Expected the same on every "
            "worker: install the same version, and let --models be a folder that all of them see."
        )
    return engine
