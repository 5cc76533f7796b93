"""Heat maps from the feature map and the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hilum.explain import BODY, body, class_activation, heatmaps, off_body, untrusted
from hilum.graph import read_head
from hilum.records import InputSpec, Interval, MapCheck, Scored
from tiny import CHANNELS, tiny_graph, tiny_manifest

NAMES = ("Edema", "Fracture", "Effusion")
EVERYWHERE = np.ones((BODY, BODY), dtype=bool)
GOOD = MapCheck(20, Interval(0.3, 0.2, 0.4), Interval(0.1, -0.1, 0.3))


def shown(scored, manifest, width=8, height=6, inside=EVERYWHERE):
    """The heat maps of a tiny network."""
    return heatmaps("A", scored, read_head(tiny_graph(3)), manifest, inside, width, height)[0]


def features(seed=0):
    return np.random.default_rng(seed).normal(size=(CHANNELS, 4, 5)).astype(np.float32)


def logits_of(values, head):
    """The head's own forward pass, in float64."""
    x = values.astype(np.float64).mean(axis=(1, 2))
    for index, (weight, bias) in enumerate(head.layers):
        x = x @ weight + bias
        if index < len(head.layers) - 1:
            x = np.maximum(x, 0)
    return x


def test_maps_are_grad_cam_by_finite_differences():
    """The weights of a map's channels are the mean derivatives of the logit by the feature map."""
    head, values, step = read_head(tiny_graph(3)), features(), 1e-3
    weights = np.zeros((3, CHANNELS))
    for channel in range(CHANNELS):
        for row in range(4):
            for column in range(5):
                up, down = values.astype(np.float64), values.astype(np.float64)
                up[channel, row, column] += step
                down[channel, row, column] -= step
                weights[:, channel] += (logits_of(up, head) - logits_of(down, head)) / (2 * step) / 20
    expected = np.maximum(np.einsum("kc,chw->khw", weights, values), 0)
    np.testing.assert_allclose(class_activation(values, head), expected, atol=1e-5)


def test_each_assessed_output_has_a_map_from_0_to_1():
    """Maps are scaled to their own peak; an output that is not assessed has none."""
    manifest = tiny_manifest("DenseNet121", "densenet", NAMES)
    maps = shown(Scored(np.zeros(3, np.float32), features()), manifest, 800, 600)
    assert [one.finding for one in maps] == ["Edema", "Effusion"]
    for one in maps:
        assert one.model == "A"
        assert one.values.shape == (4, 5)
        assert one.values.min() >= 0
        assert one.values.max() == pytest.approx(1)


def test_a_map_covers_what_the_network_saw():
    """With a centre crop the map's box is the crop, in the film's own pixels."""
    spec = InputSpec(32, 32, 3, 1.0, (0.5,) * 3, (0.25,) * 3, crop="centre")
    manifest = tiny_manifest("DenseNet121", "densenet", NAMES, input=spec)
    scored = Scored(np.zeros(3, np.float32), features())
    assert shown(scored, manifest, 800, 600)[0].box == (100, 0, 600, 600)


def test_nothing_for_it_is_a_map_of_zeros():
    """Where no place in the film speaks for a finding, the map is zero and not a division by zero."""
    manifest = tiny_manifest("DenseNet121", "densenet", NAMES)
    scored = Scored(np.zeros(3, np.float32), np.zeros((CHANNELS, 4, 5), np.float32))
    for one in shown(scored, manifest):
        assert not one.values.any()


def test_no_feature_map_no_heat_map():
    """A network without a feature map gives none."""
    manifest = tiny_manifest("DenseNet121", "densenet", NAMES)
    assert shown(Scored(np.zeros(3, np.float32), None), manifest) == ()


def film(side=256):
    """A grey body with two dark lungs, dark air around it and a bright marker in the air."""
    pixels = np.full((side, side), 0.02, dtype=np.float32)
    pixels[40:, 40:-40] = 0.6
    pixels[80:200, 60:110] = pixels[80:200, 146:196] = 0.05
    pixels[5:15, 5:15] = 1.0
    return pixels


def test_the_body_is_what_no_dark_way_leads_out_of():
    """Air around the body is outside, lungs as dark as it are inside; a film without air is all body."""
    inside = body(film())
    assert not inside[:8, 6:].any()
    assert not inside[12:, :9].any()
    assert inside[12:, 12:-12].all()
    assert body(np.full((100, 80), 0.5, dtype=np.float32)).all()
    assert body(np.add.outer(np.linspace(0.4, 0.6, 50), np.linspace(0, 0.4, 50)).astype(np.float32)).mean() > 0.9


def test_a_map_s_share_outside_is_measured_where_the_map_lies():
    """The share is the map's, within its own box; a map of zeros has none."""
    inside = np.zeros((BODY, BODY), dtype=bool)
    inside[:, BODY // 2 :] = True
    maps = np.zeros((4, 2, 4), dtype=np.float32)
    maps[0, 0, 0] = maps[1, 1, 3] = maps[2, 0, 1] = 1
    maps[2, 0, 2] = 3
    assert off_body(maps, inside, (0.0, 0.0, 100.0, 50.0), 100, 50).tolist() == pytest.approx([1, 0, 0.25, 0])
    # The same maps over the middle half of the film's width: their left half is outside still.
    assert off_body(maps, inside, (25.0, 0.0, 50.0, 50.0), 100, 50).tolist() == pytest.approx([1, 0, 0.25, 0])


def test_a_map_outside_the_body_is_withheld():
    """What lies mostly outside is not shown, and the reason says how much."""
    scored, head = Scored(np.zeros(3, np.float32), features()), read_head(tiny_graph(3))
    manifest = tiny_manifest("DenseNet121", "densenet", NAMES)
    maps, withheld = heatmaps("A", scored, head, manifest, ~EVERYWHERE, 800, 600)
    assert maps == ()
    assert [(one.finding, one.model) for one in withheld] == [("Edema", "A"), ("Effusion", "A")]
    assert withheld[0].reason == "100% of it lies outside the body"


def test_a_map_that_failed_its_check_is_withheld():
    """Maps that covering does not bear out, and maps that shuffled weights give too, are not shown; unchecked ones are."""
    assert untrusted(None) is None
    assert untrusted(GOOD) is None
    assert "covering" in (untrusted(replace(GOOD, occlusion=Interval(0.1, -0.05, 0.2))) or "")
    assert "readers' boxes" in (untrusted(replace(GOOD, boxes=Interval(-0.2, -0.3, -0.1))) or "")
    assert untrusted(replace(GOOD, boxes=Interval(-0.1, -0.3, 0.1))) is None
    assert "shuffled" in (untrusted(replace(GOOD, randomised=Interval(0.5, 0.4, 0.6))) or "")
    manifest = tiny_manifest("DenseNet121", "densenet", NAMES)
    bad = replace(manifest.outputs[2], map_check=replace(GOOD, occlusion=Interval(0.0, -0.1, 0.1)))
    manifest = replace(manifest, outputs=(replace(manifest.outputs[0], map_check=GOOD), manifest.outputs[1], bad))
    scored = Scored(np.zeros(3, np.float32), features())
    maps, withheld = heatmaps("A", scored, read_head(tiny_graph(3)), manifest, EVERYWHERE, 800, 600)
    assert [one.finding for one in maps] == ["Edema"]
    assert [one.finding for one in withheld] == ["Effusion"]
