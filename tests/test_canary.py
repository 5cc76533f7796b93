"""Films full of sentinel names go through every route, and not one name comes out where it has no business.

Looked at: both output streams, log records from DEBUG on, Python warnings, answers, problems, metrics, written files, and the
folder for temporary files. Excepted, by interface: the path of a film, as its user typed it, on the standard output of
``hilum analyze`` and in the names of its reports; and who the patient is, in what goes back to the hospital for that patient: DICOM
objects, FHIR bundles and their page.

A new route is one line in ROUTES.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import io
import logging
import os
import re
import socket
import struct
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation

from hilum import cli, logs
from hilum.cli.analyze import SUFFIXES
from hilum.cli.serve import address, http_server, listen
from hilum.cli.watch import reader
from hilum.images import DEFAULT_LIMITS, read_image
from hilum.node.watch import Watch, run_watch
from hilum.node.worker import Answer
from hilum.pipeline import Engine, analyze
from hilum.server.app import create_app
from hilum.server.keys import add_key
from hilum.server.settings import Settings
from hospital import running, settings_for, wait_for
from logging_state import logging_undone
from sentinel import NAME, NUMBER, found_in, full_film, gradient, plain_film, put, rasters, written

FILMS, OUT, KEY, RULES, TABLE = "films", "out", "key", "regions.toml", "labels.csv"
BASE = "http://127.0.0.1:5000"


@dataclass(frozen=True)
class Scene:
    """A folder of films that are named for their patients, in the current folder, and an engine."""

    engine: Engine
    capture: pytest.CaptureFixture[str]
    keys: Path
    """A key file."""


Seen = Iterator[tuple[str, bytes | str]]
Route = Callable[[Scene], Seen]
"""Send every film one way; yield what came out, each with where."""


@cache
def films() -> dict[str, bytes]:
    """Return films by name: accepted, refused, broken in many ways, and what is no film at all."""
    accepted = full_film()
    accepted.StudyDate = "20200131"
    found = {"accepted.dcm": written(accepted), **{f"accepted.{kind}": data for kind, data in rasters()}}
    found["plain.dcm"] = written(plain_film(PatientComments=NAME, SOPInstanceUID=f"1.2.{NUMBER}.11"))
    found["refused.dcm"] = written(plain_film(Modality="CT", StudyDescription=NAME, SOPInstanceUID=f"1.2.{NUMBER}.12"))
    found["flat.dcm"] = written(plain_film(0 * gradient(), SOPInstanceUID=f"1.2.{NUMBER}.13"))
    found["large.dcm"] = written(plain_film(Rows=60_000, Columns=60_000, SOPInstanceUID=f"1.2.{NUMBER}.14"))
    found["cut.dcm"] = found["accepted.dcm"][:-5000]
    found["cut short.dcm"] = found["accepted.dcm"][:5000]
    found["burned.dcm"] = written(plain_film(BurnedInAnnotation="YES", SOPInstanceUID=f"1.2.{NUMBER}.15"))
    for name, (tag, vr) in {
        "modality": (0x00080060, "CS"),
        "photometric": (0x00280004, "CS"),
        "window": (0x00281050, "DS"),
        "frames": (0x00280008, "IS"),
        "rows": (0x00280010, "US"),
        "function": (0x00281056, "CS"),
        "age": (0x00101010, "AS"),
    }.items():
        film = plain_film(SOPInstanceUID=f"1.2.{NUMBER}.{tag}")
        put(film, tag, vr, NAME)
        found[f"{name}.dcm"] = written(film)
    found["character set.dcm"] = written(plain_film(SpecificCharacterSet="ISO_IR 192")).replace(
        b"ISO_IR 192", b"CANARY^QUE"
    )
    found["syntax.dcm"] = found["refused.dcm"].replace(b"1.2.840.10008.1.2.1\0", f"1.2.{NUMBER}.777\0".encode())
    found["cut.png"], found["cut.jpg"] = found["accepted.png"][:700], found["accepted.jpeg"][:700]
    found["large.png"] = huge_png()
    found["text.dcm"], found["pdf.png"] = NAME.encode() * 20, b"%PDF-1.7 " + NAME.encode()
    found["model.png"] = b"\x89HDF\r\n\x1a\n" + NAME.encode() * 9
    return {f"{NAME} {name}": data for name, data in found.items()}


def huge_png() -> bytes:
    """Return a PNG whose header states more pixels than are read, with a name in a text chunk."""
    data = dict(rasters())["png"]
    place = data.index(b"IHDR") + 4
    return data[:place] + struct.pack(">II", 50_000, 50_000) + data[place + 8 :]


# --- routes --------------------------------------------------------------------------------------------------------


def command(*words: str, excepted: tuple[str, ...] = ()) -> Route:
    """Run a command on the folder of films; look at its streams and at what it wrote, but for files with an excepted suffix."""

    def route(scene: Scene) -> Seen:
        scene.capture.readouterr()
        sys.argv = ["hilum", *words]
        with contextlib.suppress(SystemExit):
            cli.main()
        out, err = scene.capture.readouterr()
        yield "standard error", err
        yield "standard output", without_paths(out)
        for path in sorted(Path(OUT).rglob("*")):
            yield "name of a file", without_paths(path.name)
            if path.suffix not in excepted:
                yield f"file {path.suffix}", path.read_bytes()

    return route


def without_paths(text: str) -> str:
    """Return text without the films' paths, as typed, and without the beginnings of their reports' names."""
    for name in films():
        text = text.replace(f"{FILMS}/{name}", "").replace(f'"{name}"', "").replace(f"{Path(name).stem}-", "")
    return text


def posted(path: str, locked: bool = False, **settings: Any) -> Route:
    """Upload every film, under its name and with names in the request, to a service; look at answers and metrics."""

    def route(scene: Scene) -> Seen:
        given = settings | ({"keys": scene.keys} if locked else {})
        app = create_app(Settings(**given), scene.engine)

        async def exchange() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            headers = {"X-Request-ID": NAME, "User-Agent": NAME, "Referer": NAME, "X-API-Key": NAME}
            async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, timeout=60) as client:
                sent = [
                    await client.post(path, files={"image": (name, data, NAME)}, data={"patient": NAME})
                    for name, data in films().items()
                ]
                sent.append(await client.post(path, content=NAME, headers={"Content-Type": f"text/{NAME}"}))
                sent.append(await client.post(path, files={NAME: (NAME, b"film")}))
                sent.append(await client.post(path, content=NAME, headers={"Content-Type": "multipart/form-data"}))
                sent.append(await client.get(f"/{NAME}?{NAME}"))
                sent.append(await client.get("/metrics"))
                return sent

        for answer in asyncio.run(exchange()):
            yield f"answer {answer.status_code}", answer.content
            yield "headers", repr(answer.headers)
            for picture in re.findall(rb"data:[\w/]+;base64,([\w+/=]+)", answer.content):
                yield "picture in an answer", base64.b64decode(picture)

    return route


def on_a_socket(scene: Scene) -> Seen:
    """Serve as `hilum serve` does, with its own log at debug; send films, and what is no HTTP."""
    with own_log():
        server, listener = http_server(create_app(Settings(), scene.engine), Settings()), listen("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            for name, data in films().items():
                answer = httpx.post(f"{address(listener)}/api/ml-analyze", files={"image": (name, data)}, timeout=60)
                yield f"answer {answer.status_code}", answer.content
            for nonsense in (NAME, f"GET /{NAME} HTTP/9.9\r\n\r\n", f"POST / HTTP/1.1\r\n{NAME}\r\n\r\n"):
                with socket.create_connection(listener.getsockname()[:2], timeout=10) as raw:
                    raw.sendall(nonsense.encode())
                    raw.shutdown(socket.SHUT_WR)
                    yield "answer to no HTTP", raw.recv(4096)
        finally:
            server.should_exit = True
            thread.join(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def to_the_node(scene: Scene) -> Seen:
    """Send the films by C-STORE to a node with its own log at debug.

    Excepted: a film that waits lies in the spool as it came.
    """

    def read(data: bytes) -> Answer:
        analysis = analyze(read_image(data), scene.engine)
        return Answer((), analysis.verdict.accepted, tuple(reason.code for reason in analysis.verdict.reasons))

    metrics_port = free_port()
    with own_log(), running(settings_for(Path(), 1, metrics_port=metrics_port), read) as port:
        entity = AE("CALLER")
        entity.add_requested_context(DigitalXRayImageStorageForPresentation)
        association = entity.associate("127.0.0.1", port, ae_title="HILUM")
        for data in (data for name, data in films().items() if name.endswith(".dcm")):
            with contextlib.suppress(Exception):  # what this caller can't even encode
                yield "status", repr(association.send_c_store(dcmread(io.BytesIO(data))))
        association.release()
        page = f"http://127.0.0.1:{metrics_port}/metrics"
        wait_for(
            lambda: 'state="waiting"} 0.0' in httpx.get(page).text and 'state="working"} 0.0' in httpx.get(page).text
        )
        yield "metrics", httpx.get(page).text
    for path in sorted(Path("spool").rglob("*")):
        yield "name of a file", path.name
        yield from [("journal", path.read_bytes())] if "journal" in path.name else []


def in_a_folder(scene: Scene) -> Seen:
    """Watch the folder with the log at debug until each film has its record; look at what was written."""
    stop, expected = threading.Event(), len({*films().values()})
    watch = Watch(Path(FILMS), Path(OUT), 0.0, 0.1, SUFFIXES, DEFAULT_LIMITS.max_bytes)
    with own_log():
        thread = threading.Thread(target=run_watch, args=(watch, reader(scene.engine, ("html",)), stop))
        thread.start()
        try:
            wait_for(lambda: len(list(Path(OUT).glob("*.json"))) == expected, 60)
        finally:
            stop.set()
            thread.join(30)
    for path in sorted(Path(OUT).iterdir()):
        yield "name of a file", path.name
        yield f"file {path.suffix}", without_paths(path.read_text())


ROUTES: dict[str, Route] = {
    "hilum analyze": command("analyze", FILMS),
    "hilum analyze --json": command("analyze", FILMS, "--json"),
    "hilum analyze --csv": command("analyze", FILMS, "--csv"),
    "hilum analyze --html": command("analyze", FILMS, "--html", "--out", OUT),
    "hilum analyze, documents": command(
        *("analyze", FILMS, "--html", "--pdf", "--sr", "--sc", "--dicom-pdf", "--fhir", "--out", OUT),
        excepted=(".pdf", ".dcm", ".json"),
    ),
    "hilum analyze --monitor": command("analyze", FILMS, "--monitor", OUT),
    "hilum deidentify": command("deidentify", FILMS, "--out", OUT, "--key", KEY),
    "hilum deidentify, all options": command(
        "deidentify", FILMS, "--out", OUT, "--key", KEY, "--shift-dates", "--regions", RULES
    ),
    "hilum evaluate": command("evaluate", "--data", TABLE),
    "hilum datasets describe": command("datasets", "describe", TABLE),
    "POST /api/ml-analyze": posted("/api/ml-analyze"),
    "POST /api/v1/analyze with the film": posted("/api/v1/analyze?film=true"),
    "POST, refused by a parameter": posted(f"/api/ml-analyze?film={NAME}"),
    "POST, body too large": posted("/api/ml-analyze", max_upload_bytes=1024),
    "hilum serve": on_a_socket,
    "hilum node": to_the_node,
    "hilum watch": in_a_folder,
    "POST, unknown key": posted("/api/ml-analyze", locked=True),
}


# --- what is watched -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Give the names of whatever is created in a folder, also for a moment, also by another process (inotify)."""
    libc = ctypes.CDLL(None, use_errno=True)
    created_or_moved_in = 0x100 | 0x80
    handle = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(handle, os.fsencode(folder), created_or_moved_in)
    names: list[str] = []
    try:
        yield names
        with contextlib.suppress(BlockingIOError):
            while events := os.read(handle, 1 << 16):
                while events:
                    (length,) = struct.unpack_from("I", events, 12)
                    names.append(events[16 : 16 + length].rstrip(b"\0").decode())
                    events = events[16 + length :]
    finally:
        os.close(handle)


@contextlib.contextmanager
def logged() -> Iterator[io.StringIO]:
    """Give the text of every log record, from DEBUG on, tracebacks included."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    handler.addFilter(lambda record: not record.name.startswith(("httpx", "httpcore")))  # the tests' own client
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextlib.contextmanager
def own_log() -> Iterator[None]:
    """Configure the service's log at debug, on the captured stream, and undo it all."""
    with logging_undone():
        logs.configure("debug")
        yield


@pytest.fixture
def scene(tiny_engine, tmp_path, tmp_path_factory, monkeypatch, capfd) -> Scene:
    """The films in a folder of their own, a key, a rule, and a folder for temporary files that is empty."""
    for name in (FILMS, "temporary"):
        (tmp_path / name).mkdir()
    for name, data in films().items():
        (tmp_path / FILMS / name).write_bytes(data)
    rows = [f'"{FILMS}/{name}",{NAME},{number % 2}' for number, name in enumerate(films())]
    (tmp_path / TABLE).write_text("\n".join(["file,patient_id,Effusion", *rows]))
    (tmp_path / KEY).write_text("k" * 64)
    (tmp_path / RULES).write_text("[[rule]]\nregions = [[0, 0, 40, 8]]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["hilum"])
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    add_key(keys, "admin", "somebody else", datetime.now(UTC))
    return Scene(tiny_engine, capfd, keys)


def leaks(route: Route, scene: Scene) -> set[tuple[str, str]]:
    """Send the films one way; return where each sentinel came out."""
    with watched(Path("temporary")) as created, logged() as log, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        seen = list(route(scene))
    seen += [("streams", part) for part in scene.capture.readouterr()]
    seen += [("log", log.getvalue()), ("warnings", repr([str(warning.message) for warning in said]))]
    assert not created, "a temporary file"
    assert seen
    return {(where, sentinel) for where, content in seen for sentinel in found_in(content)}


# --- what must hold ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROUTES)
def test_no_sentinel_comes_out(name, scene):
    """Whatever way a film goes, nothing of its patient stands in a stream, log, warning, answer, metric or file."""
    assert not leaks(ROUTES[name], scene)


def test_every_film_has_a_sentinel():
    """The films hold what is looked for, in their name and in themselves, and each outcome is among them."""
    plain = {name for name, data in films().items() if not found_in(name) or not found_in(data)}
    assert not plain
    assert len(films()) > 20


def test_every_outcome_is_met(scene):
    """Among the films are some that are accepted, refused and broken; among the answers such that say so."""
    seen = [what for what, _ in ROUTES["POST /api/ml-analyze"](scene)]
    assert {f"answer {status}" for status in (200, 404, 413, 415, 422)} <= set(seen)
    written_films = [what for what, _ in ROUTES["hilum deidentify"](scene) if what == "file .dcm"]
    assert len(written_films) >= 4


@pytest.mark.parametrize(
    ("leak", "where"),
    [
        (lambda: logging.getLogger("any").debug("of %s", NAME), "log"),
        (lambda: warnings.warn(NAME, UserWarning, stacklevel=1), "warnings"),
        (lambda: print(NAME), "streams"),  # noqa: T201
        (lambda: os.write(2, NAME.encode()), "streams"),
    ],
)
def test_a_leak_is_seen(leak, where, scene):
    """A canary that can't die is no canary: a name in the log, a warning or a stream is found."""

    def route(_: Scene) -> Seen:
        leak()
        yield "nothing", ""

    assert where in {place for place, _ in leaks(route, scene)}


@pytest.mark.parametrize(
    ("name", "event"), [("hilum serve", "INFO request id="), ("hilum node", "INFO analyzed film=")]
)
def test_the_log_of_a_service_is_seen(name, event, scene):
    """Where nothing would be written, nothing could leak: the services' own logs are among what is looked at."""
    list(ROUTES[name](scene))
    assert event in scene.capture.readouterr().err


def test_a_temporary_file_is_seen(scene):
    """Even one that is gone again."""

    def route(_: Scene) -> Seen:
        with tempfile.NamedTemporaryFile():
            yield "nothing", ""

    with pytest.raises(AssertionError, match="temporary"):
        leaks(route, scene)


def test_a_picture_keeps_no_words(scene):
    """Each picture that an answer gives back is made anew, without the text of the file that it came from."""
    route = ROUTES["POST /api/v1/analyze with the film"]
    pictures = [Image.open(io.BytesIO(data)) for where, data in route(scene) if where == "picture in an answer"]
    assert {picture.format for picture in pictures} == {"PNG", "JPEG"}
    for picture in pictures:
        assert picture.info.keys() <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
        }  # numbers that every JPEG has
