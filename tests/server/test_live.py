"""The service on a real socket, as curl and browsers meet it."""

from __future__ import annotations

import contextlib
import re
import shlex
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi.routing import APIRoute

from hilum.cli.serve import address, http_server, listen
from hilum.errors import ConfigError
from hilum.server.auth import hash_key
from hilum.server.problems import PROBLEMS
from hilum.server.settings import Settings, load_settings

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.fixture
def live(make_client):
    """A function from settings to the address of a service that runs until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(**given) -> str:
            return stack.enter_context(running(make_client(**given).app))

        yield start


@contextlib.contextmanager
def running(app):
    """Run ``app`` on a socket of its own; give its address."""
    server = http_server(app, Settings())
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address(listener)
    finally:
        server.should_exit = True
        thread.join(30)


def post(where, data, **given):
    return httpx.post(f"{where}/api/ml-analyze", files={"image": ("film", data)}, timeout=30, **given)


def test_an_upload_beyond_the_limit_gets_its_answer(live, is_problem):
    """A client that sends all before it reads sees 413, not a broken connection."""
    is_problem(post(live(max_upload_bytes=2000), b"x" * 20_000_000), "body_too_large")


def test_an_upload_without_the_key_gets_its_answer(live, is_problem):
    """A page that sends a large film without the key learns that it needs one."""
    where = live(api_key_hashes=(hash_key("key"),))
    is_problem(post(where, b"x" * 20_000_000), "unauthorized")
    assert post(where, b"film", headers={"X-API-Key": "key"}).json() == {"length": 4}


def test_a_chunked_upload_is_read(live):
    """A body without a stated length is taken."""
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\nfilm\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = httpx.post(f"{live()}/api/ml-analyze", content=iter([body[:40], body[40:]]), headers=headers)
    assert answer.json() == {"length": 4}


def test_a_large_film_arrives_whole(live):
    """Several megabytes come through the socket unharmed."""
    assert post(live(), b"x" * 9_000_000).json() == {"length": 9_000_000}


def test_the_server_does_not_name_itself(live):
    """Answers do not say which server software gives them."""
    assert "server" not in httpx.get(f"{live()}/healthz").headers


def test_a_taken_port_is_an_error_that_says_so():
    """Two services can't share a port, and the second says what to do."""
    with listen("127.0.0.1", 0) as first, pytest.raises(ConfigError, match="--port"):
        listen("127.0.0.1", first.getsockname()[1])


def test_an_unknown_address_is_an_error_that_says_so():
    """An address that is not this machine's can't be listened on."""
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1 port 5000"):
        listen("192.0.2.1", 5000)


def test_addresses_are_ones_that_people_can_type():
    """IPv6 addresses stand in brackets."""
    with listen("127.0.0.1", 0) as listener:
        assert address(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert address(SimpleNamespace(getsockname=lambda: ("::1", 5000, 0, 0))) == "http://[::1]:5000"


def test_documented_calls_work(live):
    """Each curl call in the HTTP reference is answered 200."""
    where = live()
    text = (DOCS / "http.md").read_text("utf-8")
    calls = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(calls) >= 5
    for call in calls:
        assert follow(call.replace("http://127.0.0.1:5000", where)).status_code == 200, call


def follow(call: str) -> httpx.Response:
    """Do what a curl call of the reference does, so that the test needs no curl."""
    program, silent, *words = shlex.split(call)
    assert (program, silent) == ("curl", "-s")
    options = {"-F": [], "-H": []}
    while len(words) > 1:
        options[words.pop(0)].append(words.pop(0))
    headers = dict(header.split(": ") for header in options["-H"])
    files = {name: (file.removeprefix("@"), b"film") for name, file in (field.split("=") for field in options["-F"])}
    return httpx.request("POST" if files else "GET", words[0], headers=headers, files=files or None)


def test_every_route_is_documented(client):
    """The HTTP reference has a row for each route, and for no other."""
    text = (DOCS / "http.md").read_text("utf-8")
    routes = {
        f"{sorted(route.methods)[0]} {route.path}" if isinstance(route, APIRoute) else f"GET {route.path}"
        for route in client.app.routes
    }
    assert set(re.findall(r"^\| `((?:GET|POST) [^`]+)`", text, re.MULTILINE)) == routes


def test_every_error_code_is_documented():
    """The HTTP reference's table of errors is the service's own."""
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| (.+) \|$", (DOCS / "http.md").read_text("utf-8"), re.MULTILINE)
    assert {code: (int(status), title) for code, status, title in rows} == PROBLEMS


def test_every_setting_is_documented():
    """The settings reference's table is the settings' own: name, default, description."""
    text = (DOCS / "settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+)$", text, re.MULTILINE))
    assert set(rows) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "unset" if default is None else f"`{default}`" if default not in ((), {}) else "none"
        assert rows[name] == f"{shown} | {field.description} |"


def test_the_documented_file_is_valid(tmp_path):
    """The settings reference's TOML block can be used as it stands."""
    (block,) = re.findall(r"```toml\n(.*?)```", (DOCS / "settings.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "hilum.toml").write_text(block)
    assert load_settings(tmp_path / "hilum.toml").prevalence == {"Effusion": 0.2}
