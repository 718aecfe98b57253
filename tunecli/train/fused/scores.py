"""Losses and metrics of many models at once.

A loss gives each model's mean and its gradient with respect to the outputs. In outputs the classes come before the
examples, (T, K, B): torch's softmax over an inner axis of ten numbers takes fifteen times as long as over an outer one.
The gradient of cross entropy and its variants is written out; that of any other loss comes from autograd. Tests compare
each loss with losses.py.

The metrics equal those of metrics.py to the last bit: the same counts and the same mean ranks. The ranks are found by
sorting the values and looking up the positives among them, which takes a quarter of the time.

Axes: T models, B examples of a batch, N examples of the validation part, K outputs, M positives of a class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tunecli.config.schema.losses import AnyLoss, CrossEntropy, Hinge, Kl, Task
from tunecli.train.fused.stack import LANES, Block, padded_block
from tunecli.train.losses import LossFunction


class Criterion(Protocol):
    """A loss for outputs of one shape (T, K, B), of which the first n examples count and the others are padding."""

    def losses(self, outputs: Block, y_TB: Tensor) -> Tensor:
        """Each model's mean loss (T,)."""
        ...

    def __call__(self, outputs: Block, y_TB: Tensor, share: float) -> tuple[Tensor, Block]:
        """Each model's mean loss (T,), and ``share`` times its gradient (T, K, B), which is zero for padding."""
        ...


class _CrossEntropy:
    """Cross entropy Σ_k −t_k w_k log p_k, for smoothed targets t = (1 − ε) one-hot + ε / K and class weights w.

    Its gradient with respect to the logits is p Σ_k t_k w_k − t w. ``offset`` is subtracted from the loss: for ``kl``
    the entropy of the targets.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        n: int,
        like: Tensor,
        smoothing: float = 0.0,
        weights_K: Tensor | None = None,
        offset: float = 0.0,
    ) -> None:
        self._log_p, self._p = padded_block(shape, like), padded_block(shape, like)
        self._log_p_TKB, self._p_TKB = self._log_p.view[:, :, :n], self._p.view[:, :, :n]
        self._smoothing, self._weights_K, self._offset = smoothing, weights_K, offset
        self._is_plain = smoothing == 0.0 and weights_K is None
        n_models, n_classes, n_rows = shape
        self._n, self._has_padding = n, n < n_rows
        self._minus = torch.full((n_models, 1, n), -1.0, dtype=like.dtype, device=like.device)
        self._classes_K1 = torch.arange(n_classes, device=like.device)[:, None]

    def losses(self, outputs: Block, y_TB: Tensor) -> Tensor:
        torch._log_softmax(outputs.view, 1, False, out=self._log_p.view)
        y_T1B = y_TB[:, None]
        if self._is_plain:
            return self._log_p_TKB.gather(1, y_T1B)[:, 0].mean(1).neg_()
        return (self._target(y_T1B) * self._log_p_TKB).sum(1).mean(1).neg_() - self._offset

    def __call__(self, outputs: Block, y_TB: Tensor, share: float) -> tuple[Tensor, Block]:
        loss_T = self.losses(outputs, y_TB)
        # exp(log p) takes ten times as long if p is tiny
        torch._softmax(outputs.view, 1, False, out=self._p.view)
        y_T1B = y_TB[:, None]
        if self._is_plain:
            self._p_TKB.scatter_add_(1, y_T1B, self._minus)
        else:
            target_TKB = self._target(y_T1B)
            self._p_TKB.mul_(target_TKB.sum(1, keepdim=True)).sub_(target_TKB)
        if self._has_padding:
            self._p.view[:, :, self._n :] = 0.0
        self._p.flat.mul_(share / self._n)
        return loss_T, self._p

    def _target(self, y_T1B: Tensor) -> Tensor:
        """The weighted targets t w (T, K, B)."""
        target_TKB = (y_T1B == self._classes_K1).to(self._minus.dtype)
        target_TKB.mul_(1.0 - self._smoothing).add_(self._smoothing / len(self._classes_K1))
        return target_TKB if self._weights_K is None else target_TKB.mul_(self._weights_K[:, None])


class _ByAutograd:
    """Any loss, by autograd. Models of zeros follow the others, so that a vectorised loop's last numbers are theirs."""

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
        self._gradient = padded_block(shape, like)
        self._loss = torch.func.vmap(loss) if is_batched else partial(_one_by_one, loss)

    def losses(self, outputs: Block, y_TB: Tensor) -> Tensor:
        rows, y = self._filled_rows(outputs, y_TB)
        return self._loss(rows, y)[: self._n_models]

    def __call__(self, outputs: Block, y_TB: Tensor, share: float) -> tuple[Tensor, Block]:
        rows, y = self._filled_rows(outputs, y_TB)
        rows = rows.detach().requires_grad_()
        with torch.enable_grad():
            loss_T = self._loss(rows, y)
            (gradient,) = torch.autograd.grad(loss_T.sum(), rows)
        self._gradient.view[:, :, : self._n] = gradient[: self._n_models].transpose(1, 2)
        if share != 1.0:
            self._gradient.flat.mul_(share)
        return loss_T.detach()[: self._n_models], self._gradient

    def _filled_rows(self, outputs: Block, y_TB: Tensor) -> tuple[Tensor, Tensor]:
        if self._y is None:
            self._y = y_TB.new_zeros(len(self._rows), *y_TB.shape[1:])
        self._y[: self._n_models] = y_TB
        self._rows[: self._n_models] = outputs.view[:, :, : self._n].transpose(1, 2)
        return self._rows, self._y


def _one_by_one(loss: LossFunction, rows: Tensor, y: Tensor) -> Tensor:
    return torch.stack([loss(row, y_B) for row, y_B in zip(rows, y, strict=True)])


MakeCriterion = Callable[[tuple[int, int, int], int, Tensor], Criterion]
"""(shape of the outputs (T, K, B), number of examples that count, a tensor of their dtype and device) → the loss."""


def criterion(
    knob: AnyLoss | None, task: Task, weights_K: Tensor | None, loss: LossFunction
) -> MakeCriterion:
    """The loss of many models.

    Args:
        knob: the loss's setting; None: the default of the task.
        task: classification or regression.
        weights_K: class weights of ``data.balance``, if any.
        loss: the loss of one model that `build_loss` makes of the same setting.
    """
    if isinstance(knob, CrossEntropy | Kl) or (knob is None and task == "classification"):
        smoothing = 0.0 if knob is None else knob.label_smoothing
        own = knob.class_weights if isinstance(knob, CrossEntropy) else []

        def of_classes(shape: tuple[int, int, int], n: int, like: Tensor) -> Criterion:
            weights = torch.tensor(own) if own else weights_K
            weights = None if weights is None else weights.to(like)
            offset = _entropy(smoothing, shape[1]) if isinstance(knob, Kl) else 0.0
            return _CrossEntropy(shape, n, like, smoothing, weights, offset)

        return of_classes
    is_batched = not isinstance(knob, Hinge)  # torch.func.vmap has no rule for its loss
    return partial(_ByAutograd, loss=loss, is_batched=is_batched)


def _entropy(smoothing: float, n_classes: int) -> float:
    """The entropy −Σ t log t of a smoothed target, in nats."""
    shares = [1.0 - smoothing + smoothing / n_classes] + [smoothing / n_classes] * (n_classes - 1)
    return -sum(share * math.log(share) for share in shares if share)


class BatchedMetrics:
    """The metrics of many classifiers on the same examples."""

    def __init__(self, y_N: Tensor, n_classes: int) -> None:
        self._y_N = y_N
        self._ranks = _Ranks(y_N, n_classes)

    def __call__(self, logits_TKN: Tensor, best_T1N: Tensor) -> dict[str, Tensor]:
        """The metrics of `metrics.evaluate` for each model (T,); meaningless for a model whose outputs are NaN.

        Args:
            logits_TKN: the outputs.
            best_T1N: their maximum over the classes.
        """
        n_models, k = logits_TKN.shape[:2]
        first_T1 = torch.arange(n_models, device=logits_TKN.device)[:, None] * k**2
        cell_TN = first_T1 + self._y_N * k + _first_best(logits_TKN, best_T1N)
        confusion_TKK = torch.bincount(cell_TN.flatten(), minlength=n_models * k**2).double().view(-1, k, k)
        hits_TK = confusion_TKK.diagonal(dim1=1, dim2=2).contiguous()
        true_TK, guessed_TK = confusion_TKK.sum(2), confusion_TKK.sum(1)
        return {
            "accuracy": hits_TK.sum(1) / len(self._y_N),
            "balanced_accuracy": _mean_where(hits_TK / true_TK, true_TK > 0),
            "f1": _mean_where(2.0 * hits_TK / (true_TK + guessed_TK), true_TK + guessed_TK > 0),
            "auroc": self._ranks.auroc(logits_TKN),
        }


class _Ranks:
    """The Mann-Whitney statistic of each class against the rest; all models have the same positives."""

    def __init__(self, y_N: Tensor, n_classes: int) -> None:
        self._is_binary = n_classes == 2
        classes = [1] if self._is_binary else range(n_classes)
        positives = [(y_N == k).nonzero()[:, 0] for k in classes]
        n_positive_K = torch.tensor([len(index_M) for index_M in positives], device=y_N.device)
        most = max(1, int(n_positive_K.max()))
        self._positive_KM = torch.stack(
            [torch.nn.functional.pad(index_M, (0, most - len(index_M))) for index_M in positives]
        )
        self._is_positive_KM = torch.arange(most, device=y_N.device) < n_positive_K[:, None]
        self._n_positive_K = n_positive_K.double()
        self._pairs_K = self._n_positive_K * (len(y_N) - self._n_positive_K)

    def auroc(self, logits_TKN: Tensor) -> Tensor:
        """The area of `metrics.auroc` for each model (T,)."""
        doubles_TKN = logits_TKN.double()
        if self._is_binary:
            scores_TKN = doubles_TKN[:, 1:] - doubles_TKN[:, :1]
        else:
            scores_TKN = torch.log_softmax(doubles_TKN, 1)
        sorted_TKN = _sorted(scores_TKN)
        value_TKM = scores_TKN.gather(2, self._positive_KM.expand(len(scores_TKN), -1, -1))
        below_TKM = torch.searchsorted(sorted_TKN, value_TKM)
        not_above_TKM = torch.searchsorted(sorted_TKN, value_TKM, right=True)
        rank_TKM = (below_TKM + not_above_TKM + 1).double() / 2.0
        rank_TK = (rank_TKM * self._is_positive_KM).sum(2)
        wins_TK = rank_TK - self._n_positive_K * (self._n_positive_K + 1.0) / 2.0
        return _mean_where(wins_TK / self._pairs_K, (self._pairs_K > 0).expand(len(wins_TK), -1))


def _first_best(logits_TKN: Tensor, best_T1N: Tensor) -> Tensor:
    """The first class (T, N) with the largest logit: ``logits_TKN.argmax(1)`` in a tenth of its time.

    NaN equals nothing, so an example with NaN has no first best. It counts as the last class, because an index past the
    last class would be counted for the next model.
    """
    k = logits_TKN.shape[1]
    turned_K1 = torch.arange(k, 0, -1, device=logits_TKN.device)[:, None]
    is_best_TKN = logits_TKN == best_T1N
    return k - (is_best_TKN * turned_K1).amax(1).clamp(min=1)


def _sorted(values: Tensor) -> Tensor:
    """Sort along the last axis; on the CPU with NumPy, whose vectorised sort takes a tenth of torch's time."""
    if values.device.type != "cpu":
        return values.sort(-1).values
    return torch.from_numpy(np.sort(values.numpy(), -1))


def _mean_where(values_TK: Tensor, is_counted_TK: Tensor) -> Tensor:
    return torch.where(is_counted_TK, values_TK, 0.0).sum(1) / is_counted_TK.sum(1)
