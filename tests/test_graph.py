"""Graphs as data."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hilum.errors import Incompatible
from hilum.graph import read_graph, read_head, weight_of, with_float16_weights, with_float32_weights
from hilum.runtime import open_session
from tiny import tiny_graph


def edited(change):
    """Return a tiny graph after ``change``."""
    model = onnx.load_model_from_string(tiny_graph(3, hidden=80))
    change(model.graph)
    return model.SerializeToString()


def test_the_head_is_read_as_inputs_by_outputs():
    """Each dense layer comes as weight and bias, the pooled end first."""
    head = read_head(tiny_graph(3))
    assert [(weight.shape, bias.shape) for weight, bias in head.layers] == [((6, 8), (8,)), ((8, 3), (3,))]


def test_the_head_is_read_through_float16():
    """Weights stored in half the space give the same head, to half precision."""
    model = tiny_graph(3, hidden=80)
    for (weight, _), (half, _) in zip(
        read_head(model).layers, read_head(with_float16_weights(model)).layers, strict=True
    ):
        np.testing.assert_allclose(half, weight, atol=1e-3)


@pytest.mark.parametrize(
    "model",
    [
        tiny_graph(3, pooled=False),
        edited(lambda graph: setattr(graph.node[5], "op_type", "Sigmoid")),
        edited(lambda graph: setattr(graph.node[2], "op_type", "GlobalMaxPool")),
        edited(lambda graph: graph.node[4].attribute.add(name="transB", i=1, type=onnx.AttributeProto.INT)),
        edited(lambda graph: setattr(graph.initializer[4], "name", "elsewhere")),
    ],
)
def test_other_heads_are_not_explained(model):
    """A head that is not pooling and dense layers with ReLU is None, since its maps would not be exact."""
    assert read_head(model) is None


def test_half_the_size_and_the_same_answers():
    """Storing weights as float16 halves the file and changes a logit by no more than that precision."""
    model = tiny_graph(200, hidden=80)
    half = with_float16_weights(model)
    assert len(half) < 0.6 * len(model)
    x = np.random.default_rng(1).normal(size=(2, 3, 32, 32)).astype(np.float32)
    full, less = (open_session(one).evaluate(x, "logits")[0] for one in (model, half))
    np.testing.assert_allclose(less, full, atol=0.02)
    assert not np.array_equal(less, full)


def test_a_weight_beyond_float16_is_refused():
    """A value that float16 would turn into infinity is an error, not an infinity."""

    def enlarge(graph):
        graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((6, 3, 8, 8), 1e6, np.float32), "kernel"))

    with pytest.raises(Incompatible, match="65504"):
        with_float16_weights(edited(enlarge))


def test_what_is_no_graph_is_refused():
    """Bytes that are no ONNX graph are named as such."""
    with pytest.raises(Incompatible, match="not an ONNX graph"):
        read_head(b"\xff\xff no graph")


def test_float16_weights_are_restored():
    """A graph without half precision gives the very numbers of the one with it, and has no casts left."""
    half = with_float16_weights(tiny_graph(3, hidden=80))
    whole = with_float32_weights(half)
    graph = onnx.load_model_from_string(whole).graph
    assert "Cast" in {node.op_type for node in onnx.load_model_from_string(half).graph.node}
    assert "Cast" not in {node.op_type for node in graph.node}
    assert {tensor.data_type for tensor in graph.initializer} == {onnx.TensorProto.FLOAT}
    x = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    np.testing.assert_array_equal(
        open_session(whole).evaluate(x, "logits")[0], open_session(half).evaluate(x, "logits")[0]
    )
    assert weight_of(read_graph(half), "b2").shape == (3,)
    assert weight_of(read_graph(half), "flat") is None
    assert with_float32_weights(whole) == whole
