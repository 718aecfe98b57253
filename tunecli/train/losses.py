"""The losses: each is the mean over a batch, computed from outputs and targets.

Class weights enter as mean(weight · loss). torch's weighted mean divides by the sum of the batch's weights instead;
here the gradient of an epoch is the same sum for any batches. Outputs are float32 in every precision.

Axes: B examples, K classes, labels or targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tunecli.config.schema.losses import (
    AnyLoss,
    Bce,
    CrossEntropy,
    Focal,
    Hinge,
    Huber,
    Kl,
    LogCosh,
    LossKnob,
    Mae,
    Mse,
    Poisson,
    Quantile,
    SmoothL1,
    Task,
)
from tunecli.config.schema.user_code import UserCode
from tunecli.errors import UsageError
from tunecli.registry.implementations import implementation, implementation_of
from tunecli.train.user_code.code import resolve

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) → the mean loss. Outputs are (B, K) logits, or (B, K) numbers, (B, 1) for one target."""


class TargetScale(NamedTuple):
    """The standardisation of a regression's targets: standardised = (target - center) / scale; (K,) of several."""

    center: float | Tensor = 0.0
    scale: float | Tensor = 1.0

    def like(self, values: Tensor) -> TargetScale:
        """The same on the device and in the dtype of ``values``."""
        return TargetScale(
            *(one.to(values) if isinstance(one, Tensor) else one for one in (self.center, self.scale))
        )


OWN_UNITS = TargetScale()


def build_loss(
    knob: AnyLoss | None,
    task: Task,
    class_weights_K: Tensor | None = None,
    *,
    target: TargetScale = OWN_UNITS,
    base_path: Path = Path(),
) -> LossFunction:
    """Build a loss.

    Args:
        knob: the loss's setting, one for ``task``; None: cross entropy, mean squared error, or for labels binary cross
            entropy.
        task: the default loss and the shape of outputs depend on it.
        class_weights_K: class weights of ``data.balance``; classification only.
        target: converts standardised targets back to their own units, for the losses that need those.
        base_path: the folder of the user's own code.

    Returns:
        A function of outputs (B, K) and classes (B,); of outputs (B, 1) and standardised numbers (B,); of outputs and
        standardised numbers (B, K); or of outputs (B, K) and labels (B, K).

    Raises:
        UsageError: ``class_weights_K`` is given, and the loss has weights of its own or takes none.
        ImportError, AttributeError: the user's own code cannot be found.
    """
    if knob is None:
        knob = {"classification": CrossEntropy, "multilabel": Bce, "regression": Mse}[task]()
    if isinstance(knob, UserCode):
        if class_weights_K is not None:
            raise UsageError("a loss of your own takes no class weights", hint="use `balance: sample`")
        loss: LossFunction = _UserLoss(knob, base_path)
    elif task == "classification":
        weights_K = _class_weights(knob, class_weights_K)
        loss = partial(_on_classes, implementation_of(knob), knob, weights_K)
    elif task == "multilabel":
        function = implementation(knob.label_implementation)
        loss = partial(_on_classes, function, knob, _class_weights(knob, class_weights_K))
    else:
        loss = partial(implementation_of(knob), knob, target)
    return partial(_in_single, task, loss)


def weighted_loss(
    loss: LossFunction, outputs: Tensor, targets: Tensor, weight_B: Tensor
) -> tuple[Tensor, Tensor]:
    """The weighted sum Σ w l of the examples' losses, and Σ w.

    The loss of an example is the mean over a batch of this example alone.

    Args:
        loss: from `build_loss`.
        outputs, targets: of a batch.
        weight_B: weights of its examples, at least 0, in the dtype of the outputs.

    Raises:
        UsageError: the loss is the user's own.
    """
    if user_object(loss) is not None:
        message = "a loss of your own takes no weights of examples"
        raise UsageError(message, hint="remove the weights from the data")
    loss_B = torch.func.vmap(_vectorised(loss))(outputs[:, None], targets[:, None])
    return (loss_B * weight_B).sum(), weight_B.sum()


def weighted_mean(loss: LossFunction, outputs: Tensor, targets: Tensor, weight_B: Tensor) -> Tensor:
    """Σ w l / Σ w; 0 if all weights are 0. The arguments are those of `weighted_loss`."""
    total, weight = weighted_loss(loss, outputs, targets, weight_B)
    return total / weight.clamp_min(torch.finfo(weight.dtype).tiny)


def _vectorised(loss: LossFunction) -> LossFunction:
    """The same loss from operations that `torch.func.vmap` has rules for."""
    inner = loss.args[-1] if isinstance(loss, partial) else None
    if not (isinstance(inner, partial) and inner.args and inner.args[0] in _VECTORISED):
        return loss
    task, _ = loss.args  # type: ignore[attr-defined]  # it is a partial of _in_single
    return partial(_in_single, task, partial(inner.func, _VECTORISED[inner.args[0]], *inner.args[1:]))


def predictor(knob: AnyLoss | None, target: TargetScale = OWN_UNITS) -> Callable[[Tensor], Tensor]:
    """The function from a model's outputs to predictions of the standardised target, for regression metrics.

    Args:
        knob: the loss, which defines the meaning of outputs.
        target: the standardisation of the target.

    Returns:
        A function of outputs (N, K) to predictions (N, K): the identity, except for ``poisson``, whose outputs are logs
        of rates in the targets' own units.
    """
    if isinstance(knob, LossKnob) and knob.is_of_counts:
        return partial(_standardised_rates, target)
    return lambda output_NK: output_NK


def _standardised_rates(target: TargetScale, output_NK: Tensor) -> Tensor:
    center, scale = target.like(output_NK)
    return (output_NK.exp() - center) / scale


def user_object(loss: LossFunction) -> object | None:
    """The user's own object or function within a loss of :func:`build_loss`; None for tunecli's losses."""
    inner = loss.args[-1] if isinstance(loss, partial) else loss
    return inner.made if isinstance(inner, _UserLoss) else None


def _in_single(task: Task, loss: LossFunction, outputs: Tensor, targets: Tensor) -> Tensor:
    """Drop the last axis of outputs (B, 1) of one target, which would broadcast with targets (B,) to (B, B)."""
    is_of_one = task == "regression" and targets.dim() < outputs.dim()
    return loss(outputs.squeeze(-1) if is_of_one else outputs, targets)


def _class_weights(knob: AnyLoss, balance_K: Tensor | None) -> Tensor | None:
    own = getattr(knob, "class_weights", [])
    if own and balance_K is not None:
        raise UsageError("class weights come from the loss or from `data.balance`, not from both")
    return torch.tensor(own) if own else balance_K


def _on_classes(
    loss: Callable[..., Tensor], knob: AnyLoss, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor
) -> Tensor:
    weights_K = None if weights_K is None else weights_K.to(logits_BK)
    return loss(knob, weights_K, logits_BK, y_B)


def cross_entropy(knob: CrossEntropy, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    """`torch.nn.functional.cross_entropy`; with smoothing, each class's part of the target has that class's weight."""
    if weights_K is None:
        return fn.cross_entropy(logits_BK, y_B, label_smoothing=knob.label_smoothing)
    losses_B = fn.cross_entropy(
        logits_BK, y_B, weights_K, reduction="none", label_smoothing=knob.label_smoothing
    )
    return losses_B.mean()


def focal(knob: Focal, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    """−(1 − p)^γ log p of the true class (Lin et al. 2017, equation 4)."""
    log_p_B = fn.log_softmax(logits_BK, 1).gather(1, y_B[:, None]).squeeze(1)
    # 1 - p is clamped above 0, where a power below 1 has an infinite gradient.
    miss_B = (-log_p_B.expm1()).clamp_min(1e-7)
    return _mean(-(miss_B**knob.gamma) * log_p_B, weights_K, y_B)


def hinge(knob: Hinge, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    """Σ over other classes k of max(0, margin − logit_y + logit_k)^p, divided by K (Weston & Watkins 1999)."""
    losses_B = fn.multi_margin_loss(logits_BK, y_B, p=knob.p, margin=knob.margin, reduction="none")
    return _mean(losses_B, weights_K, y_B)


def margins(knob: Hinge, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    """`hinge`, from operations that `torch.func.vmap` has rules for."""
    own_B1 = logits_BK.gather(1, y_B[:, None])
    is_other_BK = y_B[:, None] != torch.arange(logits_BK.shape[1], device=y_B.device)
    miss_BK = (knob.margin - own_B1 + logits_BK).clamp_min(0.0) ** knob.p
    return _mean((miss_BK * is_other_BK).mean(1), weights_K, y_B)


def bce(knob: Bce, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    """The mean over classes of binary cross entropy, with smoothing as in timm (Wightman et al. 2021)."""
    target_BK = _smoothed(y_B, logits_BK, knob.label_smoothing)
    losses_BK = fn.binary_cross_entropy_with_logits(logits_BK, target_BK, reduction="none")
    return _mean(losses_BK.mean(1), weights_K, y_B)


def kl(knob: Kl, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    """Kullback-Leibler divergence Σ_k t_k (log t_k − log p_k), for the smoothed target t (Kullback & Leibler 1951)."""
    target_BK = _smoothed(y_B, logits_BK, knob.label_smoothing)
    losses_BK = fn.kl_div(fn.log_softmax(logits_BK, 1), target_BK, reduction="none")
    return _mean(losses_BK.sum(1), weights_K, y_B)


def divergence(knob: Kl, weights_K: Tensor | None, logits_BK: Tensor, y_B: Tensor) -> Tensor:
    """`kl`, from operations that `torch.func.vmap` has rules for."""
    target_BK = _smoothed(y_B, logits_BK, knob.label_smoothing)
    log_p_BK = fn.log_softmax(logits_BK, 1)
    losses_B = (torch.special.xlogy(target_BK, target_BK) - target_BK * log_p_BK).sum(1)
    return _mean(losses_B, weights_K, y_B)


_VECTORISED: dict[Callable[..., Tensor], Callable[..., Tensor]] = {hinge: margins, kl: divergence}
"""The same losses for `torch.func.vmap`, which has no rules for the kernels of these."""


def _smoothed(y_B: Tensor, logits_BK: Tensor, smoothing: float) -> Tensor:
    """Smoothed targets (B, K): (1 − ε) one-hot + ε / K (Szegedy et al. 2016, section 7)."""
    n_classes = logits_BK.shape[1]
    is_class_BK = y_B[:, None] == torch.arange(n_classes, device=y_B.device)
    return is_class_BK.to(logits_BK.dtype) * (1.0 - smoothing) + smoothing / n_classes


def _mean(losses_B: Tensor, weights_K: Tensor | None, y_B: Tensor) -> Tensor:
    return losses_B.mean() if weights_K is None else (losses_B * weights_K[y_B]).mean()


def mse(knob: Mse, target: TargetScale, output_B: Tensor, y_B: Tensor) -> Tensor:
    """`torch.nn.functional.mse_loss`."""
    return fn.mse_loss(output_B, y_B)


def mae(knob: Mae, target: TargetScale, output_B: Tensor, y_B: Tensor) -> Tensor:
    """`torch.nn.functional.l1_loss`."""
    return fn.l1_loss(output_B, y_B)


def huber(knob: Huber, target: TargetScale, output_B: Tensor, y_B: Tensor) -> Tensor:
    """`torch.nn.functional.huber_loss`."""
    return fn.huber_loss(output_B, y_B, delta=knob.delta)


def smooth_l1(knob: SmoothL1, target: TargetScale, output_B: Tensor, y_B: Tensor) -> Tensor:
    """`torch.nn.functional.smooth_l1_loss`."""
    return fn.smooth_l1_loss(output_B, y_B, beta=knob.beta)


def log_cosh(knob: LogCosh, target: TargetScale, output_B: Tensor, y_B: Tensor) -> Tensor:
    """log cosh e = |e| + log(1 + exp(−2|e|)) − log 2, which does not overflow."""
    size_B = (output_B - y_B).abs()
    return (size_B + fn.softplus(-2.0 * size_B) - math.log(2.0)).mean()


def quantile(knob: Quantile, target: TargetScale, output_B: Tensor, y_B: Tensor) -> Tensor:
    """max(q e, (q − 1) e) for the error e = target − output (Koenker & Bassett 1978)."""
    error_B = y_B - output_B
    return torch.maximum(knob.q * error_B, (knob.q - 1.0) * error_B).mean()


def poisson(knob: Poisson, target: TargetScale, output_B: Tensor, y_B: Tensor) -> Tensor:
    """exp(output) − count · output, plus a term of the count alone if ``full`` (`torch.nn.PoissonNLLLoss`)."""
    count_B = _counts(y_B, target)
    return fn.poisson_nll_loss(output_B, count_B, log_input=True, full=knob.full)


def _counts(y_B: Tensor, target: TargetScale) -> Tensor:
    """Targets in their own units, rounded to a whole number if they are within rounding error of one.

    Standardising rounds, and Stirling's term jumps above 1, so a count of 1 must be converted back to exactly 1.
    """
    center, scale = target.like(y_B)
    scaled_B = y_B * scale
    count_B = scaled_B + center
    whole_B = count_B.round()
    size = center.abs() if isinstance(center, Tensor) else abs(center)
    rounding_B = 2.0 * torch.finfo(y_B.dtype).eps * (scaled_B.abs() + size)
    return torch.where((count_B - whole_B).abs() <= rounding_B, whole_B, count_B)


class _UserLoss:
    """The user's loss: their function of (outputs, targets, **args), or an object of their class made with ``args``."""

    def __init__(self, knob: UserCode, base_path: Path) -> None:
        code = resolve(knob.python, base_path)
        self.made = code(**knob.args) if isinstance(code, type) else partial(code, **knob.args)
        self._code_name = knob.python

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if isinstance(self.made, nn.Module):
            self.made.to(outputs.device).train(torch.is_grad_enabled())
        value = self.made(outputs.clone(), targets.clone())  # clones, because the code may write to them
        if not isinstance(value, Tensor) or value.ndim != 0:
            shown = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            message = f"{self._code_name} returns {shown}, but a loss must be a tensor without axes"
            raise UsageError(message, hint="return the mean over the batch")
        return value
