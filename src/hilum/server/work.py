"""What a worker does with one film: bytes in, the answer's bytes out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from hilum.images import DEFAULT_LIMITS, ENOUGH, read_image
from hilum.pipeline import Engine, analyze
from hilum.records import Radiograph
from hilum.report import film_png, ml_analysis, to_html


@dataclass(frozen=True, slots=True)
class Answer:
    """One film's answer, with what log and metrics may know of it."""

    body: bytes
    """JSON, UTF-8."""
    accepted: bool
    reasons: tuple[str, ...]
    """Codes of what refused it."""
    sha256: str
    """Of the film as given, hex."""
    seconds: Mapping[str, float]
    """By stage."""
    warnings: tuple[str, ...] = ()
    """Codes of what else must be known of it."""


class Work(Protocol):
    """What a worker does with one film: ``data`` in, the answer out, with the film as a picture where ``film`` is true."""

    def __call__(self, data: bytes, film: bool) -> Answer: ...


def work_with(engine: Engine, max_bytes: int) -> Work:
    """Return the work that ``engine`` does on films of at most ``max_bytes`` bytes."""
    limits = replace(DEFAULT_LIMITS, max_bytes=max_bytes)

    def work(data: bytes, film: bool) -> Answer:
        seconds: dict[str, float] = {}
        with _timed(seconds, "read"):
            image = read_image(data, limits, ENOUGH)
        with _timed(seconds, "analyze"):
            analysis = analyze(image, engine)
        with _timed(seconds, "render"):
            result = to_html(analysis, image).decode()
            answer = ml_analysis(analysis)
            if film:
                answer["details"] |= {"film": film_url(image), "film_size": list(image.pixels.shape[::-1])}
        answer["details"]["timings"] = {f"{stage}_ms": round(1000 * value, 1) for stage, value in seconds.items()}
        return Answer(
            body=json.dumps({"result": result, "analysis": answer}, ensure_ascii=False, allow_nan=False).encode(),
            accepted=analysis.verdict.accepted,
            reasons=tuple(reason.code for reason in analysis.verdict.refusals),
            warnings=tuple(reason.code for reason in analysis.verdict.warnings),
            sha256=image.source.sha256,
            seconds=seconds,
        )

    return work


def film_url(image: Radiograph) -> str:
    """Return the film as browsers can show it, whatever it came as: a data URL of an 8-bit grey PNG, bright = dense."""
    return f"data:image/png;base64,{base64.b64encode(film_png(image)).decode()}"


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = perf_counter()
    yield
    seconds[stage] = perf_counter() - start
