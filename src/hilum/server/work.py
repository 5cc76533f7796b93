"""What a worker does with one film: bytes in, the answer's bytes out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from hilum.images import DEFAULT_LIMITS, ENOUGH, read_image
from hilum.monitor.live import Monitor
from hilum.pipeline import Engine, analyze
from hilum.records import Analysis, Radiograph
from hilum.report import film_png, ml_analysis, to_html
from hilum.report.documents import FORMS, Kind, render

if TYPE_CHECKING:
    from hilum.images.study import StudyContext


@dataclass(frozen=True, slots=True)
class Answer:
    """One film's answer, with what log and metrics may know of it."""

    body: bytes
    """JSON, UTF-8, or a document."""
    accepted: bool
    reasons: tuple[str, ...]
    """Codes of what refused it."""
    sha256: str
    """Of the film as given, hex."""
    seconds: Mapping[str, float]
    """By stage."""
    warnings: tuple[str, ...] = ()
    """Codes of what else must be known of it."""
    media_type: str = "application/json"
    study: str = field(default="", repr=False)
    """Study Instance UID, and the SOP Instance UID below; empty where the film has none. For the audit's hashes alone."""
    instance: str = field(default="", repr=False)


class Work(Protocol):
    """What a worker does with one film: ``data`` in, the answer out, with the film as a picture where ``film`` is true.

    With ``kind``, the answer is that document.
    """

    def __call__(self, data: bytes, film: bool, kind: Kind | None = None) -> Answer: ...


def work_with(engine: Engine, max_bytes: int, monitor: Monitor | None = None) -> Work:
    """Return the work that ``engine`` does on films of at most ``max_bytes`` bytes, each of which ``monitor`` is shown."""
    limits = replace(DEFAULT_LIMITS, max_bytes=max_bytes)

    def work(data: bytes, film: bool, kind: Kind | None = None) -> Answer:
        seconds: dict[str, float] = {}
        with _timed(seconds, "read"):
            image = read_image(data, limits, ENOUGH)
        with _timed(seconds, "analyze"):
            analysis = analyze(image, engine)
            if monitor is not None:
                monitor.add(image, analysis)
        with _timed(seconds, "render"):
            study = _study(data, image)
            body = _answer(analysis, image, film, seconds) if kind is None else _document(kind, study, analysis, image)
        return Answer(
            body=body,
            accepted=analysis.verdict.accepted,
            reasons=tuple(reason.code for reason in analysis.verdict.refusals),
            warnings=tuple(reason.code for reason in analysis.verdict.warnings),
            sha256=image.source.sha256,
            seconds=seconds,
            media_type="application/json" if kind is None else FORMS[kind].media_type,
            study="" if study is None else study.study,
            instance="" if study is None else study.sop_instance,
        )

    return work


def _answer(analysis: Analysis, image: Radiograph, film: bool, seconds: Mapping[str, float]) -> bytes:
    start = perf_counter()
    result = to_html(analysis, image).decode()
    answer = ml_analysis(analysis)
    if film:
        answer["details"] |= {"film": film_url(image), "film_size": list(image.pixels.shape[::-1])}
    timings = {**seconds, "render": perf_counter() - start}
    answer["details"]["timings"] = {f"{stage}_ms": round(1000 * value, 1) for stage, value in timings.items()}
    return json.dumps({"result": result, "analysis": answer}, ensure_ascii=False, allow_nan=False).encode()


def _study(data: bytes, image: Radiograph) -> StudyContext | None:
    if image.source.format != "DICOM":
        return None
    from hilum.images.study import read_study  # pydicom, which a PNG need not wait for

    return read_study(data)


def _document(kind: Kind, study: StudyContext | None, analysis: Analysis, image: Radiograph) -> bytes:
    return render(kind, analysis, image, study, datetime.now().astimezone())


def film_url(image: Radiograph) -> str:
    """Return the film as browsers can show it, whatever it came as: a data URL of an 8-bit grey PNG, bright = dense."""
    return f"data:image/png;base64,{base64.b64encode(film_png(image)).decode()}"


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[stage] = perf_counter() - start
