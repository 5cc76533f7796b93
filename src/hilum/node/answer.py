"""A film's bytes to the DICOM objects that go back: read, analyzed, written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from hilum.errors import UnreadableImage
from hilum.images import Limits, read_image
from hilum.images.study import StudyContext, read_study
from hilum.monitor.live import Monitor
from hilum.node.worker import Answer, Read
from hilum.pipeline import Engine, analyze
from hilum.records import Analysis, Radiograph
from hilum.report import to_sc, to_sr

OWN = "hilum"
"""The manufacturer that hilum's own objects name."""

Write = Callable[[Analysis, Radiograph, StudyContext, datetime], bytes]
WRITERS: Mapping[str, Write] = {
    "sr": lambda analysis, _, study, now: to_sr(analysis, study, now),
    "sc": to_sc,
}
"""By the name of a result, as settings and options have it."""


def read_with(engine: Engine, returns: Sequence[str], limits: Limits, monitor: Monitor | None = None) -> Read:
    """Return what reads films with ``engine`` and writes these results of each, the ones of a refused film too.

    ``monitor`` is shown each film that was read.
    """

    def read(data: bytes) -> Answer:
        study = read_study(data, limits)
        if study is None:
            raise UnreadableImage("The film has no valid SOP, series and study UIDs, so no result could refer to it.")
        if study.manufacturer == OWN:
            # A PACS that sends every new image would otherwise send the picture of a result, and the picture of that.
            return Answer([], False, ("own_result",))
        image = read_image(data, limits)
        analysis = analyze(image, engine)
        if monitor is not None:
            monitor.add(image, analysis)
        now = datetime.now()
        results = [WRITERS[name](analysis, image, study, now) for name in returns]
        reasons = tuple(reason.code for reason in analysis.verdict.reasons)
        return Answer(results, analysis.verdict.accepted, reasons)

    return read
