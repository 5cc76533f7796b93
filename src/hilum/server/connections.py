"""Connections that nobody can hold for nothing: a request must come soon, an answer must be taken, and idle ones make room.

Without this a client that sends a byte a second, or never reads its answer, keeps a connection and its memory for ever, and enough
of them keep everybody else out.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with limits in time and number."""

    header_seconds = 10.0
    """From the opening of a connection, or the end of the answer before, to the last byte of a request's header."""
    take_seconds = 60.0
    """How long a client may take nothing of its answer."""
    most = 512
    """Open connections; one more takes the place of the one that has been without a request for longest."""

    _late: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _idle_since = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, be it that none came yet, or only a part of its header."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Watch a new connection, and end another where there are too many."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        if len(self.connections) > self.most:
            idle = [one for one in self.connections if isinstance(one, Connection) and one.is_idle]
            min(idle, key=lambda one: one._idle_since).transport.abort()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no more."""
        for timer in (self._late, self._untaken):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See whether a request has come."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Watch whether the client takes its answer."""
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        """The client does."""
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None
        super().resume_writing()

    def _watch(self) -> None:
        """Wait for a header while there is none."""
        if not self.is_idle and self._late is not None:
            self._late.cancel()
            self._late = None
        elif self.is_idle and self._late is None:
            self._late = self.loop.call_later(self.header_seconds, self._end_if_late)

    def _end_if_late(self) -> None:
        self._late = None
        # An answer that is still on its way has its own limit.
        if self._untaken is None:
            self.transport.abort()

    def _expect_taking(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._untaken = self.loop.call_later(self.take_seconds, self._end_if_untaken, left)

    def _end_if_untaken(self, before: int) -> None:
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._expect_taking()
