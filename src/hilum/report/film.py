"""The film as a picture for people, plain or with a heat map over it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from hilum.records import Array, Heatmap, Radiograph

STOPS: Array = np.array([[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]], dtype=np.float32)
"""Five stops of a map from dark violet to light yellow, told apart by lightness alone too."""
_PALETTE = np.rint(
    np.stack([np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(STOPS)), STOPS[:, c]) for c in range(3)], axis=-1)
).astype(np.uint8)
"""256×3: the colours of heat 0 to 1."""
STRENGTH = 0.6
"""Opacity of a heat map where it is 1."""
ALIKE = 0.15
"""Difference of two members' ``gain`` that the dozen boxes of a finding can't tell from chance."""


def film_png(image: Radiograph, longest: int = 1024) -> bytes:
    """Return the film as an 8-bit grey PNG, bright = dense, at most ``longest`` pixels on its longer side."""
    return png(thumbnail(image, longest))


def thumbnail(image: Radiograph, longest: int) -> Image.Image:
    """Return the film as an 8-bit grey picture, at most ``longest`` pixels on its longer side."""
    rows, columns = image.pixels.shape
    shrink = min(1.0, longest / max(rows, columns))
    size = max(1, round(columns * shrink)), max(1, round(rows * shrink))
    # Rounded by adding a half: rint takes ten times as long.
    film = Image.fromarray((image.pixels * np.float32(255) + np.float32(0.5)).astype(np.uint8))
    return film if size == film.size else film.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)


def overlay(film: Image.Image, image: Radiograph, heatmap: Heatmap) -> Image.Image:
    """Return ``film``, the thumbnail of ``image`` in any size, with a heat map over it in colour, as an RGB picture."""
    width, height = film.size
    shrink = width / image.pixels.shape[1]
    x, y, w, h = (round(edge * shrink) for edge in heatmap.box)
    # In 8 bits all the way, by Pillow's own loops: mixed in floating point, a report's picture took five times as long.
    levels = np.rint(np.clip(heatmap.values, 0, 1) * 255).astype(np.uint8)
    heat = Image.new("L", (width, height))
    heat.paste(Image.fromarray(levels).resize((max(1, w), max(1, h)), Image.Resampling.BICUBIC), (x, y))
    opacity = heat.point([round(STRENGTH * level) for level in range(256)])
    heat.putpalette(_PALETTE.tobytes())
    return Image.composite(heat.convert("RGB"), film.convert("RGB"), opacity)


def png(picture: Image.Image) -> bytes:
    """Return a picture's PNG, exact."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def jpeg(picture: Image.Image) -> bytes:
    """Return a picture's JPEG, a tenth of the PNG's time and size: where nobody measures grey values."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def mean_map(heatmaps: Sequence[Heatmap], finding: str) -> Heatmap | None:
    """Return the mean of the members' maps of one finding that share a grid and a field, or None where there is none.

    Where it was measured how well they point, it is of those that point best, and of those that a few boxes can't tell from them.
    """
    own = [heatmap for heatmap in heatmaps if heatmap.finding == finding]
    known = [one.gain for one in own if one.gain is not None]
    if known:
        own = [one for one in own if one.gain is not None and one.gain >= max(known) - ALIKE]
    alike = [one for one in own if one.values.shape == own[0].values.shape and one.box == own[0].box]
    if not alike:
        return None
    names = ", ".join(one.model for one in alike)
    return Heatmap(finding, names, np.mean([one.values for one in alike], axis=0, dtype=np.float32), alike[0].box)
