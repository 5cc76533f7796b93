"""The inference engine's door."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from hilum.errors import Incompatible
from hilum.runtime import open_session
from tiny import CHANNELS, tiny_graph


def test_a_film_gives_logits_and_features():
    """One film in, its logits and last feature map out, without the batch axis."""
    scored = open_session(tiny_graph(3)).run(np.zeros((1, 3, 32, 32), np.float32))
    assert scored.logits.shape == (3,)
    assert scored.features.shape == (CHANNELS, 4, 4)
    assert scored.logits.dtype == np.float32


def test_a_graph_may_lack_features():
    """Without a feature map there is none, and logits all the same."""
    model = onnx.load_model_from_string(tiny_graph(3))
    del model.graph.output[1]
    assert open_session(model.SerializeToString()).run(np.zeros((1, 3, 32, 32), np.float32)).features is None


@pytest.mark.parametrize("model", [b"", b"no graph", tiny_graph(3)[:200]])
def test_what_can_not_be_opened_is_incompatible(model):
    """The engine's own errors become one of ours."""
    with pytest.raises(Incompatible, match="can't open"):
        open_session(model)


def test_a_graph_must_have_logits():
    """A graph whose output has another name is refused with what was found."""
    model = onnx.load_model_from_string(tiny_graph(3))
    model.graph.output[0].name = model.graph.node[-1].output[0] = "scores"
    with pytest.raises(Incompatible, match="features, scores"):
        open_session(model.SerializeToString())
