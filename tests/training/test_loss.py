"""The losses: what is masked gives no gradient, rare findings weigh more, easy films count less."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hilum.training.config import Fit
from hilum.training.loss import asymmetric, choose_losses, class_weights, cross_entropy, distilled_loss, masked_loss

KINDS = ["bce", "focal", "asymmetric"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_label_gives_no_gradient(kind: str) -> None:
    """NaN labels change neither the loss nor the gradient."""
    losses = choose_losses(Fit(phases=(), loss=kind))
    logits = torch.tensor([[0.3, -2.0], [1.0, 5.0]], requires_grad=True)
    labels = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    loss = masked_loss(logits, labels, torch.ones(2), losses)
    loss.backward()
    expected = losses(logits.detach()[:, :1], labels[:, :1], torch.ones(1)).mean()
    assert loss.item() == pytest.approx(expected.item())
    assert logits.grad is not None
    assert logits.grad[:, 0].abs().min() > 0
    assert logits.grad[:, 1].abs().max() == 0


def test_nothing_known_is_no_loss() -> None:
    """A batch without a single known label costs nothing instead of dividing by zero."""
    labels = torch.full((2, 2), float("nan"))
    assert masked_loss(torch.randn(2, 2), labels, torch.ones(2)).item() == 0


def test_without_exponents_the_asymmetric_loss_is_the_cross_entropy() -> None:
    """With both exponents and the margin at zero nothing is left of the asymmetry, soft labels and weights included."""
    logits, labels, weight = 3 * torch.randn(5, 2), torch.rand(5, 2), torch.tensor([2.0, 0.5])
    torch.testing.assert_close(asymmetric(logits, labels, weight, 0, 0, 0), cross_entropy(logits, labels, weight))


def test_the_focal_loss_is_the_published_one() -> None:
    """A positive at score 0.9 costs (1 − 0.9)² as much as in the cross entropy, a negative at 0.9 costs 0.9² as much."""
    logit = torch.logit(torch.tensor([[0.9], [0.9]]))
    found = choose_losses(Fit(phases=(), loss="focal"))(logit, torch.tensor([[1.0], [0.0]]), torch.ones(1))
    np.testing.assert_allclose(found.flatten(), [0.01 * -np.log(0.9), 0.81 * -np.log(0.1)], rtol=1e-4)


def test_the_asymmetric_loss_is_the_published_one() -> None:
    """Positives cost as in the cross entropy; a negative costs by its score less the margin, nothing below the margin."""
    logit = torch.logit(torch.tensor([[0.3], [0.45], [0.04]]))
    found = choose_losses(Fit(phases=(), loss="asymmetric"))(logit, torch.tensor([[1.0], [0.0], [0.0]]), torch.ones(1))
    np.testing.assert_allclose(found.flatten(), [-np.log(0.3), 0.4**4 * -np.log(0.6), 0], rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_stay_finite(kind: str) -> None:
    """Scores that round to 0 or 1 give neither infinite losses nor gradients."""
    logits = torch.tensor([[200.0], [-200.0]], requires_grad=True)
    for labels in (torch.zeros(2, 1), torch.ones(2, 1)):
        loss = masked_loss(logits, labels, torch.ones(1), choose_losses(Fit(phases=(), loss=kind)))
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()


def test_distillation_mixes_labels_and_teacher() -> None:
    """Weight 0 is the labels alone, weight 1 the teacher alone, in cross entropy."""
    logits, labels, soft = torch.randn(3, 2), torch.ones(3, 2), torch.rand(3, 2)
    ones, losses = torch.ones(2), choose_losses(Fit(phases=(), loss="focal"))
    assert distilled_loss(logits, labels, soft, ones, 0.0, losses) == masked_loss(logits, labels, ones, losses)
    assert distilled_loss(logits, labels, soft, ones, 1.0, losses) == masked_loss(logits, soft, ones)


def test_rare_findings_weigh_more() -> None:
    """The weight of a positive is the root of negatives per positive among known labels."""
    labels = np.array([[1, 1], [0, np.nan], [0, np.nan], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(class_weights(labels), np.sqrt([4 / 2, 2 / 2]), rtol=1e-6)
    logits = torch.zeros(1, 1)
    heavy = nn.functional.binary_cross_entropy_with_logits(logits, logits + 1) * 3
    assert masked_loss(logits, logits + 1, torch.tensor([3.0])) == pytest.approx(heavy.item())
