"""The arithmetic of heat maps, as the browser does it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

MAP = {"box": [20, 10, 40, 40], "values": [[0, 1], [0, 0.5]]}


@pytest.fixture
def heatmap(visit):
    """A function from an expression about the module ``m`` and an argument ``x`` to its value."""
    page = visit()
    return lambda expression, x=None: page.evaluate(
        f"async x => {{ const m = await import('/static/heatmap.js'); return {expression}; }}", x
    )


def test_a_map_is_sampled_between_the_centres_of_its_cells(heatmap):
    """At a cell's centre stands its value, halfway the mean of both, beyond the outer centres the edge's, outside the box 0."""
    points = [[50, 20], [40, 20], [50, 30], [59, 11], [61, 20], [19, 20], [30, 9]]
    values = heatmap("x.points.map(([a, b]) => m.sample(x.map, a, b))", {"map": MAP, "points": points})
    assert values == pytest.approx([1, 0.5, 0.75, 1, 0, 0, 0])


def test_several_maps_give_their_mean(heatmap):
    """A member whose map is empty halves the other's; the film's shape is kept."""
    other = {"box": [0, 0, 100, 50], "values": [[0, 0]]}
    found = heatmap("(f => [f.columns, f.rows, Math.max(...f.values)])(m.blend(x, [100, 50]))", [MAP, other])
    assert found == [256, 128, pytest.approx(0.5, abs=0.02)]


def test_the_strongest_point_is_found_and_named(heatmap):
    """The words follow the picture's own left and right, up and down; an empty map has no such point."""
    peak = heatmap("m.strongest(m.blend([x], [100, 50]))", MAP)
    assert peak["x"] == pytest.approx(0.55, abs=0.06)
    assert heatmap("m.strongest(m.blend([{...x, values: [[0]]}], [100, 50]))", MAP) is None
    places = heatmap("[[0.9, 0.9], [0.1, 0.5], [0.5, 0.5], [0.5, 0.1]].map(([x, y]) => m.place({ x, y }))")
    assert places == [
        "the lower right of the picture",
        "the middle left of the picture",
        "the centre of the picture",
        "the upper centre of the picture",
    ]


def test_colours_are_told_apart_by_lightness_alone(heatmap):
    """From weak to strong the colours only get lighter, so that they read with any colour vision; 0 is clear."""
    colours = heatmap("Array.from({ length: 21 }, (_, i) => m.colour(i / 20))")
    lightness = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue, _ in colours]
    assert lightness == sorted(lightness)
    alphas = [alpha for *_, alpha in colours]
    assert alphas == sorted(alphas)
    assert (alphas[0], alphas[-1]) == (0, 255)
