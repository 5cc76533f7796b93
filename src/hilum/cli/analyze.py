"""``hilum analyze``: films in, answers out, one after the other; a broken one is reported and the rest goes on."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from hilum.cli.options import Models, PolicyOption, Prevalences, Scopes, Threads, open_given
from hilum.errors import ConfigError, HilumError, InputError

if TYPE_CHECKING:
    from hilum.pipeline import Engine
    from hilum.records import Analysis, Radiograph

Format = Literal["text", "json", "csv", "html"]
SUFFIXES = frozenset({"", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom", ".dic"})
"""In a folder, files with these suffixes are films, or broken films; others (tables, notes) are passed over."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What became of one file: an analysis with its radiograph, or an error."""

    file: str
    analysis: Analysis | None = None
    image: Radiograph | None = None
    error: HilumError | None = None


def analyze(
    paths: Annotated[list[Path], typer.Argument(help="Films, or folders of films.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, in input order.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One row a finding.")] = False,
    as_html: Annotated[bool, typer.Option("--html", help="One report a film.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write instead of printing; a folder for --html.")] = None,
    models: Models = None,
    policy: PolicyOption = "youden",
    prevalence: Prevalences = None,
    threads: Threads = None,
    scope: Scopes = None,
) -> None:
    """Analyze films. Exit code 0: all were read; 1: some could not be; 2: the command could not be carried out."""
    form = _format(as_json, as_csv, as_html)
    if form == "html" and out is None:
        raise ConfigError("Reports need a place: add --out FOLDER.")
    files = list(find_films(paths))
    engine = open_given(models, policy, prevalence, threads, scope)
    answers = _with_progress(answer_all(files, engine), len(files))
    if form == "html" and out is not None:
        failed = write_reports(answers, out)
    else:
        with _sink(out) as stream:
            failed = write(answers, form, stream)
    raise typer.Exit(1 if failed else 0)


def _format(as_json: bool, as_csv: bool, as_html: bool) -> Format:
    chosen: list[Format] = []
    chosen += ["json"] if as_json else []
    chosen += ["csv"] if as_csv else []
    chosen += ["html"] if as_html else []
    if len(chosen) > 1:
        raise ConfigError(f"--{' and --'.join(chosen)} are given. Expected at most one of them.")
    return chosen[0] if chosen else "text"


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


def answer_all(files: list[Path], engine: Engine) -> Iterator[Answer]:
    """Yield an answer for each file, in order."""
    from hilum.images import ENOUGH, read_image
    from hilum.pipeline import analyze as analyze_image

    for file in files:
        try:
            image = read_image(file, enough=ENOUGH)
        except InputError as error:
            yield Answer(str(file), error=error)
        else:
            yield Answer(str(file), analyze_image(image, engine), image)


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
    del content["heatmaps"], content["no_heatmap"]
    return {"file": answer.file, **content}


def write_reports(answers: Iterator[Answer], folder: Path) -> int:
    """Write one HTML document a film into ``folder``; return how many files could not be read. Raises ConfigError.

    A film that could not be is told by its number: the error stream is often kept, and a name may name the patient.
    """
    from hilum.report import to_html

    failed = 0
    errors = Console(stderr=True)
    for number, answer in enumerate(answers, 1):
        if answer.analysis is None:
            failed += 1
            errors.print(f"film {number}: {answer.error}", highlight=False, markup=False, soft_wrap=True)
            continue
        # Two films of one name in two folders must not overwrite each other's report.
        name = f"{Path(answer.file).stem}-{answer.analysis.source.sha256[:8]}.html"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(to_html(answer.analysis, answer.image))
        except OSError as error:
            raise ConfigError(f"A report can't be written into the folder of --out: {error.strerror}.") from None
    return failed
