"""``hilum analyze``."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from pyarrow.parquet import read_table
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from conftest import film_pixels
from finished import STUDY, dicom_film
from hilum.cli.analyze import answer_all
from hilum.records import OperatingPoint, Output
from tiny import tiny_manifest, write_tiny


@pytest.fixture
def folder(tmp_path, film_png, tiny_models):
    """A folder with two films, a broken one, a hidden one and a table."""
    path = tmp_path / "films"
    (path / "more").mkdir(parents=True)
    (path / "a.png").write_bytes(film_png)
    (path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (path / "more" / "c").write_bytes(film_png)
    (path / ".hidden.png").write_bytes(film_png)
    (path / "labels.csv").write_text("file\n")
    return path


def test_one_json_line_a_film_in_order(hilum, folder):
    """A broken film is reported in its place, the rest goes on, and the exit code is 1."""
    done = hilum("analyze", folder, "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["file"].removeprefix(str(folder)) for line in lines] == ["/a.png", "/b.png", "/more/c"]
    assert lines[1].keys() == {"file", "error"}
    assert lines[1]["error"]["code"] == "unreadable_image"
    assert lines[0]["accepted"] is True
    assert lines[0]["findings"] == lines[2]["findings"]
    assert done.code == 1


def test_films_side_by_side_come_in_order(tiny_engine, folder):
    """Several films are in work at the same time, a broken one among them; answers come in the order asked for, none is lost."""
    films = [path for path in sorted(folder.iterdir()) if path.is_file()] * 3
    alone, together = (list(answer_all(films, tiny_engine, at_once)) for at_once in (1, 4))
    assert [answer.file for answer in together] == [str(path) for path in films]
    assert [answer.error is None for answer in together] == [answer.error is None for answer in alone]
    first = next(answer_all(films, tiny_engine, 4))
    assert first.file == str(films[0])


def test_exit_code_is_zero_when_all_were_read(hilum, folder):
    """All read: 0, also when a film is named on its own."""
    assert hilum("analyze", folder / "a.png", folder / "more").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["analyze"],
        ["analyze", "a.png", "--json", "--csv"],
        ["analyze", "a.png", "--html"],
        ["analyze", "a.png", "--fhir"],
        ["analyze", "a.png", "--parquet"],
        ["analyze", "a.png", "--json", "--pdf", "--out", "folder"],
        ["analyze", "a.png", "--policy", "perhaps"],
        ["analyze", "a.png", "--models", "none"],
        ["analyze", "a.png", "--prevalence", "Edema"],
        ["analyze", "a.png", "--scope", "paediatric=perhaps"],
        ["analyze", "a.png", "--json", "--out", "none/deep/file"],
        ["unknown"],
    ],
)
def test_misuse_is_exit_code_2(hilum, tiny_models, arguments):
    """What can't be carried out at all ends with 2 and a sentence."""
    done = hilum(*arguments)
    assert done.code == 2
    assert done.out + done.err


def test_a_missing_file_is_reported_like_a_broken_one(hilum, tiny_models):
    """A path that does not exist is one unreadable film, not the end."""
    done = hilum("analyze", "none.png", "--json")
    assert json.loads(done.out)["error"]["code"] == "unreadable_image"
    assert done.code == 1


def test_text_has_the_members_outside_of_the_ensemble(hilum, folder, tmp_path):
    """What a member says that has no part in the findings stands in a line of its own, with what its own cut makes positive."""
    outputs = tuple(
        Output(name, True, operating_points={"youden": OperatingPoint(cut, None, None)})
        for name, cut in (("Edema", 0.0), ("Hernia", 100.0))
    )
    write_tiny(tmp_path / "own", tiny_manifest("Net", None, (), outputs=outputs, in_ensemble=False))
    text = " ".join(hilum("analyze", folder / "a.png", "--models", tmp_path / "own").out.split())
    told = text.partition("Net (random numbers, for tests-trained), not in the ensemble")[2].partition(". ")[0]
    assert re.search(r"Edema [\d.]+ ▲", text), text
    assert "Hernia" in told
    assert "Hernia" not in text.partition("Net (random")[0]


def test_text_names_what_matters(hilum, folder):
    """On a terminal: recommendation, findings, operating points, what is not assessed, models, disclaimer, broken files."""
    out = hilum("analyze", folder).out
    for part in (
        "Ensemble confidence",
        "Operating point",
        "Not assessed: Fracture, Tuberculosis",
        "DenseNet121 (",
        "research",
    ):
        assert part in out
    assert "could not be read" in out


def test_a_refused_film_says_why(hilum, tmp_path, tiny_models):
    """Refusal is an answer: its reason in words and code, exit code 0."""
    from PIL import Image

    Image.new("L", (200, 200), 90).save(tmp_path / "flat.png")
    done = hilum("analyze", tmp_path / "flat.png")
    assert "near_constant" in done.out
    assert done.code == 0
    line = json.loads(hilum("analyze", tmp_path / "flat.png", "--json").out)
    assert (line["accepted"], line["findings"], line["level"]) == (False, [], None)


def test_what_a_header_says_is_refused_or_warned_about(hilum, tmp_path, tiny_models):
    """A lateral film is refused, or read with a warning where --scope says so."""
    path = Path(tmp_path, "lateral.dcm")
    path.write_bytes(lateral_film())
    assert "refused: The header says that this is a lateral view" in hilum("analyze", path).out
    warned = hilum("analyze", path, "--scope", "lateral_view=warn").out
    assert "warning: The header says that this is a lateral view" in warned
    assert "Ensemble confidence" in warned


def lateral_film() -> bytes:
    """Return a small DICOM object whose header says that it is a lateral film."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", generate_uid()
    dataset.Modality, dataset.ViewPosition = "CR", "LL"
    stored = np.rint(film_pixels() * 255).astype(np.uint8)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OB"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_csv_is_one_table(hilum, folder):
    """A header, a row a finding, a row an error."""
    rows = list(csv.DictReader(io.StringIO(hilum("analyze", folder, "--csv").out)))
    assert {row["error"] for row in rows} == {"", "unreadable_image"}
    assert len({row["file"] for row in rows}) == 3
    assert {row["accepted"] for row in rows} == {"True", ""}


def test_out_writes_a_file(hilum, folder, tmp_path):
    """--out writes what would have been printed, and nothing is printed."""
    done = hilum("analyze", folder / "a.png", "--json", "--out", tmp_path / "answers.jsonl")
    assert done.out == ""
    assert json.loads((tmp_path / "answers.jsonl").read_text())["accepted"] is True


def test_reports_are_one_a_film(hilum, folder, tmp_path):
    """--html writes a document a film, named by file and content, and reports the broken one on the error stream, by its number."""
    (folder / "more" / "a.png").write_bytes((folder / "a.png").read_bytes() + b" ")
    done = hilum("analyze", folder, "--html", "--out", tmp_path / "reports")
    names = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert len(names) == 3
    assert [name.split("-")[0] for name in names] == ["a", "a", "c"]
    assert done.err.startswith("film 2: ")
    assert "b.png" not in done.err
    assert done.code == 1


def test_a_report_of_one_film_may_be_named(hilum, folder, tmp_path):
    """--out with the document's suffix is the file of one film's only document; for several films it stays a folder's name."""
    report = tmp_path / "here" / "report.html"
    assert hilum("analyze", folder / "a.png", "--html", "--out", report).code == 0
    assert report.read_bytes().startswith(b"<!doctype html>")
    hilum("analyze", folder, "--html", "--out", tmp_path / "all.html")
    assert len(list((tmp_path / "all.html").iterdir())) == 2


def test_policy_and_prevalence_are_passed_on(hilum, folder):
    """Options reach the engine."""
    film = folder / "a.png"
    done = hilum("analyze", film, "--json", "--policy", "rule_out", "--prevalence", "Edema=0.5", "--threads", "1")
    edema = next(finding for finding in json.loads(done.out)["findings"] if finding["name"] == "Edema")
    assert edema["threshold"] == 20
    assert edema["prevalence"] == 0.5


def test_one_film_of_a_folder_is_never_lost_to_its_suffix(hilum, folder, film_png):
    """A film is told by its content: a suffix in capitals or none at all is no reason to pass it over."""
    (folder / "D.PNG").write_bytes(film_png)
    files = [json.loads(line)["file"] for line in hilum("analyze", folder, "--json").out.splitlines()]
    assert any(file.endswith("D.PNG") for file in files)
    assert not any("labels.csv" in file or "hidden" in file for file in files)


def test_documents_of_a_dicom_film_are_of_its_study(hilum, tiny_models, tmp_path):
    """Every kind of document is written from one analysis; those that name a study name the film's."""
    (tmp_path / "film.dcm").write_bytes(dicom_film())
    done = hilum("analyze", "film.dcm", "--sr", "--sc", "--pdf", "--dicom-pdf", "--fhir", "--html", "--out", "results")
    assert done.code == 0
    made = {path.name.partition(".")[2]: path for path in (tmp_path / "results").iterdir()}
    assert made.keys() == {"sr.dcm", "sc.dcm", "pdf", "pdf.dcm", "fhir.json", "html"}
    for kind in ("sr.dcm", "sc.dcm", "pdf.dcm"):
        assert dcmread(made[kind]).StudyInstanceUID == STUDY.study
    assert STUDY.study in made["fhir.json"].read_text("utf-8")
    assert "TEST" not in done.out + done.err + made["html"].read_text("utf-8")


def test_a_film_that_is_not_dicom_has_no_structured_report(hilum, folder):
    """The other documents are written; that one is an error, which is said once, and the rest goes on."""
    done = hilum("analyze", folder / "a.png", folder / "more", "--sr", "--fhir", "--out", "results")
    assert done.code == 1
    assert done.err.count("A Structured Report refers to its film") == 2
    assert len(list(Path("results").iterdir())) == 2


def test_parquet_has_the_rows_of_csv(hilum, folder):
    """The table has a row a finding, and one for the film that can't be read."""
    assert hilum("analyze", folder, "--parquet", "--out", "answers.parquet").code == 1
    rows = read_table("answers.parquet").to_pylist()
    lines = list(csv.DictReader(io.StringIO(hilum("analyze", folder, "--csv").out)))
    assert [(row["file"], row["finding"] or "", row["error"] or "") for row in rows] == [
        (line["file"], line["finding"], line["error"]) for line in lines
    ]


@pytest.mark.parametrize("form", [["--parquet", "--out", "none/deep/file"], ["--fhir", "--out", "a.png"]])
def test_a_place_that_cannot_be_written_is_misuse(hilum, folder, form, film_png):
    """Where results can't go, the command says so and ends with 2."""
    Path("a.png").write_bytes(film_png)
    assert hilum("analyze", folder / "a.png", *form).code == 2
