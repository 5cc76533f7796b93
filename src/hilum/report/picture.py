"""One picture for people: the film, the heat map of its leading finding over it, and a legend beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hilum.findings import NORMAL
from hilum.records import Analysis, Finding, Heatmap, Radiograph
from hilum.report.film import STOPS, mean_map, overlay, thumbnail
from hilum.report.numbers import percent
from hilum.report.words import RESEARCH, advice, label, map_caption, not_assessed, present, software, warnings

HEIGHT = 1200
FILM_WIDTH = 1200
PANEL_WIDTH = 640
MARGIN = 32
WHITE, GREY, AMBER, DARK = (255, 255, 255), (168, 176, 186), (255, 190, 92), (16, 18, 22)
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the legend; ``number`` stands at its right edge, a line without text is a gap of its size."""

    text: str
    size: int = 22
    colour: Colour = WHITE
    bold: bool = False
    number: str = ""


def leading_map(analysis: Analysis) -> Heatmap | None:
    """Return the heat map of the first finding that is present, or else of the first finding; None without any map."""
    order = (*present(analysis), *(finding for finding in analysis.findings if finding.name != NORMAL))
    return next((found for one in order if (found := mean_map(analysis.heatmaps, one.name)) is not None), None)


def draw_picture(analysis: Analysis, image: Radiograph) -> Image.Image:
    """Return an RGB picture of 1840×1200 pixels: the film at the left, in colour only where the heat map is."""
    heatmap = leading_map(analysis)
    whole = max(image.pixels.shape)
    film = thumbnail(image, whole) if heatmap is None else overlay(thumbnail(image, HEIGHT), image, heatmap)
    scale = min(FILM_WIDTH / film.width, HEIGHT / film.height)
    film = film.resize((round(film.width * scale), round(film.height * scale)), Image.Resampling.BICUBIC)
    picture = Image.new("RGB", (FILM_WIDTH + PANEL_WIDTH, HEIGHT))
    picture.paste(film.convert("RGB"), ((FILM_WIDTH - film.width) // 2, (HEIGHT - film.height) // 2))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((FILM_WIDTH, 0, *picture.size), fill=DARK)
    bottom = HEIGHT - MARGIN
    if heatmap is not None:
        bottom = _scale(picture, draw, bottom)
    _write(draw, [*legend(analysis, heatmap)], bottom)
    return picture


def legend(analysis: Analysis, heatmap: Heatmap | None) -> Iterator[Line]:
    """Yield what stands beside the film, line by line."""
    name, version = software(analysis)
    yield Line(RESEARCH.upper(), 26, AMBER, bold=True)
    yield Line("", 10)
    yield Line(f"Chest radiograph, read by {name} {version}", 24, bold=True)
    yield Line("", 10)
    if not analysis.verdict.accepted:
        yield Line("This film was not read.", 28, AMBER, bold=True)
        for reason in analysis.verdict.refusals:
            yield Line(reason.message)
    else:
        yield from _answer(analysis, heatmap)
    yield Line("", 10)
    for model in analysis.provenance.models:
        yield Line(f"{model.name}, version {model.version}, sha256 {model.sha256[:12]}", 16, GREY)
    yield Line(f"Operating points: {analysis.provenance.policy}. Not reviewed by a person.", 16, GREY)


def _answer(analysis: Analysis, heatmap: Heatmap | None) -> Iterator[Line]:
    if analysis.ensemble_confidence is not None:
        yield Line(f"{analysis.level}: ensemble confidence {analysis.ensemble_confidence:.1f}", 26, bold=True)
        yield Line(advice(analysis), 18, GREY)
    yield Line("", 10)
    yield Line("Confidence 0-100, and operating point", 16, GREY, number="present if >=")
    for finding in analysis.findings:
        yield _row(finding)
    yield Line("", 6)
    for text in filter(None, (*warnings(analysis), not_assessed(analysis))):
        yield Line(text, 17, AMBER if text in warnings(analysis) else GREY)
    if heatmap is None:
        yield Line("No model gives a heat map.", 17, GREY)
    else:
        yield Line("", 6)
        yield Line(map_caption(heatmap), 17, GREY)


def _row(finding: Finding) -> Line:
    point = "no point" if finding.threshold is None else f"{percent(finding.threshold):.1f}"
    present_here = bool(finding.positive)
    return Line(
        f"{percent(finding.confidence):5.1f}   {label(finding)}",
        22,
        WHITE if present_here else GREY,
        bold=present_here,
        number=f"{'PRESENT   ' if present_here else ''}{point}",
    )


def _write(draw: ImageDraw.ImageDraw, lines: list[Line], bottom: int) -> None:
    """Write lines from the top of the panel. What does not fit shrinks, so that nothing is left out."""
    shrink = 1.0
    while (heights := _lay_out(draw, lines, shrink, None)) > bottom - 2 * MARGIN and shrink > 0.4:
        shrink *= min(0.97, (bottom - 2 * MARGIN) / heights)
    _lay_out(draw, lines, shrink, draw)


def _lay_out(measure: ImageDraw.ImageDraw, lines: list[Line], shrink: float, draw: ImageDraw.ImageDraw | None) -> int:
    """Return how high lines are; write them where ``draw`` is given."""
    left, right, y = FILM_WIDTH + MARGIN, FILM_WIDTH + PANEL_WIDTH - MARGIN, MARGIN
    for line in lines:
        size = max(9, round(line.size * shrink))
        font = ImageFont.load_default(size)
        stroke = 0.5 if line.bold else 0
        room = right - left - (measure.textlength(plain(line.number), font) + size if line.number else 0)
        for count, part in enumerate(_wrap(measure, plain(line.text), font, room)):
            if draw is not None:
                draw.text((left, y), part, line.colour, font, stroke_width=stroke)
            if draw is not None and not count and line.number:
                draw.text((right, y), plain(line.number), line.colour, font, "ra", stroke_width=stroke)
            y += round(size * 1.36)
        y += 0 if line.text else size
    return y - MARGIN


def _wrap(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float
) -> list[str]:
    if draw.textlength(text, font) <= room:
        return [text] if text else []
    letters = max(8, int(len(text) * room / draw.textlength(text, font)) - 2)
    return textwrap.wrap(text, letters)


def _scale(picture: Image.Image, draw: ImageDraw.ImageDraw, bottom: int) -> int:
    """Draw the heat map's colours with their ends named, and return where they begin."""
    left, width, height = FILM_WIDTH + MARGIN, PANEL_WIDTH - 2 * MARGIN, 16
    places = np.linspace(0, len(STOPS) - 1, width)
    bar = np.stack([np.interp(places, range(len(STOPS)), STOPS[:, channel]) for channel in range(3)], axis=-1)
    picture.paste(
        Image.fromarray(np.repeat(np.rint(bar)[np.newaxis], height, axis=0).astype(np.uint8)), (left, bottom - height)
    )
    font = ImageFont.load_default(16)
    draw.text((left, bottom - height - 24), "heat map: little", GREY, font)
    draw.text((left + width, bottom - height - 24), "most", GREY, font, "ra")
    return bottom - height - 40


def plain(text: str) -> str:
    """Return text in ASCII: the one font that is always at hand has no other letters."""
    signs = str.maketrans({"–": "-", "—": "-", "×": "x", "≥": ">=", "≤": "<=", "’": "'", "“": '"', "”": '"'})
    return text.translate(signs).encode("ascii", "replace").decode()
