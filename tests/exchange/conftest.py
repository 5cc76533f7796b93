"""A web server of one file that can misbehave, and a stand-in for torchxrayvision."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType

import pytest
import torch

import lookalike


@dataclass
class Site:
    """What the server gives, and what it was asked for."""

    content: bytes
    tag: str | None = '"first"'
    status: int | None = None
    """Answer with this instead of the file."""
    break_after: int | None = None
    """Close the connection after so many bytes."""
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)
    """The Range of each request."""
    address: str = ""


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            site.asked.append(asked)
            if site.status is not None:
                self.send_response(site.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start, size = 0, len(site.content)
            if asked and site.ranges and self.headers.get("If-Range") in (None, site.tag):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= size:
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(size - start))
            if site.tag is not None:
                self.send_header("ETag", site.tag)
            self.end_headers()
            end = size if site.break_after is None else min(size, start + site.break_after)
            self.wfile.write(site.content[start:end])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    """A server on this machine that gives a megabyte."""
    site = Site(bytes(range(256)) * 4096)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    site.address = f"http://127.0.0.1:{server.server_port}/weights.pt"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, site: Site) -> ModuleType:
    """A module in torchxrayvision's place, whose addresses lead to the test's own server."""
    package = ModuleType("torchxrayvision")
    package.__version__ = "1.5.7"  # type: ignore[attr-defined]
    lookalike.model_urls = {name: entry | {"weights_url": site.address} for name, entry in lookalike.ENTRIES.items()}
    monkeypatch.setitem(sys.modules, "torchxrayvision", package)
    monkeypatch.setitem(sys.modules, "torchxrayvision.models", lookalike)
    return lookalike


@pytest.fixture(scope="session")
def public_network() -> torch.nn.Module:
    """A network of torchxrayvision's topology with random weights that are always the same."""
    return lookalike.seeded(18)


@pytest.fixture(scope="session")
def public_file(public_network: torch.nn.Module) -> bytes:
    """The whole network as saved in 2020."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchxrayvision", ModuleType("torchxrayvision"))
        patch.setitem(sys.modules, "torchxrayvision.models", lookalike)
        return lookalike.saved(public_network, zipped=False)
