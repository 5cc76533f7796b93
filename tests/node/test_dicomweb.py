"""Films of a DICOMweb server: the right ones are found and fetched, and every failure is said without the server's words."""

from __future__ import annotations

import http.server
import json
import threading
from io import BytesIO
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from pydicom import dcmread
from pynetdicom.sop_class import BasicTextSRStorage, DigitalXRayImageStorageForProcessing

from hilum.errors import PeerError
from hilum.node.dicomweb import Place, fetch, find_films, keep_in, store_at
from hilum.node.web import open_client
from hospital import dicom, film, written


class Server(http.server.BaseHTTPRequestHandler):
    """A DICOMweb server of a few lines: its objects, what it was asked, what it was given."""

    objects: ClassVar[list]
    queries: ClassVar[list]
    stored: ClassVar[list]
    status: ClassVar[list]
    pageless: ClassVar[bool] = False

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        parts = split.path.strip("/").split("/")[1:]
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        self.queries.append((parts[-1], query))
        if self.status:
            self.answer(self.status[-1], b"CANARY", "text/plain")
        elif len(parts) == 6:
            (found,) = (one for one in self.objects if one.SOPInstanceUID == parts[5])
            head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
            self.answer(
                200, head + written(found) + b"\r\n--b--", 'multipart/related; type="application/dicom"; boundary=b'
            )
        else:
            self.answer(200, json.dumps(self.search(parts, query)).encode(), "application/dicom+json")

    def search(self, parts: list[str], query: dict[str, str]) -> list[dict]:
        """Return matches of studies, series or instances, each once."""
        tag = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}[parts[-1]]
        found = [one for one in self.objects if query.get("Modality", one.Modality) == one.Modality]
        found = [one for one in found if len(parts) < 2 or one.StudyInstanceUID == parts[1]]
        found = [one for one in found if len(parts) < 4 or one.SeriesInstanceUID == parts[3]]
        rows = {
            str(one[tag].value): {tag: {"Value": [one[tag].value]}, "00080016": {"Value": [one.SOPClassUID]}}
            for one in found
        }
        offset = 0 if self.pageless else int(query.get("offset", 0))
        return list(rows.values())[offset : offset + 3]

    def do_POST(self) -> None:
        self.stored.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(self.status[-1] if self.status else 200, b"{}", "application/dicom+json")

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server():
    """The server's class, and a client of it."""
    handler = type("Handler", (Server,), {name: [] for name in ("objects", "queries", "stored", "status")})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    client = open_client(f"http://127.0.0.1:{running.server_address[1]}/dicom-web/")
    yield handler, client
    client._session.close()
    running.shutdown()
    running.server_close()
    thread.join()


def test_films_are_found_and_fetched(server):
    """CR and DX for presentation of the studies asked for; not their reports, and not what is for processing."""
    handler, client = server
    one, two = film(), film(Modality="CR")
    handler.objects += [one, two, dicom(BasicTextSRStorage, Modality="SR"), dicom(DigitalXRayImageStorageForProcessing)]
    found = list(find_films(client, {"StudyDate": "20260101-"}))
    assert {place.instance for place in found} == {one.SOPInstanceUID, two.SOPInstanceUID}
    assert ("studies", {"StudyDate": "20260101-", "offset": "0"}) in handler.queries
    assert dcmread(BytesIO(fetch(client, found[0]))).PixelData in (one.PixelData, two.PixelData)


def test_every_page_is_asked_for(server):
    """Of a server that gives three matches at a time all are found; one that knows no pages is not asked for ever."""
    handler, client = server
    handler.objects += [film() for _ in range(8)]
    assert len(list(find_films(client, {}))) == 8
    handler.pageless = True
    assert len(list(find_films(client, {}))) == 3


def test_results_are_stored(server):
    """Results go in one request; without results there is none."""
    handler, client = server
    place = Place("1.2", "1.2.3", "1.2.3.4")
    store_at(client)(place, [])
    assert handler.stored == []
    store_at(client)(place, [written(dicom(BasicTextSRStorage)), written(dicom(BasicTextSRStorage))])
    assert handler.stored[0].count(b"DICM") == 2


def test_results_can_be_kept(tmp_path):
    """In a folder, results have names that don't tell the film."""
    keep_in(tmp_path / "out")(Place("1.2", "1.2.3", "1.2.3.4"), [b"one", b"two"])
    paths = sorted((tmp_path / "out").iterdir())
    assert [path.read_bytes() for path in paths] == [b"one", b"two"]
    assert not any("1.2.3" in path.name for path in paths)


@pytest.mark.parametrize(("status", "said"), [(401, "status 401"), (503, "status 503"), (409, "http_409")])
def test_a_refusal_is_an_error(server, status, said):
    """An answer that is not a success becomes a PeerError that names the status and nothing that the server wrote."""
    handler, client = server
    handler.status.append(status)
    with pytest.raises(PeerError, match=said) as error:
        store_at(client)(Place("1.2", "1.2.3", "1.2.3.4"), [written(dicom(BasicTextSRStorage))])
    with pytest.raises(PeerError, match=f"status {status}") as other:
        list(find_films(client, {}))
    assert "CANARY" not in f"{error.value}{other.value}"


def test_an_answer_that_is_none_is_an_error(server):
    """A server that is no DICOMweb server, or no server at all, is said to be so."""
    handler, client = server
    handler.status.append(200)
    with pytest.raises(PeerError, match="can't be understood"):
        list(find_films(client, {}))
    with pytest.raises(PeerError, match="can't be reached"):
        list(find_films(open_client("http://127.0.0.1:1/dicom-web"), {}))
