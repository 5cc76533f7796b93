"""Draw docs/images/gate.png: an example film that ships, spoiled in each way that the gate knows, with the reason's code.

python docs/make_gate.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hilum.gate import KINDS
from hilum.images import read_image
from hilum.training.spoil import SPOILERS

ROOT = Path(__file__).parents[1]
FILM = ROOT / "src" / "hilum" / "server" / "static" / "gallery" / "effusion.jpg"
OUT = ROOT / "docs" / "images" / "gate.png"
SIDE, LINE, COLUMNS = 180, 24, 4


def main() -> None:
    """Write the picture."""
    film = read_image(FILM).pixels
    rng = np.random.default_rng(3)
    tiles = [("accepted", film), *((KINDS[kind][0], spoil(film, rng)) for kind, spoil in SPOILERS.items())]
    rows = -(-len(tiles) // COLUMNS)
    page = Image.new("L", (COLUMNS * (SIDE + 8) - 8, rows * (SIDE + LINE) - 4), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=14)
    for number, (code, pixels) in enumerate(tiles):
        x, y = number % COLUMNS * (SIDE + 8), number // COLUMNS * (SIDE + LINE)
        tile = Image.fromarray((pixels * 255).astype(np.uint8))
        tile.thumbnail((SIDE, SIDE))
        page.paste(tile, (x + (SIDE - tile.width) // 2, y + (SIDE - tile.height) // 2))
        pen.text((x + SIDE // 2, y + SIDE + 2), code, fill=0, font=font, anchor="ma")
    page.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
