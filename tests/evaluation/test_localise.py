"""Heat maps against boxes, beside the best point and map that need no film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hilum.datasets.boxes import Box, read_boxes
from hilum.datasets.table import Row, Table
from hilum.errors import DatasetError
from hilum.evaluation.boxes import GRID, mask, masks_of
from hilum.evaluation.localise import Boxed, localise, on_grid
from hilum.evaluation.scoring import ENSEMBLE, Drawn
from hilum.records import Heatmap

SIDE = 128


def spot(row: int, column: int) -> np.ndarray:
    """Return an 8 × 8 map that is bright in one cell."""
    values = np.zeros((8, 8), dtype=np.float32)
    values[row, column] = 1
    return values


def heatmap(values: np.ndarray, model: str = "A") -> Heatmap:
    return Heatmap("Edema", model, values, (0.0, 0.0, float(SIDE), float(SIDE)))


def cell(row: int, column: int) -> np.ndarray:
    """Return the mask of a box around a cell of an 8 × 8 map and half of its neighbours."""
    edge = SIDE / 8
    return mask([Box(column * edge - edge / 2, row * edge - edge / 2, 2 * edge, 2 * edge)], SIDE, SIDE)


def films(places: list[tuple[int, int]], maps: list[np.ndarray]) -> tuple[dict, dict]:
    images = [Path(f"{n}.png") for n in range(len(places))]
    drawn = {image: Drawn(SIDE, SIDE, (heatmap(values),)) for image, values in zip(images, maps, strict=True)}
    boxed = [Boxed(image, f"p{n}", cell(*place)) for n, (image, place) in enumerate(zip(images, places, strict=True))]
    return drawn, {"Edema": boxed}


def test_maps_that_follow_the_film_beat_a_fixed_point():
    """Findings in many places: maps that point at each hit all, the best fixed point and map only few."""
    places = [(row, column) for row in (1, 4, 6) for column in (1, 3, 5)]
    found = localise(*films(places, [spot(*place) for place in places]), 200)["A"]["Edema"]
    assert found.hits.value == 1
    assert found.hits_gain.low > 0.5
    assert found.energy.value == pytest.approx(1, abs=0.02)
    assert found.energy_gain.low > 0.5
    assert (found.films, found.patients) == (9, 9)


def test_where_all_are_alike_a_fixed_point_does_as_well():
    """Findings that are always in one place: maps that hit all of them show nothing."""
    places = [(4, 4)] * 8
    found = localise(*films(places, [spot(4, 4)] * 8), 100)["A"]["Edema"]
    assert found.hits.value == found.fixed_hits.value == 1
    assert found.hits_gain.value == 0
    assert found.energy_gain.value == pytest.approx(0)


def test_the_fixed_point_never_saw_the_patient():
    """Two patients in two places: each one's point is chosen on the others', and their own boxes don't help it."""
    drawn, boxed = films([(1, 1)] * 3 + [(6, 6)] * 3, [spot(1, 1)] * 3 + [spot(6, 6)] * 3)
    of_two = [Boxed(film.image, "ab"[n // 3], film.mask) for n, film in enumerate(boxed["Edema"])]
    found = localise(drawn, {"Edema": of_two}, 50)["A"]["Edema"]
    assert found.fixed_hits.value == 0
    assert found.fixed_energy.value == pytest.approx(0, abs=0.02)
    elsewhere = [Boxed(Path(f"other{n}.png"), f"x{n}", cell(1, 1)) for n in range(9)]
    informed = localise(drawn, {"Edema": [*of_two, *elsewhere]}, 50)["A"]["Edema"]
    assert informed.fixed_hits.value == 0.5


def test_an_empty_map_points_nowhere():
    """A map of zeros hits as often as a place drawn at random."""
    drawn, boxed = films([(4, 4)] * 5, [np.zeros((8, 8), dtype=np.float32)] * 5)
    found = localise(drawn, boxed, 20)["A"]["Edema"]
    assert found.hits.value == pytest.approx(cell(4, 4).mean())
    assert found.energy.value == pytest.approx(cell(4, 4).mean())


def test_few_films_are_left_out_and_the_mean_map_is_judged():
    """Fewer than five films give no figure; the mean of the members' maps is the ensemble's."""
    drawn, boxed = films([(1, 1)] * 4, [spot(1, 1)] * 4)
    assert localise(drawn, boxed, 20) == {}
    drawn, boxed = films([(1, 1)] * 6, [spot(1, 1)] * 6)
    both = {image: Drawn(SIDE, SIDE, (*one.heatmaps, heatmap(spot(6, 6), "B"))) for image, one in drawn.items()}
    found = localise(both, boxed, 20)
    assert list(found) == [ENSEMBLE, "A", "B"]
    assert found[ENSEMBLE]["Edema"].energy.value == pytest.approx(0.5, abs=0.02)


def test_a_map_lies_on_its_own_field():
    """A network that sees the middle of a wide film has nothing outside it, and its brightest cell keeps its place."""
    spread = on_grid(Heatmap("Edema", "A", spot(2, 6), (64.0, 0.0, 128.0, 128.0)), 256, 128)
    row, column = np.unravel_index(spread.argmax(), spread.shape)
    assert (row / GRID * 128, column / GRID * 256) == pytest.approx((2.5 * 16, 64 + 6.5 * 16), abs=4)
    assert not spread[:, : GRID // 4].any()
    assert spread[:, GRID // 4 :].any()


def test_boxes_are_read_by_our_names(tmp_path):
    """Publishers' names are understood, other findings left out, several boxes of one film joined."""
    path = tmp_path / "boxes.csv"
    path.write_text(
        "file,finding,x,y,w,h,annotator\na.png,Mass,0,0,64,128,one\na.png,Mass,64,0,64,32,two\na.png,Calcification,1,1,2,2,one\n"
    )
    boxes = read_boxes(path, Table(tmp_path, (Row(Path("a.png"), "P1"),)))
    assert set(boxes[Path("a.png")]) == {"Lesion"}
    masks = masks_of(boxes, lambda image: (128, 128))
    assert masks[Path("a.png")]["Lesion"].mean() == pytest.approx(0.5 + 0.125)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,finding,x,y,w\n", "lacks h"),
        ("file,finding,x,y,w,h\nDoe.png,Edema,1,2,wide,3\n", "Line 2"),
        ("file,finding,x,y,w,h\nDoe.png,Edema,1,2,0,3\n", "without an area"),
    ],
)
def test_wrong_boxes_are_refused(tmp_path, text, said):
    """What is wrong is said, by line, without the film's name."""
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=said) as raised:
        read_boxes(path, Table(tmp_path, (Row(Path("Doe.png"), "P1"),)))
    assert "Doe" not in str(raised.value)
    with pytest.raises(DatasetError, match="There is no table of boxes"):
        read_boxes(tmp_path / "none.csv", Table(tmp_path, ()))
