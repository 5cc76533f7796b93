"""Uploads are limited before they are read, stay in memory, and say what is wrong with them."""

from __future__ import annotations

import asyncio
import tempfile

import pytest


def parts(*names):
    return [(name, ("film.png", b"film")) for name in names]


def test_no_upload_touches_the_disk(make_client, monkeypatch):
    """A film far above Starlette's spool size makes no temporary file."""

    def forbidden(*args, **kwargs):
        raise AssertionError("a temporary file was made")

    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp", "_mkstemp_inner"):
        monkeypatch.setattr(tempfile, name, forbidden)
    rolled = []
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", lambda self: rolled.append(self))
    size = 8 * 2**20
    answer = make_client(max_upload_bytes=size + 1024).upload(b"x" * size)
    assert answer.json() == {"length": size}
    assert not rolled


def test_stated_length_above_the_limit_is_refused_unread(make_client, is_problem):
    """A body that says it is too long is refused before its first byte is asked for, unless to throw it away."""
    work = []
    client = make_client(work.append, max_upload_bytes=1024)
    assert "1,024 bytes" in is_problem(client.upload(b"x" * 2000), "body_too_large")["detail"]
    assert not work


def test_chunked_body_above_the_limit_is_refused(make_client, is_problem):
    """A body that states no length is counted as it comes."""

    async def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\n'
        for _ in range(100):
            yield b"x" * 1000

    answer = make_client(max_upload_bytes=10_000).post(
        "/api/ml-analyze", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    is_problem(answer, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "1e3", "many"])
def test_nonsense_lengths_are_refused(client, is_problem, length):
    """A length that is no number is not trusted."""
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": length}
    is_problem(client.post("/api/ml-analyze", content=b"", headers=headers), "body_too_large")


@pytest.mark.parametrize("content_type", ["application/json", "image/png", "text/plain", ""])
def test_other_bodies_are_refused(client, is_problem, content_type):
    """What is not a multipart form is refused with what was expected."""
    answer = client.post("/api/ml-analyze", content=b"film", headers={"Content-Type": content_type})
    assert "`image`" in is_problem(answer, "not_multipart")["detail"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"files": parts("film")}, "found 0 among 1 parts"),
        ({"files": parts("image", "image")}, "found 2 among 2 parts"),
        ({"files": parts("other"), "data": {"image": "text"}}, "is text"),
        ({"files": [("image", ("film.png", b""))]}, "is empty"),
    ],
)
def test_a_form_without_one_film_says_what_it_found(client, is_problem, given, said):
    """A missing, double, textual or empty image is named as such."""
    assert said in is_problem(client.post("/api/ml-analyze", **given), "missing_image")["detail"]


def test_further_parts_are_let_pass_up_to_a_number(client, is_problem):
    """A few other fields do no harm; many are refused."""
    assert client.post("/api/ml-analyze", files=parts("image", "a", "b")).status_code == 200
    is_problem(client.post("/api/ml-analyze", files=parts("image", *"abcdefghijkl")), "too_many_parts")
    texts = {f"field{number}": "x" for number in range(20)}
    is_problem(client.post("/api/ml-analyze", files=parts("image"), data=texts), "too_many_parts")
    is_problem(client.post("/api/ml-analyze", files=parts("image"), data={"a": "x" * 10_000}), "malformed_form")


@pytest.mark.parametrize(
    "body", [b"", b"film", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", b"--b\r\nx"]
)
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "multipart/form-data"])
def test_broken_forms_are_refused(client, is_problem, body, kind):
    """A body that is not the form it says to be is a 4xx, never a 500."""
    answer = client.post("/api/ml-analyze", content=body, headers={"Content-Type": kind})
    assert answer.status_code in (400, 422)
    is_problem(answer, answer.json()["code"])


@pytest.mark.parametrize("name", ["../../etc/passwd", "<script>alert(1)</script>.png", "C:\\film.dcm", "x" * 3000])
def test_hostile_file_names_go_nowhere(client, name):
    """A file's name is never looked at, nor given back."""
    answer = client.upload(b"film", name=name)
    assert answer.json() == {"length": 4}


def test_a_slow_upload_is_given_up(make_client, is_problem):
    """An upload that stalls is ended, and its place is free again."""
    client = make_client(upload_seconds=0.01, workers=1, queue=0)

    async def stalled():
        yield b"--b\r\n"
        await asyncio.Event().wait()

    async def scenario():
        async with asyncio.timeout(20):
            return await hang_on(client.app)

    status = asyncio.run(scenario())
    assert status == 408
    assert client.upload(b"film").status_code == 200


async def hang_on(app):
    """Send the beginning of a form, then nothing until the service answers; return the status."""
    first = iter([{"type": "http.request", "body": b"--b\r\n", "more_body": True}])
    sent = []

    async def receive():
        for message in first:
            return message
        if sent:
            return {"type": "http.disconnect"}
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"multipart/form-data; boundary=b"),
        (b"transfer-encoding", b"chunked"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/api/ml-analyze", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    return sent[0]["status"]
