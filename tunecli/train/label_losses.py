"""The losses of labels: each label is a class against none, and the losses of the labels are averaged.

A loss is the mean over a batch and over the labels. `balance_weights` make the examples with and without a label count
the same in training, however rare the label is.

Axes: N training examples, B examples of a batch, L labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor

from tunecli.config.schema.losses import Bce, Focal


def bce(knob: Bce, weights: Tensor | None, logits_BL: Tensor, y_BL: Tensor) -> Tensor:
    """`torch.nn.functional.binary_cross_entropy_with_logits`, with smoothed targets (1 − ε) y + ε / 2.

    Args:
        knob: the setting.
        weights: (L,) factors of the labels, (2, L) factors of not having a label and of having it, or None.
        logits_BL: the outputs.
        y_BL: 1 where an example has a label, else 0.
    """
    target_BL = y_BL * (1.0 - knob.label_smoothing) + knob.label_smoothing / 2.0
    losses_BL = fn.binary_cross_entropy_with_logits(logits_BL, target_BL, reduction="none")
    return _mean(losses_BL, weights, y_BL)


def focal(knob: Focal, weights: Tensor | None, logits_BL: Tensor, y_BL: Tensor) -> Tensor:
    """−(1 − p)^γ log p of having the label, or of not having it (Lin et al. 2017, equation 4).

    The arguments are those of `bce`.
    """
    log_p_BL = fn.logsigmoid(logits_BL * (2.0 * y_BL - 1.0))
    # 1 - p is clamped above 0, where a power below 1 has an infinite gradient.
    miss_BL = (-log_p_BL.expm1()).clamp_min(1e-7)
    return _mean(-(miss_BL**knob.gamma) * log_p_BL, weights, y_BL)


def balance_weights(y_NL: Tensor) -> Tensor:
    """N / (2 n) of the n examples without and with each label, (2, L): inverse frequency (King & Zeng 2001).

    The weight is 1 for a label that all training examples agree on.

    Args:
        y_NL: 1 where a training example has a label, else 0.
    """
    n = len(y_NL)
    n_with_L = y_NL.double().sum(0)
    counts_2L = torch.stack([n - n_with_L, n_with_L])
    is_mixed_L = (n_with_L > 0) & (n_with_L < n)
    return torch.where(is_mixed_L, n / (2.0 * counts_2L), 1.0).float()


def _mean(losses_BL: Tensor, weights: Tensor | None, y_BL: Tensor) -> Tensor:
    if weights is None:
        return losses_BL.mean()
    factors = weights if weights.dim() == 1 else torch.where(y_BL > 0, weights[1], weights[0])
    return (losses_BL * factors).mean()
