"""``hilum watch``: a folder as an inbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hilum.cli.analyze import SUFFIXES, to_line
from hilum.cli.answer import Answer
from hilum.cli.options import (
    SIGNATURES,
    Models,
    MonitorOption,
    PolicyOption,
    Prevalences,
    Scopes,
    SignaturesOption,
    Signers,
    Threads,
    need_hospital,
    open_given,
    parse_names,
    stop_signal,
    trust_in,
)
from hilum.errors import ConfigError, InputError

if TYPE_CHECKING:
    from hilum.monitor.live import Monitor
    from hilum.pipeline import Engine

SUFFIXES_OF: Mapping[str, str] = {"html": "html", "sr": "sr.dcm", "sc": "sc.dcm"}
"""What can be written besides the record, with the end of its file's name."""


def watch(
    folder: Annotated[Path, typer.Argument(help="Folder to watch, with the folders in it.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder for results; without, they go beside each film.")] = None,
    write: Annotated[
        str, typer.Option(metavar="NAMES", help="What to write besides the JSON record, such as html,sr,sc.")
    ] = "",
    settle: Annotated[float, typer.Option(min=0, help="Seconds that a file must not have changed.")] = 2.0,
    poll: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks into the folder.")] = 1.0,
    models: Models = None,
    policy: PolicyOption = "youden",
    prevalence: Prevalences = None,
    scope: Scopes = None,
    signer: Signers = None,
    signatures: SignaturesOption = SIGNATURES,
    threads: Threads = None,
    monitor: MonitorOption = None,
) -> None:
    """Analyze each film that appears in a folder, once, until stopped."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder. Expected the folder that films are put into.")
    extras = parse_names(write, SUFFIXES_OF)
    if "sr" in extras or "sc" in extras:
        need_hospital()
    from hilum import logs
    from hilum.images import DEFAULT_LIMITS
    from hilum.monitor.live import Monitor
    from hilum.node.watch import Watch, run_watch

    logs.configure("info")
    engine = open_given(models, policy, prevalence, threads, scope, trust=trust_in(signer, signatures))
    shown = None if monitor is None else Monitor(monitor, engine)
    stop = stop_signal()
    Console().print(f"hilum is watching {folder}", highlight=False, markup=False, soft_wrap=True)
    run_watch(Watch(folder, out, settle, poll, SUFFIXES, DEFAULT_LIMITS.max_bytes), reader(engine, extras, shown), stop)


def reader(
    engine: Engine, extras: tuple[str, ...], monitor: Monitor | None = None
) -> Callable[[Path, bytes], dict[str, bytes]]:
    """Return what reads a film and gives its files by suffix: the record, and what else is asked for.

    SR and SC are of DICOM films only. A film that can't be read has a record that says why, and so is not tried again.
    """
    from hilum.images import read_image
    from hilum.images.study import read_study
    from hilum.pipeline import analyze
    from hilum.report import to_html, to_sc, to_sr

    def read(path: Path, data: bytes) -> dict[str, bytes]:
        try:
            image = read_image(data)
            study = read_study(data) if {"sr", "sc"} & {*extras} else None
        except InputError as error:
            return {"json": _record(Answer(path.name, error=error))}
        analysis = analyze(image, engine)
        if monitor is not None:
            monitor.add(image, analysis)
        now = datetime.now()
        files = {}
        for extra in extras:
            if extra == "html":
                files[SUFFIXES_OF[extra]] = to_html(analysis, image)
            elif study is not None:
                files[SUFFIXES_OF[extra]] = (
                    to_sr(analysis, study, now) if extra == "sr" else to_sc(analysis, image, study, now)
                )
        return files | {"json": _record(Answer(path.name, analysis, image))}

    return read


def _record(answer: Answer) -> bytes:
    return json.dumps(to_line(answer), ensure_ascii=False, allow_nan=False).encode() + b"\n"
