"""The losses: each the mean over a batch, of outputs and targets.

Class weights enter as mean(weight · loss), and not as torch's weighted mean, which divides by the batch's
own weights: so the gradient of an epoch is the same sum whatever the batches. Knows no loop.

Axes: B examples, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as fn
from torch import Tensor

from tunecli.spec.knobs.losses import (
    AnyLoss,
    CrossEntropy,
    Focal,
    Hinge,
    Huber,
    LogCosh,
    Mae,
    Mse,
    SmoothL1,
    Task,
)

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) → the mean loss. Outputs are (B, K) logits, or (B, 1) for regression."""


def build_loss(knob: AnyLoss | None, task: Task, class_weights_K: Tensor | None = None) -> LossFunction:
    """Build a loss.

    Args:
        knob: which one; None: cross entropy, or mean squared error.
        task: chooses where ``knob`` is None, and how outputs are shaped.
        class_weights_K: on the device of the outputs; classification only.

    Returns:
        A function of outputs (B, K) and classes (B,), or of outputs (B, 1) and numbers (B,).
    """
    if task == "classification":
        knob = knob if knob is not None else CrossEntropy()
        return partial(CLASSIFICATION_LOSSES[type(knob)], knob, class_weights_K)
    knob = knob if knob is not None else Mse()
    return partial(_on_one_output, partial(REGRESSION_LOSSES[type(knob)], knob))


def _on_one_output(loss: LossFunction, output_B1: Tensor, target_B: Tensor) -> Tensor:
    return loss(output_B1.squeeze(-1), target_B)


def _cross_entropy(knob: CrossEntropy, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    if weights_K is None:
        return fn.cross_entropy(logits_BK, y_B, label_smoothing=knob.label_smoothing)
    losses_B = fn.cross_entropy(
        logits_BK, y_B, weights_K, reduction="none", label_smoothing=knob.label_smoothing
    )
    return losses_B.mean()


def _focal(knob: Focal, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    """−(1 − p)^γ log p of the true class (Lin et al. 2017, equation 4)."""
    log_p_B = fn.log_softmax(logits_BK, 1).gather(1, y_B[:, None]).squeeze(1)
    # 1 - p is kept off 0, where a power below 1 has no finite gradient.
    miss_B = (-log_p_B.expm1()).clamp_min(1e-7)
    losses_B = -(miss_B**knob.gamma) * log_p_B
    return losses_B.mean() if weights_K is None else (losses_B * weights_K[y_B]).mean()


def _hinge(knob: Hinge, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    return fn.multi_margin_loss(logits_BK, y_B, margin=knob.margin, weight=weights_K)


def _log_cosh(knob: LogCosh, output_B: Tensor, y_B: Tensor) -> Tensor:
    """log cosh e = |e| + log(1 + exp(−2|e|)) − log 2, which does not overflow."""
    size_B = (output_B - y_B).abs()
    return (size_B + fn.softplus(-2.0 * size_B) - math.log(2.0)).mean()


CLASSIFICATION_LOSSES: dict[type[Any], Callable[[Any, Tensor | None, Tensor, Tensor], Tensor]] = {
    CrossEntropy: _cross_entropy,
    Focal: _focal,
    Hinge: _hinge,
}
"""(knob, class weights, logits, classes) → mean loss."""

REGRESSION_LOSSES: dict[type[Any], Callable[[Any, Tensor, Tensor], Tensor]] = {
    Mse: lambda knob, output_B, y_B: fn.mse_loss(output_B, y_B),
    Mae: lambda knob, output_B, y_B: fn.l1_loss(output_B, y_B),
    Huber: lambda knob, output_B, y_B: fn.huber_loss(output_B, y_B, delta=knob.delta),
    SmoothL1: lambda knob, output_B, y_B: fn.smooth_l1_loss(output_B, y_B, beta=knob.beta),
    LogCosh: _log_cosh,
}
"""(knob, outputs, numbers) → mean loss, both of shape (B,)."""
