"""The routes' answers, with fake work behind them."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import BundleError, ImageTooLarge, UnreadableImage, UnsupportedSyntax
from hilum.server.edge import request_id
from hilum.server.headers import SECURITY_HEADERS
from hilum.server.problems import PROBLEMS
from hilum.server.reference import reference_page
from hilum.server.work import Answer


def raising(error):
    def work(data, film, kind):
        raise error

    return work


@pytest.mark.parametrize("path", ["/api/ml-analyze", "/api/v1/analyze"])
def test_both_addresses_give_the_works_answer(client, path):
    """The film's bytes reach the work unchanged, and its body is the answer."""
    answer = client.post(path, files={"image": ("film.png", b"12345")})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"length": 5}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnreadableImage("broken"), 422, "unreadable_image"),
        (UnsupportedSyntax("of another kind"), 415, "unsupported_syntax"),
        (ImageTooLarge("too many pixels"), 413, "image_too_large"),
    ],
)
def test_input_errors_become_4xx_with_their_message(make_client, is_problem, error, status, code):
    """What is wrong with a film is the client's to know: 4xx, with the error's own message."""
    answer = make_client(raising(error)).upload(b"film")
    assert answer.status_code == status
    assert is_problem(answer, code)["detail"] == str(error)


@pytest.mark.parametrize("error", [ValueError("DOE^JANE"), BundleError("DOE^JANE"), RuntimeError("DOE^JANE")])
def test_unexpected_errors_say_nothing(make_client, is_problem, caplog, error):
    """An error that is not the client's gives 500 without internals; the log has its class and place, not its text."""
    with caplog.at_level(logging.INFO, "hilum.server"):
        answer = make_client(raising(error)).upload(b"film")
    is_problem(answer, "error")
    assert "DOE" not in answer.text + caplog.text
    if not isinstance(error, BundleError):
        assert type(error).__name__ in caplog.text
        assert "test_api.py" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nowhere", "not_found"),
        ("GET", "/api/v1/", "not_found"),
        ("GET", "/static/../app.py", "not_found"),
        ("GET", "/api/ml-analyze", "method_not_allowed"),
        ("DELETE", "/healthz", "method_not_allowed"),
    ],
)
def test_wrong_addresses_and_methods_have_the_same_error_body(client, is_problem, method, path, code):
    """404 and 405 are problems like all others."""
    answer = client.request(method, path)
    is_problem(answer, code)
    if code == "method_not_allowed":
        assert answer.headers["allow"]


def test_models_are_listed_with_provenance(client):
    """Each open bundle is listed with name, version, hash, training data and what it does and does not assess."""
    (model,) = client.get("/api/v1/models").json()["models"]
    assert model["name"] == "DenseNet121 (nothing-trained)"
    assert model["version"] == "1.0.0"
    assert model["sha256"] == "cd" * 32
    assert model["trained_on"]["dataset"] == "nothing"
    assert model["findings"] == ["Effusion"]
    assert model["not_assessed"] == [{"name": "Fracture", "reason": "3 positive patients"}]


def test_health_and_readiness(client, make_client, is_problem):
    """The process is alive without models, but ready only with one."""
    assert client.get("/healthz").json()["status"] == "alive"
    assert client.get("/readyz").json() == {"status": "ready", "models": 1}
    empty = make_client(engine=SimpleNamespace(members=()))
    assert empty.get("/healthz").status_code == 200
    is_problem(empty.get("/readyz"), "not_ready")


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/api/v1/models", "/static/none.js", "/"])
def test_every_answer_carries_the_security_headers(client, path):
    """Errors and successes alike carry policy, nosniff and a request id; only the page's files may be cached."""
    headers = client.get(path).headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name] == value
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    page = path == "/" or path.startswith("/static/")
    assert headers["cache-control"] == ("no-cache" if page else "no-store")
    assert "access-control-allow-origin" not in headers


def test_policy_allows_no_inline_script_or_style(client):
    """The content security policy names every source, and none that is unsafe or elsewhere."""
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert not re.search(r"unsafe|\*|https?:|blob:", policy)


def test_a_clients_uuid_is_its_request_id(client):
    """A client's request id is kept where it is a UUID, so that logs can be joined."""
    own = "3f2b8c1e-0000-4000-8000-1234567890ab"
    assert client.get("/healthz", headers={"X-Request-ID": own}).headers["x-request-id"] == own
    assert client.get("/healthz", headers={"X-Request-ID": "Doe, Jane"}).headers["x-request-id"] != "Doe, Jane"


@given(st.text())
def test_request_ids_are_always_plain(text):
    """Whatever a client sends, the id is hex digits and hyphens."""
    assert re.fullmatch("[0-9a-f-]{32,36}", request_id(text))


def test_reference_needs_no_network(client):
    """The reference lists every documented route and every code, and loads nothing from anywhere."""
    answer = client.get("/api/docs")
    for path in client.app.openapi()["paths"]:
        assert f" {path}</code>" in answer.text
    for code in PROBLEMS:
        assert f'id="{code}"' in answer.text
    assert "://" not in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_reference_escapes_what_it_shows():
    """Markup in the OpenAPI document can't become markup of the page."""
    page = reference_page({"info": {"title": "<b>", "version": "1", "description": "<script>"}, "paths": {}})
    assert "<script>" not in page
    assert "<b>" not in page


def test_openapi_describes_upload_answer_and_errors(client):
    """A generated client can learn the form's field, the answer's shape and the error body."""
    operation = client.get("/openapi.json").json()["paths"]["/api/ml-analyze"]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["required"] == ["result", "analysis"]
    details = answer["properties"]["analysis"]["properties"]["details"]["properties"]
    assert {"findings", "promise", "normal_claim", "disagreements"} <= set(details)
    assert {"interval", "set"} <= set(details["findings"]["items"]["properties"])
    for status in ("400", "401", "413", "415", "422", "503"):
        assert "application/problem+json" in operation["responses"][status]["content"]


def test_metrics_count_requests_stages_and_refusals(make_client):
    """Requests by route and status, seconds by stage and refusals by reason can be read, without any film's name."""
    refusal = Answer(b"{}", accepted=False, reasons=("near_constant",), sha256="ab" * 32, seconds={"read": 0.2})
    client = make_client(lambda data, film, kind: refusal)
    client.upload(b"film", name="Doe_Jane.png")
    client.get("/no/such/DOE")
    text = client.get("/metrics").text
    assert 'hilum_requests_total{route="/api/ml-analyze",status="200"} 1.0' in text
    assert 'hilum_requests_total{route="unmatched",status="404"} 1.0' in text
    assert 'hilum_refused_total{code="near_constant"} 1.0' in text
    assert 'hilum_films_total{verdict="refused"} 1.0' in text
    assert 'hilum_stage_seconds_sum{stage="read"} 0.2' in text
    assert 'hilum_stage_seconds_count{stage="wait"} 1.0' in text
    assert "hilum_queue_depth 0.0" in text
    assert "doe" not in text.lower()


def test_each_app_counts_for_itself(make_client):
    """Two apps in one process share no counters."""
    first, second = make_client(), make_client()
    first.upload(b"film")
    assert "/api/ml-analyze" not in second.get("/metrics").text


def test_log_line_has_fields_and_no_names(client, caplog):
    """One line a request, with id, route, status, image hash and bundles; no file name, no query, no header."""
    with caplog.at_level(logging.INFO, "hilum.server"):
        answer = client.post(
            "/api/v1/analyze?patient=CANARY",
            files={"image": ("CANARY^JANE.png", b"film")},
            headers={"User-Agent": "CANARY", "Referer": "http://127.0.0.1:5000/CANARY"},
        )
        client.get("/CANARY")
    line = caplog.messages[0]
    assert f"id={answer.headers['x-request-id']}" in line
    for part in ("route=/api/v1/analyze", "status=200", f"image={'ab' * 6} ", "bundles=fake", "read_ms=250.0"):
        assert part in line
    assert "CANARY" not in caplog.text


def test_full_pool_answers_busy(make_client, is_problem):
    """With one worker and one place in the queue taken, the third film is answered 503 with Retry-After, at once."""
    held = threading.Event()
    begun = threading.Event()

    def slow(data, film, kind):
        begun.set()
        held.wait(30)
        return Answer(b"{}", accepted=True, reasons=(), sha256="00", seconds={})

    client = make_client(slow, workers=1, queue=1)

    async def scenario():
        films = [asyncio.create_task(upload(client)) for _ in range(2)]
        while not begun.is_set():
            await asyncio.sleep(0)
        while "hilum_queue_depth 1.0" not in (await client.send("GET", "/metrics")).text:
            await asyncio.sleep(0)
        third = await upload(client)
        alive = await client.send("GET", "/healthz")
        held.set()
        return third, alive, await asyncio.gather(*films)

    third, alive, films = asyncio.run(scenario())
    is_problem(third, "busy")
    assert 1 <= int(third.headers["retry-after"]) <= 60
    assert alive.status_code == 200
    assert [film.status_code for film in films] == [200, 200]
    assert client.upload(b"after").status_code == 200


async def upload(client) -> httpx.Response:
    return await client.send("POST", "/api/ml-analyze", files={"image": ("film", b"film")})


def test_a_client_that_leaves_the_queue_is_not_worked_for(make_client):
    """A film whose sender is gone before a worker is free is never analyzed, and its place is free again."""
    held, begun, done = threading.Event(), threading.Event(), []

    def slow(data, film, kind):
        begun.set()
        held.wait(30)
        done.append(data)
        return Answer(b"{}", accepted=True, reasons=(), sha256="00", seconds={})

    client = make_client(slow, workers=1, queue=1)

    async def scenario():
        first = asyncio.create_task(upload(client))
        while not begun.is_set():
            await asyncio.sleep(0)
        status = await leave(client.app)
        again = asyncio.create_task(upload(client))
        held.set()
        return status, await asyncio.gather(first, again)

    status, answers = asyncio.run(scenario())
    assert status == 499
    assert [answer.status_code for answer in answers] == [200, 200]
    assert done == [b"film", b"film"]
    assert "hilum_queue_depth 0.0" in client.get("/metrics").text


async def leave(app, parts=1) -> int:
    """Send a film and hang up; return the status that nobody sees."""
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\ngone\r\n--b--\r\n'
    messages = iter([{"type": "http.request", "body": body, "more_body": False}][:parts])
    sent = []

    async def receive():
        return next(messages, {"type": "http.disconnect"})

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"multipart/form-data; boundary=b")]
    scope = {"type": "http", "method": "POST", "path": "/api/ml-analyze", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    return sent[0]["status"]


def test_a_client_that_leaves_while_sending_frees_its_place(make_client):
    """An upload that breaks off costs no worker and holds no place."""
    client = make_client(workers=1, queue=0)
    assert asyncio.run(leave(client.app, parts=0)) == 499
    assert client.upload(b"film").status_code == 200


def test_stopping_closes_the_workers(make_client):
    """At the end of the app's life its threads end with it."""
    client = make_client()

    async def live():
        async with client.app.router.lifespan_context(client.app):
            return await client.send("GET", "/healthz")

    assert asyncio.run(live()).status_code == 200
    with pytest.raises(RuntimeError, match="after shutdown"):
        client.app.state.service.pool._threads.submit(print)


def test_page_is_served(client):
    """The page and its files come from the package."""
    page = Path(__file__).parents[2] / "src/hilum/server/static/index.html"
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == page.read_bytes()
    assert client.get("/static/index.html").content == page.read_bytes()
