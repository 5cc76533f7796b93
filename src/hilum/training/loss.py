"""What a training minimises: binary losses by output, masked where a label is unknown, balanced between the classes.

Focal loss: Lin et al. 2017, Focal Loss for Dense Object Detection. Asymmetric loss: Ridnik et al. 2021, Asymmetric Loss For
Multi-Label Classification; with equal exponents and no margin it is the focal one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hilum.records import Array
from hilum.training.config import Fit

Losses = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits N×K, labels N×K (0–1, none unknown) and the weight of a positive (K,) → N×K losses."""


def class_weights(labels: Array) -> Tensor:
    """Return K weights for positives: the square root of negatives per positive, among the known labels."""
    positives = np.nansum(labels, axis=0)
    known = (~np.isnan(labels)).sum(axis=0)
    return torch.from_numpy(np.sqrt((known - positives + 1) / (positives + 1)).astype(np.float32))


def cross_entropy(logits: Tensor, labels: Tensor, positive_weight: Tensor) -> Tensor:
    """Return the binary cross entropy of each logit."""
    return functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=positive_weight, reduction="none")


def asymmetric(
    logits: Tensor,
    labels: Tensor,
    positive_weight: Tensor,
    gamma_positive: float,
    gamma_negative: float,
    margin: float,
) -> Tensor:
    """Return the asymmetric loss of each logit: easy positives and, more so, easy negatives count less.

    With p the score: −(1 − p)^γ₊ log p for a positive, −q^γ₋ log(1 − q) with q = max(p − margin, 0) for a negative.
    """
    score, rest = torch.sigmoid(logits), torch.sigmoid(-logits)
    positive = -(rest**gamma_positive) * functional.logsigmoid(logits)
    shifted = (score - margin).clamp(min=0)
    # Far from the margin the logarithm of the sigmoid itself keeps its precision where 1 − p rounds to zero.
    absent = torch.log((rest + margin).clamp(max=1)) if margin else functional.logsigmoid(-logits)
    negative = -(shifted**gamma_negative) * absent
    return positive_weight * labels * positive + (1 - labels) * negative


def choose_losses(fit: Fit) -> Losses:
    """Return the loss that a configuration names."""
    if fit.loss == "focal":
        return partial(asymmetric, gamma_positive=fit.focal_gamma, gamma_negative=fit.focal_gamma, margin=0.0)
    if fit.loss == "asymmetric":
        return partial(
            asymmetric, gamma_positive=fit.gamma_positive, gamma_negative=fit.gamma_negative, margin=fit.margin
        )
    return cross_entropy


def masked_loss(logits: Tensor, labels: Tensor, positive_weight: Tensor, losses: Losses = cross_entropy) -> Tensor:
    """Return the mean loss over the known labels; NaN marks an unknown one and gives no gradient."""
    known = ~torch.isnan(labels)
    each = losses(logits, torch.nan_to_num(labels), positive_weight)
    return (each * known).sum() / known.sum().clamp(min=1)


def distilled_loss(
    logits: Tensor,
    labels: Tensor,
    soft: Tensor,
    positive_weight: Tensor,
    soft_weight: float,
    losses: Losses = cross_entropy,
) -> Tensor:
    """Mix the masked loss on the labels with the cross entropy to a teacher's scores, whose minimum is at those scores."""
    own = masked_loss(logits, labels, positive_weight, losses)
    return (1 - soft_weight) * own + soft_weight * masked_loss(logits, soft, torch.ones_like(positive_weight))
