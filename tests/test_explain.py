"""Heat maps from the feature map and the head."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.explain import class_activation, heatmaps
from hilum.graph import read_head
from hilum.records import InputSpec, Scored
from tiny import CHANNELS, tiny_graph, tiny_manifest

NAMES = ("Edema", "Fracture", "Effusion")


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
    maps = heatmaps("A", Scored(np.zeros(3, np.float32), features()), read_head(tiny_graph(3)), manifest, 800, 600)
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
    assert heatmaps("A", scored, read_head(tiny_graph(3)), manifest, 800, 600)[0].box == (100, 0, 600, 600)


def test_nothing_for_it_is_a_map_of_zeros():
    """Where no place in the film speaks for a finding, the map is zero and not a division by zero."""
    manifest = tiny_manifest("DenseNet121", "densenet", NAMES)
    scored = Scored(np.zeros(3, np.float32), np.zeros((CHANNELS, 4, 5), np.float32))
    for one in heatmaps("A", scored, read_head(tiny_graph(3)), manifest, 8, 6):
        assert not one.values.any()


def test_no_feature_map_no_heat_map():
    """A network without a feature map gives none."""
    manifest = tiny_manifest("DenseNet121", "densenet", NAMES)
    assert heatmaps("A", Scored(np.zeros(3, np.float32), None), read_head(tiny_graph(3)), manifest, 8, 6) == ()
