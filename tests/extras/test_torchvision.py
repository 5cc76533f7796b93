"""Our networks beside torchvision's, an implementation by others."""

from __future__ import annotations

import pytest
import torch

from hilum.training.networks import densenet121, mobilenetv2

pytestmark = pytest.mark.extras


def unsettle(module: torch.nn.Module) -> None:
    """Give batch norms statistics and scales of their own, so that a forgotten one shows."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.1)


def copy_in_order(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Copy convolutions and batch norms by their order in the forward pass; every shape must fit."""
    kinds = (torch.nn.Conv2d, torch.nn.BatchNorm2d)
    given = [part for part in source.modules() if isinstance(part, kinds)]
    own = [part for part in target.modules() if isinstance(part, kinds)]
    assert len(given) == len(own)
    for one, other in zip(own, given, strict=True):
        one.load_state_dict(other.state_dict())


def test_densenet121_is_the_published_one() -> None:
    """With torchvision's weights our trunk gives its feature map: paddings and order agree."""
    from torchvision.models import densenet121 as reference_densenet121  # only the environment of the extras has it

    torch.manual_seed(0)
    theirs, ours = reference_densenet121(weights=None).eval(), densenet121(14).eval()
    unsettle(theirs)
    copy_in_order(theirs.features, ours.trunk)
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        expected = torch.relu(theirs.features(x))
        torch.testing.assert_close(ours.features(x), expected, atol=1e-3, rtol=1e-3)


def test_mobilenetv2_differs_from_torchvisions_only_in_padding() -> None:
    """All shapes fit, and at stride 1 the two agree; at stride 2 ours pads as TensorFlow does."""
    from torchvision.models import mobilenet_v2 as reference_mobilenet_v2

    torch.manual_seed(0)
    theirs, ours = reference_mobilenet_v2(weights=None).eval(), mobilenetv2(10).eval()
    unsettle(theirs)
    copy_in_order(theirs.features, ours.trunk)
    x = torch.rand(1, 32, 24, 24)
    with torch.no_grad():
        # Block 1 keeps the stride; only the batch norms' constants (1e-3, 1e-5) differ.
        torch.testing.assert_close(ours.trunk[1](x), theirs.features[1](x), atol=5e-3, rtol=5e-3)
        assert ours.features(torch.rand(1, 3, 96, 96)).shape == (1, 1280, 3, 3)
