"""The node as a whole: metrics, a clean stop, TLS, STOW-RS."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
import time
import urllib.request
from typing import ClassVar

import pytest
import trustme

from hilum.errors import ConfigError
from hilum.monitor.live import Monitor
from hospital import film, read, receiving, running, send, settings_for, wait_for


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def test_the_queue_can_be_watched(tmp_path, receiver):
    """Prometheus reads how many films are in which state and what was received, analyzed and delivered; nothing of a film."""
    port = free_port()
    with running(settings_for(tmp_path, receiver.port, metrics_port=port)) as node:
        send(node, film())
        wait_for(lambda: receiver.instances)

        def page() -> str:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()

        wait_for(lambda: 'hilum_node_films{state="done"} 1.0' in page())
        for said in (
            'hilum_node_films{state="waiting"} 0.0',
            'hilum_node_received_total{outcome="new"} 1.0',
            'hilum_node_analyses_total{outcome="answered"} 1.0',
            'hilum_node_deliveries_total{outcome="delivered",peer="pacs-0"} 1.0',
        ):
            assert said in page()


def test_the_monitor_can_be_watched(tmp_path, receiver, tiny_engine):
    """Beside its own counts the node tells Prometheus what the monitor sees."""
    port = free_port()
    monitor = Monitor(tmp_path / "rows", tiny_engine)
    with running(settings_for(tmp_path, receiver.port, metrics_port=port), monitor=monitor):
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    assert "hilum_monitor_films 0.0" in page


def test_a_stop_finishes_the_film_that_is_begun(tmp_path, receiver):
    """What a worker has begun is in the spool as a result when the node has stopped; what waits, waits for the next start."""
    begun = threading.Event()

    def slow(data):
        begun.set()
        time.sleep(0.3)
        return read(data)

    with running(settings_for(tmp_path, 1), slow) as node:
        send(node, film(), film())
        assert begun.wait(10)
    assert len(list((tmp_path / "spool" / "results").glob("*.dcm"))) >= 1
    with running(settings_for(tmp_path, receiver.port), read):
        wait_for(lambda: receiver.instances)


def test_a_broken_thread_begins_again(tmp_path, receiver, monkeypatch):
    """An error that nobody expected, such as a full disk under the journal, is logged, and the worker goes on."""
    from hilum.node.journal import Journal

    claim, broken = Journal.claim, []

    def once(self):
        if not broken:
            broken.append(True)
            raise OSError("disk full")
        return claim(self)

    monkeypatch.setattr(Journal, "claim", once)
    with running(settings_for(tmp_path, receiver.port)) as node:
        send(node, film())
        wait_for(lambda: receiver.instances)


def test_every_worker_takes_its_own_films(tmp_path, receiver):
    """Several workers share one queue, and no film is read twice."""
    seen = []

    def note(data):
        seen.append(data)
        return read(data)

    films = [film() for _ in range(6)]
    with running(settings_for(tmp_path, receiver.port, workers=3), note) as node:
        send(node, *films)
        wait_for(lambda: len(receiver.instances) == 6)
    assert len(seen) == 6


# --- STOW-RS -------------------------------------------------------------------------------------------------------


class Web(http.server.BaseHTTPRequestHandler):
    """A DICOMweb server of a few lines: the statuses it is to give, and what it got."""

    statuses: ClassVar[list[int]]
    bodies: ClassVar[list[bytes]]
    headers_seen: ClassVar[list[str | None]]

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        self.bodies.append(self.rfile.read(int(length)) if length else b"")
        self.headers_seen.append(self.headers.get("Authorization"))
        status = self.statuses.pop(0) if self.statuses else 200
        failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA700]}}]}}
        body = json.dumps(failed if status == 202 else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def web():
    """A web server; its handler and its port."""
    handler = type("Handler", (Web,), {"statuses": [], "bodies": [], "headers_seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_results_go_by_stow_too(tmp_path, web):
    """Busy, refusing and partly failing answers are tried again; the header comes from its file."""
    handler, port = web
    handler.statuses += [503, 409, 202]
    (tmp_path / "token").write_text("Bearer secret\n")
    peer = {"name": "web", "url": f"http://127.0.0.1:{port}/dicom-web", "authorization": str(tmp_path / "token")}
    with running(settings_for(tmp_path, peers=[peer])) as node:
        send(node, film())
        wait_for(lambda: len(handler.bodies) == 4)
        wait_for(lambda: not list((tmp_path / "spool").rglob("*.dcm")))
    assert all(b"application/dicom" in body and b"DICM" in body for body in handler.bodies)
    assert set(handler.headers_seen) == {"Bearer secret"}


def test_a_missing_authorization_file_is_waited_for(tmp_path, web):
    """While the file can't be read nothing is sent, and nothing is lost."""
    handler, port = web
    peer = {"name": "web", "url": f"http://127.0.0.1:{port}", "authorization": str(tmp_path / "token")}
    with running(settings_for(tmp_path, peers=[peer])) as node:
        send(node, film())
        wait_for(lambda: list((tmp_path / "spool" / "results").glob("*.dcm")))
        assert not handler.bodies
        (tmp_path / "token").write_text("Bearer secret")
        wait_for(lambda: handler.bodies)


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A folder with an authority's certificate, a certificate of it for 127.0.0.1, and one of another authority."""
    folder = tmp_path_factory.mktemp("tls")
    known, unknown = trustme.CA(), trustme.CA()
    known.cert_pem.write_to_path(folder / "authority.pem")
    for name, issuer in (("node", known), ("stranger", unknown)):
        issued = issuer.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        for part in issued.cert_chain_pems:
            part.write_to_path(folder / f"{name}.pem", append=True)
    return folder


def own(folder, name="node"):
    return {"tls_certificate": folder / f"{name}.pem", "tls_key": folder / f"{name}.key"}


def caller_context(folder, name=None):
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    if name:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context, "127.0.0.1"


def test_films_and_results_go_by_tls(tmp_path, authority):
    """A caller whose certificate is known sends a film, and the result reaches a peer that asks for one too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority / "authority.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(authority / "node.pem", authority / "node.key")
    with receiving(context) as receiver:
        peer = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": receiver.port, "tls": True}
        tls = own(authority) | {"tls_authorities": authority / "authority.pem"}
        with running(settings_for(tmp_path, peers=[peer], **tls)) as node:
            assert send(node, film(), tls=caller_context(authority, "node")) == [0x0000]
            wait_for(lambda: receiver.instances)


def test_strangers_are_turned_away(tmp_path, authority):
    """Without TLS, without a certificate or with a stranger's nobody gets in; who is known still does."""
    tls = own(authority) | {"tls_authorities": authority / "authority.pem"}
    with running(settings_for(tmp_path, 1, **tls)) as node:
        for given in (None, caller_context(authority), caller_context(authority, "stranger")):
            with pytest.raises(ConnectionError):
                send(node, film(), tls=given)
        assert send(node, film(), tls=caller_context(authority, "node")) == [0x0000]


def test_a_caller_that_never_shakes_hands_holds_nobody_up(tmp_path, authority):
    """A silent connection does not keep others from being served."""
    with running(settings_for(tmp_path, 1, **own(authority))) as node, socket.create_connection(("127.0.0.1", node)):
        assert send(node, film(), tls=caller_context(authority)) == [0x0000]


def test_tls_files_that_can_not_be_used_are_an_error(tmp_path, authority):
    """A missing or wrong file ends the start with an error that says what was expected."""
    for given in (
        {"tls_certificate": authority / "none.pem", "tls_key": authority / "node.key"},
        {"tls_certificate": authority / "node.pem", "tls_key": authority / "stranger.key"},
        own(authority) | {"tls_authorities": authority / "node.key"},
    ):
        with pytest.raises(ConfigError, match="Expected PEM"), running(settings_for(tmp_path, 1, **given)):
            pass
