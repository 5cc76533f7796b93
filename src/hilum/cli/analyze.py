"""``hilum analyze``: films in, answers out, in order; a broken one is reported and the rest goes on."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from rich.console import Console
from rich.progress import Progress

from hilum.cli.answer import Answer
from hilum.cli.documents import write_documents, write_parquet
from hilum.cli.options import (
    SIGNATURES,
    Models,
    MonitorOption,
    PolicyOption,
    PrecisionOption,
    Prevalences,
    Scopes,
    SignaturesOption,
    Signers,
    Threads,
    open_given,
    trust_in,
)
from hilum.errors import ConfigError, InputError

if TYPE_CHECKING:
    from hilum.images.study import StudyContext
    from hilum.pipeline import Engine
    from hilum.records import Radiograph
    from hilum.report.documents import Kind

Format = Literal["text", "json", "csv", "parquet", "documents"]
SUFFIXES = frozenset({"", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom", ".dic"})
"""In a folder, files with these suffixes are films, or broken films; others (tables, notes) are passed over."""


def analyze(
    paths: Annotated[list[Path], typer.Argument(help="Films, or folders of films.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, in input order.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One row a finding.")] = False,
    as_parquet: Annotated[bool, typer.Option("--parquet", help="The same rows, with types.")] = False,
    as_html: Annotated[bool, typer.Option("--html", help="One report a film.")] = False,
    as_pdf: Annotated[bool, typer.Option("--pdf", help="One page a film.")] = False,
    as_sr: Annotated[bool, typer.Option("--sr", help="One DICOM Structured Report a film.")] = False,
    as_sc: Annotated[bool, typer.Option("--sc", help="One DICOM Secondary Capture a film, with heat map.")] = False,
    as_dicom_pdf: Annotated[bool, typer.Option("--dicom-pdf", help="The page as a DICOM object.")] = False,
    as_fhir: Annotated[bool, typer.Option("--fhir", help="One FHIR bundle a film.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write instead of printing; for documents a folder, or a file for one of one film."),
    ] = None,
    models: Models = None,
    policy: PolicyOption = "youden",
    prevalence: Prevalences = None,
    threads: Threads = None,
    scope: Scopes = None,
    signer: Signers = None,
    signatures: SignaturesOption = SIGNATURES,
    monitor: MonitorOption = None,
    precision: PrecisionOption = "fp32",
) -> None:
    """Analyze films. Exit code 0: all were read; 1: some could not be; 2: the command could not be carried out."""
    tables = [name for name, on in (("json", as_json), ("csv", as_csv), ("parquet", as_parquet)) if on]
    wanted: dict[Kind, bool] = {
        "html": as_html,
        "pdf": as_pdf,
        "sr": as_sr,
        "sc": as_sc,
        "dicom-pdf": as_dicom_pdf,
        "fhir": as_fhir,
    }
    documents = tuple(name for name, on in wanted.items() if on)
    form = _format(tables, documents)
    if documents and out is None:
        raise ConfigError("Documents need a place: add --out FOLDER.")
    if form == "parquet" and out is None:
        raise ConfigError("Parquet is no text to print: add --out FILE.")
    files = list(find_films(paths))
    # Films side by side, each on one thread: one is decoded while another is computed, and no processor waits for another's part.
    each = threads or (1 if len(files) > 1 else None)
    at_once = 1 if each is None else max(1, min(len(files), (os.cpu_count() or 1) // each))
    engine = open_given(models, policy, prevalence, each, scope, precision, trust_in(signer, signatures))
    answers = _with_progress(_monitored(answer_all(files, engine, at_once), engine, monitor), len(files))
    if documents and out is not None:
        failed = write_documents(answers, out, documents, len(files))
    elif form == "parquet" and out is not None:
        failed = write_parquet(answers, out)
    else:
        with _sink(out) as stream:
            failed = write(answers, form, stream)
    raise typer.Exit(1 if failed else 0)


def _format(tables: list[str], documents: tuple[Kind, ...]) -> Format:
    if len(tables) > 1 or (tables and documents):
        given = " and --".join((*tables, *documents))
        raise ConfigError(
            f"--{given} are given. Expected at most one of --json, --csv, --parquet, or documents of each film alone."
        )
    if documents:
        return "documents"
    return cast(Format, tables[0]) if tables else "text"


def find_films(paths: list[Path]) -> Iterator[Path]:
    """Yield every path; of a folder, its films in sorted order, hidden files left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if file.is_file() and not hidden and file.suffix.lower() in SUFFIXES:
                yield file


def answer_all(files: list[Path], engine: Engine, at_once: int = 1) -> Iterator[Answer]:
    """Yield an answer for each file, in order. So many are in work at the same time, and few more are kept."""
    with ThreadPoolExecutor(at_once) as pool:
        waiting: deque[Future[Answer]] = deque()
        try:
            for file in files:
                waiting.append(pool.submit(answer_one, file, engine))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def answer_one(file: Path, engine: Engine) -> Answer:
    """Read and analyze one file; one that can't be read is an answer too."""
    from hilum.images import ENOUGH, read_bytes, read_image
    from hilum.pipeline import analyze as analyze_image

    try:
        data = read_bytes(file)
        image = read_image(data, enough=ENOUGH)
        study = study_of(data, image)
    except InputError as error:
        return Answer(str(file), error=error)
    return Answer(str(file), analyze_image(image, engine), image, study)


def _monitored(answers: Iterator[Answer], engine: Engine, folder: Path | None) -> Iterator[Answer]:
    """Pass answers on, and write down for the monitor what each film was like."""
    if folder is None:
        yield from answers
        return
    from hilum.monitor.live import Monitor

    monitor = Monitor(folder, engine)
    for answer in answers:
        if answer.analysis is not None and answer.image is not None:
            monitor.add(answer.image, answer.analysis)
        yield answer


def study_of(data: bytes, image: Radiograph) -> StudyContext | None:
    """Return whose film it is, where it is DICOM."""
    if image.source.format != "DICOM":
        return None
    from hilum.images.study import read_study

    return read_study(data)


def _with_progress(answers: Iterator[Answer], count: int) -> Iterator[Answer]:
    """Pass answers on, with a progress bar on the error stream where somebody looks at it."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=count < 2 or not console.is_terminal) as progress:
        yield from progress.track(answers, total=count, description="Analyzing")


def _sink(out: Path | None) -> io.TextIOBase | _Standard:
    if out is None:
        return _Standard()
    try:
        return out.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"{out} can't be written: {error.strerror}.") from None


class _Standard:
    """The standard output as a context that leaves it open."""

    def __enter__(self) -> io.TextIOBase:
        return sys.stdout  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()


def write(answers: Iterator[Answer], form: Format, stream: io.TextIOBase) -> int:
    """Write answers as lines of JSON, CSV or text; return how many files could not be read."""
    from hilum.report import CSV_COLUMNS, csv_rows

    failed = 0
    table = csv.DictWriter(stream, CSV_COLUMNS, lineterminator="\n")
    if form == "csv":
        table.writeheader()
    for answer in answers:
        failed += answer.analysis is None
        if form == "json":
            stream.write(json.dumps(to_line(answer), ensure_ascii=False, allow_nan=False) + "\n")
        elif form == "csv" and answer.analysis is not None:
            table.writerows(csv_rows(answer.file, answer.analysis))
        elif form == "csv" and answer.error is not None:
            table.writerow({"file": answer.file, "error": answer.error.code})
        else:
            from hilum.cli.text import print_answer

            print_answer(answer, Console(file=stream))  # type: ignore[arg-type]
    return failed


def to_line(answer: Answer) -> dict[str, object]:
    """Return one answer as the object of its line. Heat maps are left out: reports and the HTTP interface have them."""
    from hilum.report import to_dict

    if answer.analysis is None:
        error = answer.error or InputError("not read")
        return {"file": answer.file, "error": {"code": error.code, "message": str(error)}}
    content = to_dict(answer.analysis)
    del content["heatmaps"], content["no_heatmap"], content["withheld_heatmaps"]
    return {"file": answer.file, **content}
