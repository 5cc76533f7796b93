"""Who is answered: keys and roles on every route, loopback's own names only, no other sites' pages."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from hilum.errors import ConfigError
from hilum.server.auth import NEEDED, OPEN_PATHS, may
from hilum.server.guards import host_name
from hilum.server.keys import ROLES, add_key, hash_key, revoke_key, rotate_key

NOW = datetime.now(UTC)


@pytest.fixture
def locked(tmp_path):
    """A key of each role, and the settings of a service that lets them in."""
    file = tmp_path / "keys.json"
    keys = {role: add_key(file, role, f"a {role}", NOW) for role in ROLES}
    return SimpleNamespace(keys=keys, file=file, settings={"keys": file, "plain_http": True})


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def addresses(app):
    """Every route of ``app`` with each of its methods."""
    for route in app.routes:
        for method in sorted(getattr(route, "methods", None) or {"GET"}):
            yield method, route.path


OTHERS = (("GET", "/nowhere"), ("GET", "/static"), ("GET", "/healthz/"), ("POST", "/API/v1/analyze"))


def test_every_route_but_health_and_page_needs_a_key(make_client, locked, is_problem):
    """Walking all routes: without a key only health and the page itself answer, and no other address, real or not."""
    client = make_client(**locked.settings)
    asked = set()
    for method, path in [*addresses(client.app), *OTHERS]:
        answer = client.request(method, path)
        if path in OPEN_PATHS:
            assert answer.status_code in (200, 405), path
        else:
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
            if method != "HEAD":
                is_problem(answer, "unauthorized")
            asked.add(path)
    assert {"/api/ml-analyze", "/api/v1/analyze", "/api/v1/models", "/metrics", "/openapi.json", "/api/docs"} <= asked
    assert OPEN_PATHS == ("/healthz", "/readyz", "/")


def test_every_route_takes_its_role(make_client, locked, is_problem):
    """Walking all routes with each role: what it may not do is refused, and of what it may nothing is."""
    client = make_client(**locked.settings)
    walked = {path for _, path in addresses(client.app)} - {*OPEN_PATHS, "/static"}
    assert set(NEEDED) == walked
    for method, path in [*addresses(client.app), *OTHERS]:
        needed = None if path in OPEN_PATHS else NEEDED.get(path, "admin")
        for role in ROLES:
            answer = client.request(method, path, headers=bearer(locked.keys[role]))
            if needed is None or may(role, needed):
                assert answer.status_code not in (401, 403), (role, path)
            elif method != "HEAD":
                is_problem(answer, "forbidden")


def test_roles_include_each_other():
    """An analyst may do what a reader may, and an admin everything."""
    assert [[may(role, needed) for needed in ROLES] for role in ROLES] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize("form", ["Authorization: Bearer KEY", "Authorization: bearer  KEY", "X-API-Key: KEY"])
def test_a_key_opens_its_routes(make_client, locked, form):
    """Either header lets the key's bearer in."""
    client = make_client(**locked.settings)
    name, _, value = form.partition(": ")
    headers = {name: value.replace("KEY", locked.keys["analyst"])}
    assert client.get("/api/v1/models", headers=headers).status_code == 200
    assert client.upload(b"film", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        "Authorization: Basic KEY",
        "Authorization: Bearer",
        "Authorization: Bearer KEYx",
        "X-API-Key: ",
        "Cookie: key=KEY",
    ],
)
def test_other_credentials_are_refused(make_client, locked, is_problem, form):
    """A wrong key, or a key elsewhere, is not let in, and is not repeated."""
    name, _, value = form.partition(": ")
    headers = {name: value.replace("KEY", locked.keys["admin"])}
    answer = make_client(**locked.settings).get("/api/v1/models", headers=headers)
    is_problem(answer, "unauthorized")
    assert locked.keys["admin"] not in answer.text


def test_what_the_file_holds_opens_nothing(make_client, locked, is_problem):
    """The file has no key in it, and a hash in place of the key is refused."""
    key = locked.keys["admin"]
    assert key not in locked.file.read_text()
    answer = make_client(**locked.settings).get("/metrics", headers={"X-API-Key": hash_key(key)})
    is_problem(answer, "unauthorized")


def test_a_key_does_not_go_into_the_address(make_client, locked, is_problem):
    """A key in the query string, where proxies and histories would keep it, is not let in."""
    answer = make_client(**locked.settings).get(f"/api/v1/models?key={locked.keys['admin']}")
    is_problem(answer, "unauthorized")


def test_a_revoked_key_is_out_at_once(make_client, locked, is_problem):
    """A running service notices that a key was revoked or rotated."""
    client = make_client(**locked.settings)
    revoke_key(locked.file, locked.keys["reader"].split("_")[1], NOW)
    is_problem(client.get("/api/v1/models", headers=bearer(locked.keys["reader"])), "unauthorized")
    fresh = rotate_key(locked.file, locked.keys["analyst"].split("_")[1], NOW, hours=1)
    for key in (fresh, locked.keys["analyst"]):
        assert client.get("/api/v1/models", headers=bearer(key)).status_code == 200


@pytest.mark.parametrize("harm", ["broken", "gone", "open"])
def test_without_a_sound_key_file_nobody_is_let_in(make_client, locked, is_problem, harm):
    """Where it is not known any more who may come in, nobody does, and a service does not start."""
    client = make_client(**locked.settings)
    if harm == "broken":
        locked.file.write_text("{")
    elif harm == "gone":
        locked.file.unlink()
    else:
        locked.file.chmod(0o644)
    is_problem(client.get("/api/v1/models", headers=bearer(locked.keys["admin"])), "unauthorized")
    with pytest.raises(ConfigError, match="key file"):
        make_client(**locked.settings)


def test_each_key_has_a_limit_of_its_own(make_client, locked, is_problem):
    """One request more than set is answered 429 with the seconds to wait; another key is not held up by that."""
    client = make_client(**locked.settings, key_requests=2)
    asked = [client.get("/api/v1/models", headers=bearer(locked.keys["reader"])) for _ in range(3)]
    assert [answer.status_code for answer in asked] == [200, 200, 429]
    is_problem(asked[2], "rate_limited")
    assert 1 <= int(asked[2].headers["retry-after"]) <= 60
    assert client.get("/api/v1/models", headers=bearer(locked.keys["admin"])).status_code == 200
    assert client.get("/healthz", headers=bearer(locked.keys["reader"])).status_code == 200


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


def test_a_stated_name_is_answered(make_client, locked, is_problem):
    """Behind a proxy, the names in allowed_hosts are answered and no others."""
    client = make_client(allowed_hosts=("films.example.org",), **locked.settings)
    assert client.get("/healthz", headers={"Host": "Films.Example.org"}).status_code == 200
    is_problem(client.get("/healthz", headers={"Host": "other.example.org"}), "host_not_allowed")


def test_beyond_loopback_any_name_is_answered(make_client, locked):
    """Bound elsewhere, the key is what protects, and the machine's name is not known here."""
    client = make_client(host="0.0.0.0", **locked.settings)
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
