"""The outermost layer: request id, guards, security headers, one log line, one count, and no error body but ours."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Mapping, MutableMapping
from time import perf_counter
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hilum import logs
from hilum.errors import AuditFailed
from hilum.server.audit import Audit
from hilum.server.guards import Guard
from hilum.server.metrics import Metrics
from hilum.server.note import AUDIT_PROBLEM, note
from hilum.server.problems import problem_of, respond

LOG = logging.getLogger("hilum.server")

# Only what can't be a person's name or a hospital's number is taken over into the log.
_REQUEST_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DRAIN_BYTES = 128 * 2**20
_DRAIN_SECONDS = 5.0


class Edge:
    """ASGI middleware around the whole app."""

    def __init__(
        self,
        app: ASGIApp,
        guards: tuple[Guard, ...],
        metrics: Metrics,
        headers: Mapping[str, str],
        audit: Audit | None,
    ) -> None:
        self._app = app
        self._guards = guards
        self._metrics = metrics
        self._headers = headers
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        request = Request(scope)
        request.state.request_id = request_id(request.headers.get("x-request-id", ""))
        request.state.log = {}
        exchange = _Exchange(request, receive, send, self._headers, self._audit)
        await self._answer(request, exchange)
        self._note(request, exchange.status, 1000 * (perf_counter() - begun))

    async def _answer(self, request: Request, exchange: _Exchange) -> None:
        """Let the guards or the app answer; whatever escapes them becomes a problem without internals."""
        try:
            problem = next(filter(None, (guard(request) for guard in self._guards)), None)
            app = respond(problem, request) if problem else self._app
            await app(request.scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the edge: the client gets a body, the log gets the cause
            LOG.error(logs.line("failed", {"id": request.state.request_id, "at": logs.where(error)}))
            if exchange.status is None:
                await respond(problem_of(error), request)(request.scope, exchange.receive, exchange.send)

    def _note(self, request: Request, status: int | None, milliseconds: float) -> None:
        route = getattr(request.scope.get("route"), "path", "unmatched")
        self._metrics.requests.labels(route, str(status)).inc()
        quiet = route in ("/healthz", "/readyz", "/metrics", "/static")
        fields = {"id": request.state.request_id, "method": request.method, "route": route, "status": status}
        LOG.log(
            logging.DEBUG if quiet else logging.INFO,
            logs.line("request", fields | {"ms": milliseconds} | request.state.log),
        )


class _Exchange:
    """One request's receive and send, watched."""

    def __init__(
        self, request: Request, receive: Receive, send: Send, headers: Mapping[str, str], audit: Audit | None
    ) -> None:
        self.status: int | None = None
        self._request = request
        self._receive = receive
        self._send = send
        self._headers = headers
        self._audit = audit
        self._withheld = False
        asked = request.headers
        self._unread = asked.get("content-length", "0") != "0" or "transfer-encoding" in asked
        # Such a client waits to be asked for the body, so it need not be taken off its hands.
        self._waits = asked.get("expect", "").lower() == "100-continue"

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        """Pass the answer on, once it is written down who sees it; where that fails, a problem in its place."""
        if self._withheld:
            return
        if message["type"] == "http.response.start" and self._audit is not None:
            try:
                await note(self._audit, self._request, message["status"])
            except AuditFailed as error:
                LOG.error(logs.line("audit", {"id": self._request.state.request_id, "problem": error.code}))
                self._withheld = True
                await respond(AUDIT_PROBLEM, self._request)(self._request.scope, self._receive, self._pass)
                return
        await self._pass(message)

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            add_headers(message, self._request, self._headers)
        elif not message.get("more_body", False) and self._unread and not self._waits:
            await self._drain()
        await self._send(message)

    async def _drain(self) -> None:
        """Throw away the rest of a refused upload, within bounds: many clients read no answer before they have sent."""
        left = _DRAIN_BYTES
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._unread and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


def request_id(given: str) -> str:
    """Return the client's id where it is a UUID, with or without hyphens; else a new one."""
    return given.lower() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def add_headers(start: MutableMapping[str, Any], request: Request, security: Mapping[str, str]) -> None:
    """Put the request id, the security headers and the caching rule on an answer's first message."""
    headers = MutableHeaders(scope=start)
    for name, value in security.items():
        headers.setdefault(name, value)
    headers["X-Request-ID"] = request.state.request_id
    is_page = request.scope["path"] == "/" or request.scope["path"].startswith("/static/")
    headers.setdefault("Cache-Control", "no-cache" if is_page else "no-store")
