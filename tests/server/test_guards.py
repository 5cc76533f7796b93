"""Who is answered: keys on every route, loopback's own names only, no other sites' pages."""

from __future__ import annotations

import pytest

from hilum.server.auth import hash_key, is_known, new_key
from hilum.server.guards import OPEN_PATHS, host_name

KEY = new_key()
LOCKED = {"api_key_hashes": (hash_key(KEY),)}


def addresses(app):
    """Every route of ``app`` with one of its methods."""
    for route in app.routes:
        yield sorted(getattr(route, "methods", None) or {"GET"})[0], route.path


def test_keys_are_random_and_kept_as_hashes():
    """Two keys differ, hold 256 bits, and are known by their hash alone."""
    assert new_key() != new_key()
    assert len(KEY) == 43
    assert is_known(KEY, ["0" * 64, hash_key(KEY)])
    assert not is_known(KEY + "x", [hash_key(KEY)])
    assert not is_known(KEY, [])


def test_every_route_but_health_and_page_needs_the_key(make_client, is_problem):
    """Walking all routes: without a key only health and the page itself answer, and no other address, real or not."""
    client = make_client(**LOCKED)
    asked = set()
    for method, path in [*addresses(client.app), ("GET", "/nowhere"), ("GET", "/static"), ("GET", "/healthz/")]:
        answer = client.request(method, path)
        if path in OPEN_PATHS:
            assert answer.status_code == 200, path
        else:
            is_problem(answer, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
            asked.add(path)
    assert {"/api/ml-analyze", "/api/v1/analyze", "/api/v1/models", "/metrics", "/openapi.json", "/api/docs"} <= asked
    assert OPEN_PATHS == ("/healthz", "/readyz", "/")


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer  {KEY}"}, {"X-API-Key": KEY}],
)
def test_the_key_opens_every_route(make_client, headers):
    """Either header lets the key's bearer in."""
    client = make_client(**LOCKED)
    assert client.get("/api/v1/models", headers=headers).status_code == 200
    assert client.upload(b"film", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"X-API-Key": ""},
        {"X-API-Key": hash_key(KEY)},
        {"Cookie": f"key={KEY}"},
    ],
)
def test_other_credentials_are_refused(make_client, is_problem, headers):
    """A wrong key, the hash in place of the key, or the key elsewhere is not let in, and is not repeated."""
    answer = make_client(**LOCKED).get("/api/v1/models", headers=headers)
    is_problem(answer, "unauthorized")
    assert KEY not in answer.text


def test_without_keys_loopback_is_open(client):
    """A service that only this machine reaches asks for no key."""
    assert client.get("/api/v1/models").status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "LOCALHOST:1", "127.0.0.1:5000", "[::1]:5000", "[::1]"]
)
def test_loopbacks_own_names_are_answered(client, host):
    """The names that a person on this machine types work."""
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil", "", "["]
)
def test_rebound_names_are_refused(client, is_problem, host):
    """A foreign name in the Host header is a page elsewhere that points its name here."""
    is_problem(client.get("/api/v1/models", headers={"Host": host}), "host_not_allowed")


def test_a_stated_name_is_answered(make_client, is_problem):
    """Behind a proxy, the names in allowed_hosts are answered and no others."""
    client = make_client(allowed_hosts=("films.example.org",), **LOCKED)
    assert client.get("/healthz", headers={"Host": "Films.Example.org"}).status_code == 200
    is_problem(client.get("/healthz", headers={"Host": "other.example.org"}), "host_not_allowed")


def test_beyond_loopback_any_name_is_answered(make_client):
    """Bound elsewhere, the key is what protects, and the machine's name is not known here."""
    client = make_client(host="0.0.0.0", **LOCKED)
    assert client.get("/healthz", headers={"Host": "machine.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_can_not_post(client, is_problem, headers):
    """A browser on another site's page, even one on another port, can't send a film."""
    is_problem(client.upload(b"film", headers=headers), "cross_site")


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://127.0.0.1:5000", "Sec-Fetch-Site": "same-origin"}])
def test_the_own_page_and_programs_can_post(client, headers):
    """The page itself, and programs that send no Origin, are answered."""
    assert client.upload(b"film", headers=headers).status_code == 200


def test_host_name_reads_ports_and_brackets():
    """Names come out lower case, without port, brackets or the root's dot."""
    assert [host_name(host) for host in ("A.b:1", "[::1]:2", "a.", "")] == ["a.b", "::1", "a", ""]
