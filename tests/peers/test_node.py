"""The node beside a real PACS: films from dcmtk and Orthanc in, results back in Orthanc, whatever breaks in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from pynetdicom.sop_class import BasicTextSRStorage, CTImageStorage

from hospital import chest_film, dicom, film, run_hilum, start_node, wait_for, written
from orthanc import RECIPE, URL, Orthanc, own_network, running_node, running_orthanc

pytestmark = pytest.mark.peers

STORESCU, ECHOSCU = "/usr/bin/storescu", "/usr/bin/echoscu"
NODE = ("-aec", "HILUM", "127.0.0.1", "11112")
MODALITY, STUDY, NAME = "00080060", "0020000D", "00100010"


@pytest.fixture(autouse=True)
def _network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture
def orthanc(tmp_path) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path / "orthanc") as one:
        yield one


def recipe(folder: Path, **lines: str) -> Path:
    """Write the recipe's settings of the node, with a spool in ``folder``, and return the file."""
    text = (RECIPE / "node.toml").read_text("utf-8").replace("/var/lib/hilum/spool", str(folder / "spool"))
    path = folder / "node.toml"
    path.write_text("".join(f"{name} = {value}\n" for name, value in lines.items()) + text, "utf-8")
    return path


def save(folder: Path, *datasets) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:04d}.dcm" for number in range(len(datasets))]
    for path, dataset in zip(paths, datasets, strict=True):
        path.write_bytes(written(dataset))
    return paths


def call(*command: object) -> int:
    """Run one of dcmtk's programs; return its exit code."""
    return subprocess.run([str(one) for one in command], capture_output=True, timeout=120, check=False).returncode


def test_a_film_goes_through_orthanc_and_its_results_come_back(orthanc, tmp_path):
    """storescu → Orthanc → hilum → SR and SC in Orthanc, found by QIDO in the film's own study, under the patient's name."""
    name = "Müller^Jürgen"
    one = chest_film(512, SpecificCharacterSet="ISO_IR 100", PatientName=name, PatientID="4711")
    others = [dicom(CTImageStorage, Modality="CT"), dicom(BasicTextSRStorage, Modality="SR")]
    with running_node(recipe(tmp_path), tmp_path / "log"):
        assert call(STORESCU, "-aec", "ORTHANC", "127.0.0.1", "4242", *save(tmp_path / "films", one, *others)) == 0
        study = f"studies/{one.StudyInstanceUID}"
        wait_for(lambda: len(orthanc.qido(f"{study}/instances")) == 3, 60)
        assert sorted(found[MODALITY] for found in orthanc.qido(f"{study}/series")) == ["DX", "OT", "SR"]
        (found,) = orthanc.qido("studies", PatientID="4711", ModalitiesInStudy="SR")
        assert found[STUDY] == one.StudyInstanceUID
        names = [made[NAME]["Value"] for made in orthanc.get(f"/dicom-web/{study}/metadata")]
        assert names == [[{"Alphabetic": name}]] * 3
        time.sleep(2)  # results that went in circles would have made more by now
        assert len(orthanc.qido("instances")) == 5
    log = (tmp_path / "log").read_text("utf-8")
    assert "accepted=true" in log
    assert "Müller" not in log
    assert str(one.SOPInstanceUID) not in log
    assert not list((tmp_path / "spool").rglob("*.dcm"))


def test_films_that_came_while_the_node_was_down_are_sent_again(orthanc, tmp_path, tiny_folder):
    """Orthanc's failed deliveries are submitted again by the recipe's script, and each film has its results once."""
    assert (
        call(STORESCU, "-aec", "ORTHANC", "127.0.0.1", "4242", *save(tmp_path / "films", *(film() for _ in range(3))))
        == 0
    )
    wait_for(lambda: [job["State"] for job in orthanc.get("/jobs?expand")] == ["Failure"] * 3, 30)
    with running_node(recipe(tmp_path), tmp_path / "log", tiny_folder):
        subprocess.run([sys.executable, RECIPE / "resubmit.py", "--url", URL], check=True, timeout=60)
        wait_for(lambda: orthanc.count("SR") == orthanc.count("OT") == 3, 60)
        assert [job["State"] for job in orthanc.get("/jobs?expand")] == ["Success"] * 3


def test_results_go_to_orthanc_by_stow_too(orthanc, tmp_path, tiny_folder):
    """Orthanc's STOW-RS takes both results, and only once each."""
    config = recipe(tmp_path)
    peer = f'name = "web"\nurl = "{URL}/dicom-web"\n'
    config.write_text(config.read_text("utf-8").partition("[[peers]]")[0] + f"[[peers]]\n{peer}", "utf-8")
    with running_node(config, tmp_path / "log", tiny_folder):
        assert call(STORESCU, "-aet", "ORTHANC", *NODE, *save(tmp_path / "films", film(), film())) == 0
        wait_for(lambda: orthanc.count("SR") == orthanc.count("OT") == 2, 60)
        wait_for(lambda: not list((tmp_path / "spool").rglob("*.dcm")), 60)


def test_films_of_orthanc_are_read_by_dicomweb(orthanc, tmp_path, tiny_folder):
    """QIDO finds the study, WADO gives its film, STOW takes the results; done again, nothing is there twice."""
    one = film(PatientID="4711", StudyDate="20260115")
    other = film(StudyDate="20250101")
    assert call(STORESCU, "-aec", "ORTHANC", "127.0.0.1", "4242", *save(tmp_path / "films", one, other)) == 0
    for _ in range(2):
        done = run_hilum(tiny_folder, "dicomweb", f"{URL}/dicom-web", "--query", "StudyDate=20260101-20260131")
        assert (done.returncode, done.stdout.decode()) == (0, "1 films analyzed, 0 not\n"), done.stderr
    found = orthanc.qido(f"studies/{one.StudyInstanceUID}/instances")
    assert sorted(instance[MODALITY] for instance in found) == ["DX", "OT", "SR"]
    assert len(orthanc.qido("instances")) == 4


def test_dcmtk_is_let_in_or_not(tmp_path, tiny_folder):
    """echoscu and storescu under a listed title succeed; under another title, or calling another one, they do not."""
    (path,) = save(tmp_path / "films", film())
    with running_node(recipe(tmp_path), tmp_path / "log", tiny_folder):
        assert call(ECHOSCU, "-aet", "ORTHANC", *NODE) == 0
        assert call(STORESCU, "-aet", "ORTHANC", *NODE, path) == 0
        assert call(STORESCU, "-aet", "STRANGER", *NODE, path) != 0
        assert call(STORESCU, "-aet", "ORTHANC", "-aec", "OTHER", *NODE[2:], path) != 0


def test_dcmtk_speaks_tls(tmp_path, tiny_folder):
    """With certificates on both sides dcmtk's film is taken; without its own, or in the clear, it is not."""
    known = trustme.CA()
    known.cert_pem.write_to_path(tmp_path / "authority.pem")
    issued = known.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "own.key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "own.pem")
    names = {"tls_certificate": "own.pem", "tls_key": "own.key", "tls_authorities": "authority.pem"}
    config = recipe(tmp_path, **{name: f'"{tmp_path / file}"' for name, file in names.items()})
    (path,) = save(tmp_path / "films", film())
    trusted = ("+cf", tmp_path / "authority.pem")
    with running_node(config, tmp_path / "log", tiny_folder):
        assert (
            call(STORESCU, "-aet", "ORTHANC", "+tls", tmp_path / "own.key", tmp_path / "own.pem", *trusted, *NODE, path)
            == 0
        )
        assert call(STORESCU, "-aet", "ORTHANC", "+tla", *trusted, *NODE, path) != 0
        assert call(STORESCU, "-aet", "ORTHANC", *NODE, path) != 0


def test_a_thousand_films_survive_three_kills(orthanc, tmp_path, tiny_folder):
    """1,000 films sent in parallel, the node killed and started again three times in the middle: 1,000 results, none twice."""
    films = [chest_film() for _ in range(1000)]
    paths = save(tmp_path / "films", *films)
    chunks = [paths[start : start + 20] for start in range(0, len(paths), 20)]
    config = recipe(tmp_path, returns='["sr"]')
    process = start_node(config, tmp_path / "log", tiny_folder)
    sending = threading.Thread(target=lambda: list(ThreadPoolExecutor(4).map(send_until_taken, chunks)))
    sending.start()
    for enough in (100, 350, 700):
        wait_for(lambda enough=enough: orthanc.count("SR") >= enough, 900)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.5)
        process = start_node(config, tmp_path / "log", tiny_folder)
    sending.join(900)
    assert not sending.is_alive()
    wait_for(lambda: orthanc.count("SR") >= 1000 and not list((tmp_path / "spool").rglob("*.dcm")), 900)
    process.terminate()
    assert process.wait(60) == 0
    read = Counter(str(referenced(orthanc, one)) for one in instances(orthanc, "SR"))
    assert "accepted=false" not in (tmp_path / "log").read_text("utf-8")
    assert read == Counter(str(one.SOPInstanceUID) for one in films)


def send_until_taken(paths: list[Path]) -> None:
    """Send films as a modality does: again, all of them, until every one is acknowledged."""
    while call(STORESCU, "-aet", "ORTHANC", *NODE, *paths) != 0:
        time.sleep(0.5)


def instances(orthanc: Orthanc, modality: str) -> list[str]:
    """Return Orthanc's identifiers of all instances of a modality."""
    return [
        instance
        for series in orthanc.get("/series?expand")
        if series["MainDicomTags"]["Modality"] == modality
        for instance in series["Instances"]
    ]


def referenced(orthanc: Orthanc, instance: str) -> str:
    """Return the SOP Instance UID of the film that a structured report is of."""
    (evidence,) = orthanc.get(f"/instances/{instance}/simplified-tags")["CurrentRequestedProcedureEvidenceSequence"]
    return evidence["ReferencedSeriesSequence"][0]["ReferencedSOPSequence"][0]["ReferencedSOPInstanceUID"]
