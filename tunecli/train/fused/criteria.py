"""A loss of many models at once: each one's mean loss, and its gradient with regard to the outputs.

Outputs stand with their classes before their examples, (T, K, B): torch's softmax over an inner axis of ten numbers
takes fifteen times as long as over an outer one. Cross entropy and its kin are written out; the gradient of any other
loss is autograd's. Each is the loss that losses.py builds, and a test holds it to that.

Axes: T models, B examples, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from tunecli.config.schema.losses import AnyLoss, CrossEntropy, Hinge, Kl, Task
from tunecli.train.fused.stack import LANES
from tunecli.train.losses import LossFunction


class Block(NamedTuple):
    """A tensor, and the block of memory that it fills but for the spare numbers behind it."""

    flat: Tensor
    view: Tensor


def room(shape: tuple[int, ...], like: Tensor) -> Block:
    """A block of zeros, with so many spare numbers that none of the tensor's is among a vectorised loop's last few."""
    n = math.prod(shape)
    flat = torch.zeros(n + LANES, dtype=like.dtype, device=like.device)
    return Block(flat, flat[:n].view(shape))


class Criterion(Protocol):
    """A loss, bound to a shape of outputs (T, K, B), of whose examples the first n count."""

    def losses(self, outputs: Block, y_TB: Tensor) -> Tensor:
        """Each model's loss alone (T,)."""
        ...

    def __call__(self, outputs: Block, y_TB: Tensor, share: float) -> tuple[Tensor, Block]:
        """Each model's loss (T,), and ``share`` of its gradient (T, K, B), which is zero where no example counts."""
        ...


class _CrossEntropies:
    """Σ_k −t_k w_k log p_k, for smoothed targets t = (1 − ε) one-hot + ε / K, and the classes' weights w.

    Its gradient is p Σ_k t_k w_k − t w. ``least`` is taken off: the entropy of the targets, for ``kl``.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        n: int,
        like: Tensor,
        smoothing: float = 0.0,
        weights_K: Tensor | None = None,
        least: float = 0.0,
    ) -> None:
        self._log_p, self._p = room(shape, like), room(shape, like)
        self._log_p_TKB, self._p_TKB = self._log_p.view[:, :, :n], self._p.view[:, :, :n]
        self._smoothing, self._weights_K, self._least = smoothing, weights_K, least
        self._is_plain = smoothing == 0.0 and weights_K is None
        n_models, n_classes, n_rows = shape
        self._n, self._has_more = n, n < n_rows
        self._minus = torch.full((n_models, 1, n), -1.0, dtype=like.dtype, device=like.device)
        self._classes_K1 = torch.arange(n_classes, device=like.device)[:, None]

    def losses(self, outputs: Block, y_TB: Tensor) -> Tensor:
        torch._log_softmax(outputs.view, 1, False, out=self._log_p.view)
        y_T1B = y_TB[:, None]
        if self._is_plain:
            return self._log_p_TKB.gather(1, y_T1B)[:, 0].mean(1).neg_()
        return (self._target(y_T1B) * self._log_p_TKB).sum(1).mean(1).neg_() - self._least

    def __call__(self, outputs: Block, y_TB: Tensor, share: float) -> tuple[Tensor, Block]:
        loss_T = self.losses(outputs, y_TB)
        # and not exp(log p), which takes ten times as long where p is next to nothing
        torch._softmax(outputs.view, 1, False, out=self._p.view)
        y_T1B = y_TB[:, None]
        if self._is_plain:
            self._p_TKB.scatter_add_(1, y_T1B, self._minus)
        else:
            target_TKB = self._target(y_T1B)
            self._p_TKB.mul_(target_TKB.sum(1, keepdim=True)).sub_(target_TKB)
        if self._has_more:
            self._p.view[:, :, self._n :] = 0.0
        self._p.flat.mul_(share / self._n)
        return loss_T, self._p

    def _target(self, y_T1B: Tensor) -> Tensor:
        """t w (T, K, B)."""
        target_TKB = (y_T1B == self._classes_K1).to(self._minus.dtype)
        target_TKB.mul_(1.0 - self._smoothing).add_(self._smoothing / len(self._classes_K1))
        return target_TKB if self._weights_K is None else target_TKB.mul_(self._weights_K[:, None])


class _ByAutograd:
    """Any loss, one model beside the other; models of zeros behind them stand where a loop's last numbers are."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        n: int,
        like: Tensor,
        *,
        loss: LossFunction,
        is_batched: bool,
    ) -> None:
        self._n_models, n_outputs, _ = shape
        self._n = n
        n_rows = self._n_models + -(-LANES // (n_outputs * n))
        self._rows = torch.zeros(n_rows, n, n_outputs, dtype=like.dtype, device=like.device)
        self._y: Tensor | None = None
        self._gradient = room(shape, like)
        self._loss = torch.func.vmap(loss) if is_batched else partial(_one_by_one, loss)

    def losses(self, outputs: Block, y_TB: Tensor) -> Tensor:
        rows, y = self._filled(outputs, y_TB)
        return self._loss(rows, y)[: self._n_models]

    def __call__(self, outputs: Block, y_TB: Tensor, share: float) -> tuple[Tensor, Block]:
        rows, y = self._filled(outputs, y_TB)
        rows = rows.detach().requires_grad_()
        with torch.enable_grad():
            loss_T = self._loss(rows, y)
            (gradient,) = torch.autograd.grad(loss_T.sum(), rows)
        self._gradient.view[:, :, : self._n] = gradient[: self._n_models].transpose(1, 2)
        if share != 1.0:
            self._gradient.flat.mul_(share)
        return loss_T.detach()[: self._n_models], self._gradient

    def _filled(self, outputs: Block, y_TB: Tensor) -> tuple[Tensor, Tensor]:
        if self._y is None:
            self._y = y_TB.new_zeros(len(self._rows), y_TB.shape[1])
        self._y[: self._n_models] = y_TB
        self._rows[: self._n_models] = outputs.view[:, :, : self._n].transpose(1, 2)
        return self._rows, self._y


def _one_by_one(loss: LossFunction, rows: Tensor, y: Tensor) -> Tensor:
    return torch.stack([loss(row, y_B) for row, y_B in zip(rows, y, strict=True)])


MakeCriterion = Callable[[tuple[int, int, int], int, Tensor], Criterion]
"""(the outputs' shape (T, K, B), how many of the examples count, a tensor of their kind) → the loss bound to these."""


def criterion(
    knob: AnyLoss | None, task: Task, weights_K: Tensor | None, loss: LossFunction
) -> MakeCriterion:
    """The loss of many models.

    Args:
        knob: which one; None: the task's own.
        task: classification or regression.
        weights_K: the classes' weights, from the data's balance.
        loss: what losses.py builds of the same.
    """
    if isinstance(knob, CrossEntropy | Kl) or (knob is None and task == "classification"):
        smoothing = 0.0 if knob is None else knob.label_smoothing
        own = knob.class_weights if isinstance(knob, CrossEntropy) else []

        def of_classes(shape: tuple[int, int, int], n: int, like: Tensor) -> Criterion:
            weights = torch.tensor(own) if own else weights_K
            weights = None if weights is None else weights.to(like)
            least = _entropy(smoothing, shape[1]) if isinstance(knob, Kl) else 0.0
            return _CrossEntropies(shape, n, like, smoothing, weights, least)

        return of_classes
    is_batched = not isinstance(knob, Hinge)  # which has no rule for it
    return partial(_ByAutograd, loss=loss, is_batched=is_batched)


def _entropy(smoothing: float, n_classes: int) -> float:
    """−Σ t log t of a smoothed target."""
    shares = [1.0 - smoothing + smoothing / n_classes] + [smoothing / n_classes] * (n_classes - 1)
    return -sum(share * math.log(share) for share in shares if share)
