"""A bounded pool: so many worker threads, so many films that may wait, and no more."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

from hilum.server.metrics import Metrics
from hilum.server.problems import refuse

Result = TypeVar("Result")


class ClientGoneError(Exception):
    """The client left before its answer was begun."""


class Pool:
    """Worker threads behind a counter. All methods but the jobs themselves run on one event loop."""

    def __init__(self, workers: int, queue: int, metrics: Metrics) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="hilum-worker")
        self._workers = workers
        self._free = workers + queue
        self._seconds = 1.0
        self._metrics = metrics

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one place, from before the upload is read, so that memory is bounded too. A full pool refuses: busy."""
        if self._free <= 0:
            raise refuse(
                "busy",
                "Every worker is taken and the queue is full. Try again after the seconds in Retry-After.",
                **{"Retry-After": str(self._retry_after())},
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def run(self, job: Callable[[], Result], gone: Awaitable[object]) -> tuple[Result, float]:
        """Run ``job`` on a worker; return its result and the seconds it waited.

        Raises ClientGoneError where ``gone`` comes first and the job has not begun; a job that has begun is waited
        for, because a thread can't be stopped and its place must not be given away.
        """
        asked = perf_counter()
        watch = asyncio.ensure_future(gone)
        self._metrics.queue_depth.inc()
        future = self._threads.submit(self._begin, job, asked)
        try:
            answer = asyncio.wrap_future(future)
            await asyncio.wait((answer, watch), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and future.cancel():
                self._metrics.queue_depth.dec()
                raise ClientGoneError
            return await answer
        finally:
            watch.cancel()

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _begin(self, job: Callable[[], Result], asked: float) -> tuple[Result, float]:
        begun = perf_counter()
        self._metrics.queue_depth.dec()
        with self._metrics.busy_workers.track_inprogress():
            result = job()
        self._seconds = perf_counter() - begun
        return result, begun - asked

    def _retry_after(self) -> int:
        """Whole seconds, 1–60: about what it takes until one place is free, going by the last film."""
        return min(60, max(1, math.ceil(self._seconds / self._workers)))
