"""The validation of many models at once: each one's outputs, then every model's loss and metrics in one go.

The outputs are each model's own, of a product of its own, and the metrics are metrics.py's to the last example: the
same counts, and the same mean ranks, found by sorting values alone and looking the positives up among them, which takes
a quarter of the time. Reads the device once.

Axes: T models, N examples, K outputs, M positives of a class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tunecli.train.fused.criteria import Block, Criterion, criterion, room
from tunecli.train.fused.member import Member
from tunecli.train.fused.stack import UNIT
from tunecli.train.fused.trainer import FusedTrainer
from tunecli.train.metrics import finite
from tunecli.train.precision import kernels

_MOST_OUTPUTS = 1_000_000
"""Numbers of one model's outputs beyond which overheads are nothing, and memory is something."""


class FusedValidator:
    """The validation part, and what is known of it beforehand."""

    def __init__(self, member: Member) -> None:
        """Prepare the part that a member, and any other of its group, is validated on."""
        fold = member.fold
        self._x, self._y_N, self._task = fold.x_valid, fold.y_valid, fold.task
        self._n, self._n_outputs = len(self._y_N), fold.n_outputs
        self._criteria: dict[int, Criterion] = {}
        self._make_criterion = criterion(member.config.loss, fold.task, None, member.learner.validation_loss)
        n_more = -self._n % UNIT
        self._padded_x = torch.cat([self._x, self._x[:1].expand(n_more, *self._x.shape[1:])])
        self._is_batched = fold.task == "classification" and self._n * self._n_outputs <= _MOST_OUTPUTS
        if self._is_batched:
            self._ranks = _Ranks(self._y_N, self._n_outputs)

    def validate(self, members: Sequence[Member], together: FusedTrainer) -> list[dict[str, float]]:
        """The validation metrics of some of the members that train together, ``val_loss`` among them.

        Those that are undefined are absent.
        """
        if not members or not self._is_batched:
            return [member.learner.validate() for member in members]
        like = next(members[0].model.parameters())
        shape = (len(members), self._n_outputs, len(self._padded_x))
        with kernels(members[0].config.training):
            outputs = self._outputs(members, together, shape, like)
        if len(members) not in self._criteria:
            self._criteria = {len(members): self._make_criterion(shape, self._n, like)}
        y_TN = self._y_N.expand(len(members), -1)
        with torch.inference_mode():
            logits_TKN = outputs.view[:, :, : self._n]
            best_T1N = logits_TKN.amax(1, keepdim=True)
            loss_T = self._criteria[len(members)].losses(outputs, y_TN)
            loss_T = torch.where(best_T1N.isnan().any(2)[:, 0], torch.nan, loss_T.double())
            found = {"loss": loss_T, **self._scores(logits_TKN, best_T1N)}
            numbers = torch.stack([*found.values()]).cpu()
        names = [f"val_{name}" for name in found]
        each = [dict(zip(names, own, strict=True)) for own in numbers.T.tolist()]
        # as the plain loop, which gives a model whose outputs are NaN no metric
        return [
            {"val_loss": own["val_loss"]}
            if math.isnan(own["val_loss"])
            else {"val_loss": own["val_loss"], **finite(own)}
            for own in each
        ]

    def _outputs(
        self, members: Sequence[Member], together: FusedTrainer, shape: tuple[int, ...], like: Tensor
    ) -> Block:
        """The members' outputs (T, K, N), and numbers that mean nothing behind the examples' own."""
        found = together.outputs(self._padded_x.to(like.device), self._n)
        # one whose average is validated goes by itself, which its neighbours must not feel
        by_itself = [found is None or member.has_average for member in members]
        if found is not None and len(members) == len(together.members) and not any(by_itself):
            return found
        outputs = room(shape, like)
        with torch.inference_mode():
            for row, member, is_alone in zip(outputs.view, members, by_itself, strict=True):
                if found is None or is_alone:
                    row[:, : self._n] = member.outputs(self._x).T
                else:
                    row.copy_(found.view[together.members.index(member)])
        return outputs

    def _scores(self, logits_TKN: Tensor, best_T1N: Tensor) -> dict[str, Tensor]:
        """As `metrics.evaluate`, of each model (T,); without meaning for one whose outputs are NaN."""
        n_models, k = logits_TKN.shape[:2]
        first_T1 = torch.arange(n_models, device=logits_TKN.device)[:, None] * k**2
        places_TN = first_T1 + self._y_N * k + _first_best(logits_TKN, best_T1N)
        confusion_TKK = torch.bincount(places_TN.flatten(), minlength=n_models * k**2).double().view(-1, k, k)
        hits_TK = confusion_TKK.diagonal(dim1=1, dim2=2).contiguous()
        true_TK, guessed_TK = confusion_TKK.sum(2), confusion_TKK.sum(1)
        return {
            "accuracy": hits_TK.sum(1) / self._n,
            "balanced_accuracy": _mean_where(hits_TK / true_TK, true_TK > 0),
            "f1": _mean_where(2.0 * hits_TK / (true_TK + guessed_TK), true_TK + guessed_TK > 0),
            "auroc": self._ranks.auroc(logits_TKN),
        }


class _Ranks:
    """The Mann-Whitney statistic of each class against the rest, its positives being the same for all models."""

    def __init__(self, y_N: Tensor, n_classes: int) -> None:
        self._is_binary = n_classes == 2
        classes = [1] if self._is_binary else range(n_classes)
        places = [(y_N == each).nonzero()[:, 0] for each in classes]
        n_positive_K = torch.tensor([len(each) for each in places], device=y_N.device)
        most = max(1, int(n_positive_K.max()))
        self._places_KM = torch.stack(
            [torch.nn.functional.pad(each, (0, most - len(each))) for each in places]
        )
        self._counts_KM = torch.arange(most, device=y_N.device) < n_positive_K[:, None]
        self._n_positive_K = n_positive_K.double()
        self._pairs_K = self._n_positive_K * (len(y_N) - self._n_positive_K)

    def auroc(self, logits_TKN: Tensor) -> Tensor:
        """As `metrics.auroc`, of each model (T,)."""
        doubles_TKN = logits_TKN.double()
        if self._is_binary:
            scores_TKN = doubles_TKN[:, 1:] - doubles_TKN[:, :1]
        else:
            scores_TKN = torch.log_softmax(doubles_TKN, 1)
        sorted_TKN = _sorted(scores_TKN)
        value_TKM = scores_TKN.gather(2, self._places_KM.expand(len(scores_TKN), -1, -1))
        below_TKM = torch.searchsorted(sorted_TKN, value_TKM)
        not_above_TKM = torch.searchsorted(sorted_TKN, value_TKM, right=True)
        rank_TKM = (below_TKM + not_above_TKM + 1).double() / 2.0
        rank_TK = (rank_TKM * self._counts_KM).sum(2)
        wins_TK = rank_TK - self._n_positive_K * (self._n_positive_K + 1.0) / 2.0
        return _mean_where(wins_TK / self._pairs_K, (self._pairs_K > 0).expand(len(wins_TK), -1))


def _first_best(logits_TKN: Tensor, best_T1N: Tensor) -> Tensor:
    """As ``logits_TKN.argmax(1)``, which over an axis that is not the last takes ten times as long.

    NaN equals nothing, so it has no first best. Such an example counts as the last class: a class that does not exist
    would be counted among those of the next model.
    """
    k = logits_TKN.shape[1]
    turned_K1 = torch.arange(k, 0, -1, device=logits_TKN.device)[:, None]
    is_best_TKN = logits_TKN == best_T1N
    return k - (is_best_TKN * turned_K1).amax(1).clamp(min=1)


def _sorted(values: Tensor) -> Tensor:
    """Sorted along the last axis; on the CPU by NumPy, whose vectorised sort takes a tenth of torch's time."""
    if values.device.type != "cpu":
        return values.sort(-1).values
    return torch.from_numpy(np.sort(values.numpy(), -1))


def _mean_where(values_TK: Tensor, is_counted_TK: Tensor) -> Tensor:
    return torch.where(is_counted_TK, values_TK, 0.0).sum(1) / is_counted_TK.sum(1)
