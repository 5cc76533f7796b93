"""Films as people send them by mistake: turned, inverted, cropped, blurred, drawn upon, badly exposed, photographed …

Each spoiler takes and returns a film H×W, float32, 0–1, bright = dense, and draws what it needs from a generator.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from hilum.records import Array

Rng = np.random.Generator
Spoiler = Callable[[Array, Rng], Array]
Bytes = npt.NDArray[np.uint8]


def _picture(film: Array) -> Image.Image:
    return Image.fromarray(np.asarray(np.clip(film, 0, 1) * 255, dtype=np.uint8))


def _film(picture: Image.Image) -> Array:
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def vary(film: Array, rng: Rng) -> Array:
    """Another exposure, shape and margin: a film as another hospital would have taken it, and no less fit to be read."""
    rows, columns = film.shape
    top, bottom, left, right = (rng.uniform(0, 0.05, 4) * (rows, rows, columns, columns)).astype(int)
    part = film[top : rows - bottom, left : columns - right]
    stretch = float(np.exp(rng.uniform(-0.28, 0.28)))
    size = max(64, int(part.shape[1] * stretch)), part.shape[0]
    exposed = _film(_picture(part).resize(size, Image.Resampling.BILINEAR)) ** np.float32(
        np.exp(rng.uniform(-0.4, 0.4))
    )
    return np.asarray(exposed, dtype=np.float32)


def turn_left(film: Array, _: Rng) -> Array:
    """A quarter turn against the clock."""
    return np.rot90(film, 1).copy()


def turn_over(film: Array, _: Rng) -> Array:
    """Upside down."""
    return np.rot90(film, 2).copy()


def turn_right(film: Array, _: Rng) -> Array:
    """A quarter turn with the clock."""
    return np.rot90(film, 3).copy()


def invert(film: Array, _: Rng) -> Array:
    """Bright and dark exchanged."""
    return np.asarray(1 - film, dtype=np.float32)


def crop(film: Array, rng: Rng) -> Array:
    """What is left of a film that lost 40–65 % of a side: one lung, the upper or the lower half, or the middle."""
    rows, columns = film.shape
    tall, wide = (float(rng.uniform(0.35, 0.6)), 1.0) if rng.random() < 0.4 else (1.0, float(rng.uniform(0.35, 0.6)))
    if rng.random() < 0.35:
        tall = wide = float(rng.uniform(0.35, 0.55))
    height, width = int(rows * tall), int(columns * wide)
    top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, columns - width + 1))
    return film[top : top + height, left : left + width].copy()


def blur(film: Array, rng: Rng) -> Array:
    """A thumbnail of 24–72 pixels, enlarged again."""
    side = int(rng.integers(24, 73))
    picture = _picture(film)
    return _film(picture.resize((side, side), Image.Resampling.BILINEAR).resize(picture.size, Image.Resampling.BICUBIC))


def collage(film: Array, rng: Rng) -> Array:
    """Two or four films on one picture; the others are mirrored, darker or brighter ones of the same."""
    picture = _picture(film)
    down, across = [(1, 2), (2, 1), (2, 2)][int(rng.integers(0, 3))]
    gap = int(rng.integers(0, 9))
    page = Image.new(
        "L",
        (across * picture.width + (across - 1) * gap, down * picture.height + (down - 1) * gap),
        int(rng.choice([0, 255])),
    )
    for row in range(down):
        for column in range(across):
            one = np.clip(film * float(rng.uniform(0.6, 1.2)) + float(rng.uniform(-0.1, 0.1)), 0, 1)
            one = one[:, ::-1] if rng.random() < 0.3 else one
            page.paste(_picture(one), (column * (picture.width + gap), row * (picture.height + gap)))
    page.thumbnail((512, 512))
    return _film(page)


def draw_upon(film: Array, rng: Rng) -> Array:
    """Arrows, circles and a line of large writing across the film."""
    picture = _picture(film).resize((512, 512))
    pen = ImageDraw.Draw(picture)
    ink = int(rng.choice([0, 255]))
    for _ in range(int(rng.integers(2, 5))):
        x, y, size = (int(value) for value in rng.integers((60, 60, 30), (450, 450, 110)))
        width = int(rng.integers(4, 9))
        if rng.random() < 0.5:
            pen.ellipse((x - size, y - size, x + size, y + size), outline=ink, width=width)
        else:
            pen.line((x - size, y - size, x, y), fill=ink, width=width)
            pen.polygon([(x + 8, y + 8), (x - 16, y + 2), (x + 2, y - 16)], fill=ink)
    words = ("PNEUMONIA ?", "see here", "left lower lobe", "CASE 17", "www.example.org")
    font = ImageFont.load_default(size=int(rng.integers(28, 60)))
    place = (int(rng.integers(10, 150)), int(rng.integers(20, 430)))
    pen.text(place, str(rng.choice(words)), fill=ink, font=font)
    return _film(picture)


def underexpose(film: Array, rng: Rng) -> Array:
    """Nearly all grey values in the lowest seventh, with noise."""
    return np.asarray(
        np.clip(film * float(rng.uniform(0.05, 0.14)) + rng.normal(0, 0.01, film.shape), 0, 1), dtype=np.float32
    )


def overexpose(film: Array, rng: Rng) -> Array:
    """Most of the film burnt out to white."""
    return np.asarray(np.clip(film * float(rng.uniform(2.5, 4)) + float(rng.uniform(0.1, 0.4)), 0, 1), dtype=np.float32)


def photograph(film: Array, rng: Rng) -> Array:
    """A screen photographed aslant: perspective, a bright reflection, the pattern of the pixels, a dark surround."""
    picture = _picture(film).resize((400, 400))
    scene = Image.new("L", (512, 512), int(rng.integers(10, 90)))
    scene.paste(picture, (56, 56))
    corners = rng.uniform(-45, 45, (4, 2)) + np.array([[0, 0], [0, 511], [511, 511], [511, 0]])
    scene = scene.transform((512, 512), Image.Transform.QUAD, tuple(corners.flatten()), Image.Resampling.BILINEAR)
    rows, columns = np.mgrid[0:512, 0:512].astype(np.float32)
    pitch, angle = float(rng.uniform(3, 9)), float(rng.uniform(0, np.pi))
    pattern = 0.05 * np.sin(2 * np.pi * (rows * np.sin(angle) + columns * np.cos(angle)) / pitch)
    y, x = rng.uniform(50, 460, 2)
    glare = float(rng.uniform(0.15, 0.5)) * np.exp(
        -((rows - y) ** 2 + (columns - x) ** 2) / float(rng.uniform(2e3, 1e4))
    )
    return np.asarray(np.clip(_film(scene) * 0.9 + pattern + glare, 0, 1), dtype=np.float32)


SPOILERS: dict[str, Spoiler] = {
    "turned_left": turn_left,
    "upside_down": turn_over,
    "turned_right": turn_right,
    "inverted_grey": invert,
    "cropped": crop,
    "blurred": blur,
    "several_images": collage,
    "annotated": draw_upon,
    "underexposed": underexpose,
    "overexposed": overexpose,
    "photographed": photograph,
}
