"""The recipe beside Orthanc: what is submitted again, and as whom. (tests/peers runs it with Orthanc itself.)"""

from __future__ import annotations

import base64
import http.server
import importlib.util
import json
import sys
import threading
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "examples" / "orthanc"
JOBS = [
    {"ID": "again", "State": "Failure", "Type": "DicomModalityStore", "Content": {"RemoteAet": "HILUM"}},
    {"ID": "done", "State": "Success", "Type": "DicomModalityStore", "Content": {"RemoteAet": "HILUM"}},
    {"ID": "another's", "State": "Failure", "Type": "DicomModalityStore", "Content": {"RemoteAet": "RIS"}},
    {"ID": "other", "State": "Failure", "Type": "Archive", "Content": {}},
]


@pytest.fixture
def resubmit():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("resubmit", RECIPE / "resubmit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def orthanc():
    """An HTTP server with some jobs; its address, and the calls that it got, with their Authorization."""
    calls = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append((self.path, self.headers["Authorization"]))
            body = json.dumps(JOBS if self.command == "GET" else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", calls
    server.shutdown()
    server.server_close()
    thread.join()


def test_failed_deliveries_to_hilum_are_submitted_again(resubmit, orthanc, tmp_path, monkeypatch, capsys):
    """Those, and nothing else; with the password from its file."""
    address, calls = orthanc
    (tmp_path / "password").write_text("hilum:a long password\n")
    arguments = ["resubmit.py", "--url", address, "--password-file", str(tmp_path / "password")]
    monkeypatch.setattr(sys, "argv", arguments)
    resubmit.main()
    given = "Basic " + base64.b64encode(b"hilum:a long password").decode()
    assert calls == [("/jobs?expand", given), ("/jobs/again/resubmit", given)]
    assert capsys.readouterr().out == "1 deliveries submitted again\n"


def test_an_orthanc_that_is_away_is_said(resubmit, monkeypatch, capsys):
    """A single round without an answer ends with exit code 1."""
    monkeypatch.setattr(sys, "argv", ["resubmit.py", "--url", "http://127.0.0.1:1"])
    with pytest.raises(SystemExit, match="1"):
        resubmit.main()
    assert "does not answer" in capsys.readouterr().out
