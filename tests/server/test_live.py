"""The service on a real socket, as curl and browsers meet it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import trustme
from fastapi.routing import APIRoute

from hilum.cli.serve import address, http_server, listen
from hilum.errors import ConfigError
from hilum.server.keys import add_key
from hilum.server.problems import PROBLEMS
from hilum.server.settings import Settings, load_settings
from hilum.settings import is_loopback
from hilum.tls import server_context

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.fixture
def live(make_client, running):
    """A function from settings to the address of a service that runs until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(**given) -> str:
            return stack.enter_context(running(make_client(**given).app))

        yield start


def post(where, data, **given):
    return httpx.post(f"{where}/api/ml-analyze", files={"image": ("film", data)}, timeout=30, **given)


def test_an_upload_beyond_the_limit_gets_its_answer(live, is_problem):
    """A client that sends all before it reads sees 413, not a broken connection."""
    is_problem(post(live(max_upload_bytes=2000), b"x" * 20_000_000), "body_too_large")


def test_an_upload_without_the_key_gets_its_answer(live, is_problem, tmp_path):
    """A page that sends a large film without the key learns that it needs one."""
    key = add_key(tmp_path / "keys.json", "analyst", "caller", datetime.now(UTC))
    where = live(keys=tmp_path / "keys.json")
    is_problem(post(where, b"x" * 20_000_000), "unauthorized")
    assert post(where, b"film", headers={"X-API-Key": key}).json() == {"length": 4}


@pytest.fixture
def certified(tmp_path):
    """Settings of a service with a certificate, and the authority that issued it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for part in issued.cert_chain_pems:
        part.write_to_path(tmp_path / "certificate.pem", append=True)
    return {"tls_certificate": tmp_path / "certificate.pem", "tls_key": tmp_path / "key.pem"}, authority


def test_tls_is_spoken(make_client, running, certified):
    """With a certificate the service speaks HTTPS, says so to browsers, and answers nothing else and nothing older."""
    given, authority = certified
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with running(make_client(**given).app, **given) as where:
        assert where.startswith("https://")
        answer = httpx.get(f"{where}/healthz", verify=context)
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        with pytest.raises(httpx.TransportError):
            httpx.get(where.replace("https", "http"))
    with running(make_client().app) as where:
        assert "strict-transport-security" not in httpx.get(f"{where}/healthz").headers


def test_nothing_older_than_tls_1_2_is_spoken(certified):
    """The floor is 1.2, whatever the system's own would be."""
    given, _ = certified
    assert server_context(given["tls_certificate"], given["tls_key"]).minimum_version == ssl.TLSVersion.TLSv1_2


def test_tls_files_that_can_not_be_used_are_refused(make_client, tmp_path):
    """A certificate that is not there ends the start with what was expected."""
    settings = Settings(tls_certificate=tmp_path / "none.pem", tls_key=tmp_path / "none.key")
    with pytest.raises(ConfigError, match="Expected PEM"):
        http_server(make_client().app, settings)


def test_a_default_start_listens_on_loopback_only():
    """`hilum serve` without any setting opens one listening socket, and no other machine can reach it."""
    program = "from hilum.cli import main; main()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HILUM_")}
    command = [sys.executable, "-u", "-c", program, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            line = next(line for line in process.stdout if "is listening on" in line)
            listening = sockets_of(process.pid)
        finally:
            process.terminate()
            process.communicate(timeout=60)
    (place,) = listening
    assert place == line.strip().rpartition("//")[2]
    assert is_loopback(place.rpartition(":")[0])


def sockets_of(pid: int) -> list[str]:
    """Return the addresses that a process listens on, by TCP over IPv4 and IPv6, as Linux knows them."""
    inodes = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            name = str(path.readlink())
            if name.startswith("socket:["):
                inodes.add(name[len("socket:[") : -1])
    found = []
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = row.split()
            if state == "0A" and rest[5] in inodes:
                host, port = local.split(":")
                words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
                found.append(f"{socket.inet_ntop(family, b''.join(words))}:{int(port, 16)}")
    return found


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
