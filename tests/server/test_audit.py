"""Who saw what is written down before it is seen, and whatever is done to the record is found."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from hilum.errors import AuditFailed, ConfigError
from hilum.server import note
from hilum.server.audit import Anchor, Audit, Event, pseudonym, read_rows, read_secret, verify
from hilum.server.keys import add_key
from hilum.server.work import Answer

SECRET = b"s" * 32
EVENT = Event("1f3a9c0e", "analyst", "/api/v1/analyze", "accepted", 200, "ab" * 16, film="cd" * 32)
STUDY = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "audit.sqlite"


@pytest.fixture
def full(file):
    """A file with ten rows."""
    audit = Audit(file, SECRET)
    for number in range(10):
        audit.append(Event("1f3a9c0e", "analyst", "/api/v1/analyze", "accepted", 200, f"{number:032x}"))
    return file


def tamper(file, *statements):
    """Change a file as somebody does who can write it: without the triggers, and without the secret."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)


def test_a_whole_record_is_whole(full):
    """Rows are numbered from 1, in order of time, and nothing is found against them; another secret fits none of them."""
    last, faults = verify(full, SECRET)
    assert (last.rows, faults) == (10, ())
    rows = read_rows(full)
    assert [row.number for row in rows] == list(range(1, 11))
    assert [row.time for row in rows] == sorted(row.time for row in rows)
    assert len(verify(full, b"x" * 32)[1]) == 11


@pytest.mark.parametrize(
    "column", ["time", "key", "role", "action", "outcome", "status", "request", "study", "instance", "film", "mac"]
)
@pytest.mark.parametrize("number", [1, 5, 10])
def test_a_changed_field_is_found(full, column, number):
    """Each field of any row counts, the first and the last one's too."""
    value = 201 if column == "status" else f"'{'0' * 64}'"
    tamper(full, f"UPDATE rows SET {column}={value} WHERE number={number}")
    _, faults = verify(full, SECRET)
    assert any(f"row {number} was changed" in fault for fault in faults)


@pytest.mark.parametrize("number", [1, 5])
def test_a_removed_row_is_found(full, number):
    """A gap is seen, and so is one that was closed by numbering anew."""
    tamper(full, f"DELETE FROM rows WHERE number={number}")
    assert f"between row {number - 1} and row {number + 1} something was removed" in verify(full, SECRET)[1]
    tamper(full, *(f"UPDATE rows SET number={later - 1} WHERE number={later}" for later in range(number + 1, 11)))
    assert f"row {number} was changed or moved, or the row before it was" in verify(full, SECRET)[1]


def test_rows_that_changed_places_are_found(full):
    """The order is part of what is signed."""
    tamper(full, *(f"UPDATE rows SET number={new} WHERE number={old}" for old, new in ((3, 99), (4, 3), (99, 4))))
    assert {"row 3 was changed or moved, or the row before it was"} < set(verify(full, SECRET)[1])


def test_a_row_that_was_put_in_is_found(full):
    """Without the secret nobody can write a row that fits, at the end neither."""
    tamper(
        full,
        "INSERT INTO rows SELECT 11, time, key, role, action, outcome, status, request, study, instance, film, mac "
        "FROM rows WHERE number=10",
    )
    assert any("row 11 was changed" in fault for fault in verify(full, SECRET)[1])


@pytest.mark.parametrize("left", [0, 9])
def test_a_removed_end_is_found(full, left):
    """The head says how many rows there were, and can't be made for fewer."""
    tamper(full, f"DELETE FROM rows WHERE number>{left}")
    assert f"the file ends with row {left}, and its head names row 10: the end was removed" in verify(full, SECRET)[1]
    tamper(full, f"UPDATE head SET rows={left}")
    assert any("the head is missing or was changed" in fault for fault in verify(full, SECRET)[1])
    tamper(full, "DELETE FROM head")
    assert any("the head is missing or was changed" in fault for fault in verify(full, SECRET)[1])
    with pytest.raises(AuditFailed, match="no head"):
        Audit.append(SimpleNamespace(_path=full, _secret=SECRET), EVENT)


def test_a_file_put_back_is_found_by_an_anchor(full):
    """An older copy is whole in itself; the head that was written down elsewhere is not in it."""
    shutil.copy(full, full.with_name("older"))
    audit = Audit(full, SECRET)
    anchor = audit.append(EVENT)
    assert verify(full, SECRET, [anchor])[1] == ()
    shutil.copy(full.with_name("older"), full)
    assert verify(full, SECRET)[1] == ()
    assert verify(full, SECRET, [anchor])[1] == ("the file ends with row 10, before the anchor's row 11",)
    audit.append(Event("other", "admin", "/metrics", "answered", 200, "0" * 32))
    assert verify(full, SECRET, [anchor])[1] == ("row 11 is not the one that the anchor names",)
    full.unlink()
    Audit(full, SECRET)
    assert verify(full, SECRET, [anchor])[1] == ("the file ends with row 0, before the anchor's row 11",)


@pytest.mark.parametrize(
    "statement", ["UPDATE rows SET status=500", "DELETE FROM rows", "UPDATE head SET rows=0", "DELETE FROM head"]
)
def test_the_file_itself_only_grows(full, statement):
    """A slip of whoever has the file open changes nothing: the database refuses."""
    with closing(sqlite3.connect(full)) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute(statement)
    assert verify(full, SECRET)[1] == ()


def test_several_processes_write_one_chain(file):
    """Four processes that write at the same time lose no row, write none twice, and leave a chain that is whole; a million
    rows take half a gigabyte."""
    program = (
        "import sys; from pathlib import Path; from hilum.server.audit import Audit, Event\n"
        "audit = Audit(Path(sys.argv[1]), b's' * 32)\n"
        "for n in range(25): audit.append(Event(sys.argv[2], 'reader', '/x', 'answered', 200, f'{n:032x}'))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(file), str(n)]) for n in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    assert verify(file, SECRET)[1] == ()
    assert len({(row.event.key, row.event.request) for row in read_rows(file)}) == 100
    assert file.stat().st_size < 100 * 500 + 2**15


def test_a_writer_killed_in_the_middle_leaves_a_whole_chain(file):
    """What was not committed is taken back, and the next writer goes on from there."""
    Audit(file, SECRET).append(EVENT)
    program = (
        "import os, sqlite3, sys\n"
        "d = sqlite3.connect(sys.argv[1], isolation_level=None); d.execute('PRAGMA cache_spill=1'); d.execute('BEGIN IMMEDIATE')\n"
        "d.execute('INSERT INTO rows SELECT 2,time,key,role,action,outcome,status,request,study,instance,film,mac FROM rows')\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(file)], check=False).returncode == -9
    Audit(file, SECRET).append(EVENT)
    assert verify(file, SECRET)[1] == ()
    assert len(read_rows(file)) == 2


def test_a_full_disk_is_an_error_and_harms_nothing(full):
    """A row that finds no room is refused, and what was there before stays whole."""
    audit = Audit(full, SECRET)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(AuditFailed, match="with room"):
            audit.append(EVENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert verify(full, SECRET) == (audit.anchor(), ())
    assert audit.append(EVENT).rows == 11


def test_what_is_no_audit_is_an_error(file):
    """A missing file, a folder and a file of something else are told, and nothing is written."""
    for make in (
        lambda: None,
        lambda: file.write_text("no database, but long enough " * 40),
        lambda: (file.unlink(), file.mkdir()),
    ):
        make()
        with pytest.raises(AuditFailed, match="can't be used"):
            verify(file, SECRET)
    with pytest.raises(AuditFailed):
        Audit(file, SECRET)


def test_the_secret_is_kept_safe(tmp_path):
    """A short secret, or one that others may read, is refused."""
    path = tmp_path / "audit.key"
    with pytest.raises(ConfigError, match="new-key"):
        read_secret(path)
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="5 bytes"):
        read_secret(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_secret(path)


# --- the service ---------------------------------------------------------------------------------------------------


def seen(data, film, kind):
    """Answer with a film that names its study."""
    return Answer(b"{}", True, (), "ab" * 32, {}, study=STUDY, instance=f"{STUDY}.7")


@pytest.fixture
def audited(tmp_path, file):
    """Settings of a service with keys and an audit, and the keys."""
    (tmp_path / "audit.key").write_bytes(SECRET)
    (tmp_path / "audit.key").chmod(0o600)
    keys = {
        role: add_key(tmp_path / "keys.json", role, role, datetime.now(UTC)) for role in ("reader", "analyst", "admin")
    }
    given = {"keys": tmp_path / "keys.json", "audit": file, "audit_key": tmp_path / "audit.key"}
    return SimpleNamespace(settings=given, headers={role: {"X-API-Key": key} for role, key in keys.items()})


def test_who_saw_a_film_is_written_down(make_client, audited, file):
    """The row names the key and its role, the route, the outcome and the request; study and film only who holds the secret."""
    client = make_client(work=seen, **audited.settings)
    answer = client.upload(b"film", headers=audited.headers["analyst"])
    (row,) = read_rows(file, study=pseudonym(SECRET, "study", STUDY))
    assert row.event.key == audited.headers["analyst"]["X-API-Key"].split("_")[1]
    assert (row.event.role, row.event.action) == ("analyst", "/api/ml-analyze")
    assert (row.event.outcome, row.event.status) == ("accepted", 200)
    assert row.event.request == answer.headers["x-request-id"]
    assert row.event.instance == pseudonym(SECRET, "instance", f"{STUDY}.7")
    assert row.event.film == pseudonym(SECRET, "film", "ab" * 32)
    assert STUDY not in file.read_bytes().decode("latin-1")
    assert verify(file, SECRET)[1] == ()


def test_what_was_not_seen_is_written_down_too(make_client, audited, file):
    """A broken upload and a role that is not enough are rows of whoever tried; the path of a stranger's address is not."""
    client = make_client(work=seen, **audited.settings)
    client.post("/api/v1/analyze", headers=audited.headers["analyst"])
    client.upload(b"film", headers=audited.headers["reader"])
    client.get("/DOE_JANE", headers=audited.headers["admin"])
    rows = [(row.event.role, row.event.action, row.event.outcome, row.event.status) for row in read_rows(file)]
    assert rows == [
        ("analyst", "/api/v1/analyze", "not_multipart", 415),
        ("reader", "/api/ml-analyze", "forbidden", 403),
        ("admin", "unmatched", "not_found", 404),
    ]


def test_strangers_can_not_fill_the_audit(make_client, audited, file):
    """What shows no film, and what is refused before anybody is known, makes no row."""
    client = make_client(work=seen, **audited.settings, key_requests=2)
    client.upload(b"film")
    client.get("/api/v1/audit", headers={"X-API-Key": "unknown"})
    client.get("/healthz")
    client.get("/metrics", headers=audited.headers["reader"])
    client.get("/api/v1/models", headers=audited.headers["reader"])
    assert client.upload(b"film", headers=audited.headers["reader"]).status_code == 429
    assert read_rows(file) == []


def test_without_keys_the_machine_itself_is_who(make_client, audited, file):
    """On loopback without keys, films are written down as nobody's."""
    client = make_client(work=seen, audit=file, audit_key=audited.settings["audit_key"])
    assert client.upload(b"film").status_code == 200
    (row,) = read_rows(file)
    assert (row.event.key, row.event.role) == ("none", "none")
    assert client.upload(b"film", headers={"Origin": "http://evil.example"}).status_code == 403
    assert len(read_rows(file)) == 1


def test_what_can_not_be_written_down_is_not_seen(make_client, audited, file, is_problem, caplog):
    """Where the row can't be written the answer is withheld, whole, and a later one is given when it can be again."""
    client = make_client(work=seen, **audited.settings)
    file.rename(file.with_name("gone"))
    with caplog.at_level("ERROR", "hilum.server"):
        answer = client.upload(b"film", headers=audited.headers["analyst"])
    is_problem(answer, "audit_failed")
    assert "content-security-policy" in answer.headers
    assert "audit_failed" in caplog.text
    assert client.get("/healthz").status_code == 200
    file.with_name("gone").rename(file)
    assert client.upload(b"film", headers=audited.headers["analyst"]).status_code == 200


def test_an_admin_reads_the_audit(make_client, audited, is_problem):
    """The newest rows are given to an admin, which is a row too; without an audit there is nothing at that address."""
    client = make_client(work=seen, **audited.settings)
    for _ in range(3):
        client.upload(b"film", headers=audited.headers["analyst"])
    rows = client.get("/api/v1/audit?last=2", headers=audited.headers["admin"]).json()["rows"]
    assert [row["number"] for row in rows] == [2, 3]
    assert [row["action"] for row in client.get("/api/v1/audit", headers=audited.headers["admin"]).json()["rows"]][
        3:
    ] == ["/api/v1/audit"]
    bare = make_client(keys=audited.settings["keys"])
    is_problem(bare.get("/api/v1/audit", headers=audited.headers["admin"]), "not_found")


def test_the_log_carries_anchors(make_client, audited, monkeypatch, caplog, file):
    """At the start, and as rows come in, the log says where the audit stands, so that another machine knows."""
    monkeypatch.setattr(note, "_ANCHOR_EVERY", 2)
    with caplog.at_level("INFO", "hilum.server"):
        client = make_client(work=seen, **audited.settings)
        for _ in range(2):
            client.upload(b"film", headers=audited.headers["analyst"])
    anchors = [message.split("anchor=")[1] for message in caplog.messages if message.startswith("audit anchor=")]
    assert [text.split(":")[0] for text in anchors] == ["0", "2"]
    assert verify(file, SECRET, [Anchor(2, anchors[1].split(":")[1])])[1] == ()


def test_an_audit_that_can_not_be_written_ends_the_start(make_client, audited, tmp_path):
    """A service that should write down who sees what does not start without."""
    with pytest.raises(ConfigError, match="can't be used"):
        make_client(**audited.settings | {"audit": tmp_path / "none" / "audit.sqlite"})
    audited.settings["audit_key"].chmod(0o640)
    with pytest.raises(ConfigError, match="open to others"):
        make_client(**audited.settings)
