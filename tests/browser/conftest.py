"""A real service on a free port, and Chromium at its page."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hilum.cli.serve import address, http_server, listen
from hilum.findings import CUSTOM_CNN_OUTPUTS, DENSENET121_OUTPUTS, MOBILENETV2_OUTPUTS
from hilum.images import read_image
from hilum.levels import level, recommendation
from hilum.pipeline import Engine, open_engine
from hilum.records import (
    Analysis,
    Finding,
    Heatmap,
    MemberFinding,
    MemberResult,
    ModelProvenance,
    Provenance,
    Radiograph,
    Reason,
    TrainedOn,
    Verdict,
)
from hilum.registry import find_bundles, shipped_folder
from hilum.report import ml_analysis, to_html
from hilum.server.app import create_app
from hilum.server.settings import Settings
from hilum.server.work import Answer, Work, film_url, work_with

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NIH = TrainedOn(
    "NIH ChestX-ray14",
    images=5791,
    patients=3402,
    image_licence="NIH Clinical Center, free use with attribution",
    label_licence="NIH",
    label_sources=("NIH text mining", "RSNA 2018 readers"),
    citation="Wang et al. 2017",
)
DENSENET, MOBILENET, CUSTOM, GUEST = (
    "DenseNet121 (NIH ChestX-ray14-trained)",
    "MobileNetV2 (NIH ChestX-ray14-trained)",
    "HilumCNN (NIH ChestX-ray14-trained)",
    "DenseNet121 (CheXpert, declared)",
)
CONFIDENCE = {
    "Effusion": 88.0, "Cardiomegaly": 71.5, "Normal": 58.0, "Atelectasis": 55.0, "Opacity": 49.5, "Pneumonia": 44.0,
    "Consolidation": 41.0, "Infiltration": 38.0, "Pneumothorax": 35.5, "Edema": 33.0, "Nodule": 28.0, "Lesion": 21.0,
    "Pleural Thickening": 17.5, "Emphysema": 12.0, "Fibrosis": 9.5,
}  # fmt: skip
OUTPUTS = {DENSENET: DENSENET121_OUTPUTS, MOBILENET: MOBILENETV2_OUTPUTS, CUSTOM: CUSTOM_CNN_OUTPUTS}


def conflicting(image: Radiograph) -> Analysis:
    """Return an answer that has everything a page must be able to show: above and below, Normal above too, a member that is
    not calibrated and gives no heat map, one finding without an operating point, outputs that are not assessed."""
    members = tuple(_member(model, names, 4.0 * place - 4.0) for place, (model, names) in enumerate(OUTPUTS.items()))
    findings = tuple(sorted((_finding(name, members) for name in CONFIDENCE), key=lambda it: -it.confidence))
    height, width = image.pixels.shape
    maps = [
        _heatmap(one.name, member.model, width, height, place)
        for place, member in enumerate(members)
        for one in member.predictions
    ]
    raw = MemberFinding("Effusion", 0.31, None, 31.0, None, None, None)
    guest = MemberResult(GUEST, "chexpert", None, False, False, (raw,), (), ("label order assumed",))
    return Analysis(
        image.source,
        Verdict(True, (Reason("paediatric", "The header says that the patient is under 18.", "warn", "header"),)),
        Provenance("hilum 0.1.0", tuple(_provenance(model) for model in (*OUTPUTS, GUEST)), "youden"),
        findings,
        ("Fracture", "Tuberculosis"),
        (*members, guest),
        tuple(maps),
        {GUEST: "the network has no pooled head"},
        88.0,
        level(88.0),
        recommendation(88.0),
        ("Normal is above its operating point, and so are Effusion and Cardiomegaly.",),
    )


def _member(model: str, names: tuple[str, ...], shift: float) -> MemberResult:
    assessed = sorted((name for name in CONFIDENCE if name in names), key=lambda name: -CONFIDENCE[name])
    predictions = tuple(_prediction(name, CONFIDENCE[name] + shift) for name in assessed)
    slot = {DENSENET: "densenet", MOBILENET: "mobilenet", CUSTOM: "custom"}[model]
    missing = tuple(name for name in ("Fracture", "Tuberculosis") if name in names)
    return MemberResult(model, slot, slot, True, True, predictions, missing, votes=2 if model == MOBILENET else 1)  # type: ignore[arg-type]


def _prediction(name: str, confidence: float) -> MemberFinding:
    evidence = math.log(confidence / (100 - confidence))
    return MemberFinding(name, confidence / 150, evidence, confidence, _probability(evidence), 54.0, confidence >= 54)


def _finding(name: str, members: tuple[MemberResult, ...]) -> Finding:
    own = {member.model: one.confidence for member in members for one in member.predictions if one.name == name}
    confidence = sum(own.values()) / len(own)
    evidence = math.log(confidence / (100 - confidence))
    known = name != "Fibrosis"
    return Finding(
        name=name,
        confidence=confidence,
        evidence=evidence,
        probability=_probability(evidence),
        prevalence=0.05,
        spread=max(own.values()) - min(own.values()) if len(own) > 1 else None,
        threshold=54.0 if known else None,
        positive=confidence >= 54 if known else None,
        sensitivity=0.78 if known else None,
        specificity=0.74 if known else None,
        members=own,
    )


def _probability(evidence: float) -> float:
    return 1 / (1 + math.exp(-evidence - math.log(0.05 / 0.95)))


def _heatmap(finding: str, model: str, width: int, height: int, place: int) -> Heatmap:
    """Return a blob whose place depends on the finding."""
    at = list(CONFIDENCE).index(finding)
    y, x = np.mgrid[0:7, 0:7]
    distance = (x - (5 - at % 4 - 0.3 * place)) ** 2 + (y - (3.3 + at % 3)) ** 2
    return Heatmap(finding, model, np.exp(-distance / 3).astype(np.float32), (0.0, 0.0, float(width), float(height)))


def _provenance(model: str) -> ModelProvenance:
    trained = TrainedOn("CheXpert", declared=True) if model == GUEST else NIH
    warnings = ("label order assumed",) if model == GUEST else ()
    return ModelProvenance(model, model.split()[0].lower(), "1.0.0", "ab" * 32, "fp32", trained, warnings)


def work_of(answer: Callable[[Radiograph], Analysis]) -> Work:
    """Return work that gives ``answer(film)`` through the same renderers as the service's own."""

    def work(data: bytes, film: bool, kind: Any = None) -> Answer:
        image = read_image(data)
        analysis = answer(image)
        body = ml_analysis(analysis)
        timings = {"read_ms": 3.1, "analyze_ms": 95.0, "render_ms": 12.0}
        body["details"] |= {"film": film_url(image), "film_size": list(image.pixels.shape[::-1]), "timings": timings}
        content = json.dumps({"result": to_html(analysis, image).decode(), "analysis": body})
        return Answer(content.encode(), analysis.verdict.accepted, (), image.source.sha256, {})

    return work


@contextlib.contextmanager
def serving(work: Work, engine: Engine, **settings: Any) -> Iterator[str]:
    """Run the service until the block ends; give its address."""
    server = http_server(create_app(Settings(**settings), engine, work), Settings(**settings))
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address(listener)
    finally:
        server.should_exit = True
        thread.join(30)


# A module's tests stand together in any order, so that Playwright's event loop ends before other modules start theirs.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium: the system's where there is one, else Playwright's own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def main_engine(tiny_folder: Path) -> Engine:
    """The engine of the bundles that ship; of tiny ones in a tree whose networks are not trained yet."""
    return open_engine(None if find_bundles(shipped_folder()) else tiny_folder, threads=1)


@pytest.fixture
def visit(chromium: Browser, tiny_engine: Engine) -> Iterator[Callable[..., Page]]:
    """A function that opens the page of a new service: ``visit(answer=…)`` gives that analysis of every film, without it the
    ``engine`` answers, which is a tiny one by default; ``browser`` holds options of the browser's context, the rest are settings.

    When the test ends, nothing may have gone to another origin, and the console may hold no error but answers of 4xx and 5xx.
    """
    with contextlib.ExitStack() as stack:
        seen: list[tuple[str, str]] = []

        def open_page(
            answer: Any = None, engine: Engine = tiny_engine, browser: dict[str, Any] | None = None, **settings: Any
        ) -> Page:
            work = work_with(engine, 2**26) if answer is None else work_of(answer)
            where = stack.enter_context(serving(work, engine, **settings))
            context = chromium.new_context(**browser or {})
            stack.callback(context.close)
            context.set_default_timeout(10_000)
            page = context.new_page()
            page.on("console", lambda message: message.type == "error" and seen.append(("console", message.text)))
            page.on("pageerror", lambda error: seen.append(("error", str(error))))
            page.on("request", lambda request: is_own(request.url, where) or seen.append(("request", request.url)))
            page.goto(where)
            page.get_by_role("button", name="Cardiomegaly").wait_for()
            return page

        yield open_page
        assert [what for what in seen if not what[1].startswith("Failed to load resource")] == []


def is_own(url: str, where: str) -> bool:
    """Whether a request stays with the service or within the browser."""
    return url.startswith((f"{where}/", "data:", "blob:", "about:"))


@pytest.fixture
def rich() -> Callable[[Radiograph], Analysis]:
    """An answer with everything in it."""
    return conflicting
