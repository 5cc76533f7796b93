"""A client without a network, a fake engine and fake work for the tests of the service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from hilum.cli.serve import address, http_server, listen
from hilum.records import InputSpec, Manifest, Output, TrainedOn
from hilum.server.app import create_app
from hilum.server.problems import PROBLEMS
from hilum.server.settings import Settings
from hilum.server.work import Answer

BASE = "http://127.0.0.1:5000"


class Client:
    """Calls an app in this process, one request a call."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        return asyncio.run(self.send(method, path, **given))

    async def send(self, method: str, path: str, **given: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.request(method, path, **given)

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.request("POST", path, **given)

    def upload(self, data: bytes, name: str = "film.png", **given: Any) -> httpx.Response:
        return self.post("/api/ml-analyze", files={"image": (name, data)}, **given)


def fake_work(data: bytes, film: bool, kind: Any = None) -> Answer:
    """Answer every film with its length."""
    body = json.dumps({"length": len(data)}).encode()
    return Answer(body=body, accepted=True, reasons=(), sha256="ab" * 32, seconds={"read": 0.25})


def fake_engine() -> Any:
    """Return what the routes read of an engine: one member's bundle."""
    manifest = Manifest(
        schema=1,
        id="fake",
        version="1.0.0",
        architecture="DenseNet121",
        slot="densenet",
        trained_on=TrainedOn(dataset="nothing"),
        input=InputSpec(8, 8, 1, 1.0, (0.0,), (1.0,)),
        outputs=(Output("Effusion", assessed=True), Output("Fracture", assessed=False, reason="3 positive patients")),
        files={},
    )
    return SimpleNamespace(
        members=(SimpleNamespace(bundle=SimpleNamespace(manifest=manifest, sha256="cd" * 32, precision="fp32")),)
    )


@pytest.fixture
def make_client() -> Callable[..., Client]:
    """A function from settings, and perhaps other work or another engine, to a client."""

    def make(work: Any = fake_work, engine: Any = None, **settings: Any) -> Client:
        return Client(create_app(Settings(**settings), engine or fake_engine(), work))

    return make


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    """A client of the service with its default settings and fake work."""
    return make_client()


@pytest.fixture
def is_problem() -> Callable[[httpx.Response, str], dict[str, Any]]:
    """The one check of every error body: returns the body of a response that must be the problem ``code``."""

    def check(response: httpx.Response, code: str) -> dict[str, Any]:
        assert response.headers["content-type"] == "application/problem+json"
        body: dict[str, Any] = response.json()
        assert list(body) == ["type", "title", "status", "detail", "code", "request_id"]
        assert body["code"] == code
        assert (body["status"], body["title"]) == PROBLEMS[code]
        assert response.status_code == body["status"]
        assert body["type"] == f"/api/docs#{code}"
        assert body["request_id"] == response.headers["x-request-id"]
        assert body["detail"]
        return body

    return check


@contextlib.contextmanager
def running_app(app: FastAPI, **given: Any) -> Iterator[str]:
    """Run ``app`` on a socket of its own, with these settings of the server; give its address."""
    settings = Settings(**given)
    server = http_server(app, settings)
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address(listener, settings.tls_certificate is not None)
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def running() -> Callable[..., contextlib.AbstractContextManager[str]]:
    """``running(app, **settings)``: a block within which the app listens; gives its address."""
    return running_app
