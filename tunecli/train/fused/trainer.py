"""Training and validation of a group for one epoch: the same steps for all members, each on its own examples.

Owns the order of steps. gradients.py computes the gradients; each member takes its own optimizer step, or
stacked_optimizer.py takes all of them at once on devices other than the CPU. Reads results from the device once an
epoch and once a validation. Knows neither objectives nor events.

Axes: T models, N examples of an epoch or of the validation part, B examples of a batch, S steps, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
import torch.nn.functional as fn
from torch import Tensor

from tunecli.train.epoch_batches import epoch_order, epoch_steps
from tunecli.train.fused.gradients import (
    Gradients,
    PerceptronGradients,
    SequentialGradients,
    VectorisedGradients,
    is_perceptron,
)
from tunecli.train.fused.member import Member
from tunecli.train.fused.scores import BatchedMetrics, Criterion, criterion
from tunecli.train.fused.stack import UNIT, Block, Stack, padded_block
from tunecli.train.fused.stacked_optimizer import MOST_NUMBERS, StackedOptimizer
from tunecli.train.metrics import finite
from tunecli.train.requested_metrics import requested_values
from tunecli.train.torch_state import kernels


class FusedTrainer:
    """Members whose models are one stack."""

    def __init__(self, members: Sequence[Member], *, is_by_block: bool | None = None) -> None:
        """Stack the members' models.

        Args:
            members: trials of one signature, at least one.
            is_by_block: whether their optimizers step at once where a formula exists; None: on all devices but the CPU.
        """
        self._is_by_block = members[0].device.type != "cpu" if is_by_block is None else is_by_block
        # members that can step at once need neighbouring rows
        self.members = (
            sorted(members, key=lambda member: str(member.form)) if self._is_by_block else [*members]
        )
        self._stack = Stack([member.model for member in self.members], members[0].groups())
        self._bind()

    def keep(self, members: Sequence[Member]) -> None:
        """Continue with only these members."""
        if len(members) < len(self.members):
            self._stack.keep([self.members.index(member) for member in members])
            self.members = [*members]
            self._bind()

    def train_epoch(self) -> list[float]:
        """Train each member's next epoch.

        Returns:
            Each member's training loss: the mean over its examples, each taken before the step that trained on it.
        """
        sizes = self.members[0].sizes()
        for member in self.members:
            member.begin_epoch()
        for members, optimizer in self._stacked_optimizers:
            optimizer.begin_epoch(
                [member.rates for member in members], [member.n_steps for member in members]
            )
        self._gradients.begin_epoch(
            [member.seed_for("dropout", member.epoch) if self._drops else 0 for member in self.members]
        )
        losses: list[Tensor] = []
        settings = kernels(self.members[0].config.training)
        # no_grad once for the epoch: entering it for each trial and step takes as long as a small model's products
        with settings, torch.autograd.set_multithreading_enabled(False), torch.no_grad():
            batches = self._batches(sizes)
            for number, step in enumerate(sizes):
                losses.append(self._step(step, batches))
                self._update(number)
        for members, _ in self._stacked_optimizers:
            for member in members:
                member.optimizer.count(member.counters[-1])
        n_examples = sum(map(sum, sizes))
        shares_S = torch.tensor([sum(step) / n_examples for step in sizes])
        loss_TS = torch.stack(losses, 1).float().cpu()
        # clone: the sum of a row depends on its alignment in memory
        losses_T = [float(loss_S.clone() @ shares_S) for loss_S in loss_TS]
        for member, loss in zip(self.members, losses_T, strict=True):
            member.end_epoch(loss)
        return losses_T

    def outputs(self, x_B: Tensor, n: int) -> Block | None:
        """All models' outputs in evaluation on the same examples, (T, K, B).

        None if each model has to be evaluated alone; that depends only on the members' signature.

        Args:
            x_B: the examples, padded with any others to a multiple of `stack.UNIT`; B is the same at every call.
            n: number of examples without the padding.
        """
        if not isinstance(self._gradients, PerceptronGradients) or not self._gradients.can_evaluate(n):
            return None
        with torch.no_grad():
            return self._gradients.outputs(x_B)

    def _bind(self) -> None:
        for row, member in enumerate(self.members):
            member.bind(self._stack, row)
        first = self.members[0]
        loss, weights_K = first.learner.training_loss, first.learner.class_weights_K
        models = [member.model for member in self.members]
        self._drops = any(isinstance(layer, torch.nn.Dropout) for layer in models[0].modules())
        self._batch_buffers: dict[tuple[int, ...], Tensor] = {}
        self._stacked_optimizers = self._group_optimizers()
        self._gradients: Gradients
        if is_perceptron(models[0]):
            make_criterion = criterion(first.config.loss, first.fold.task, weights_K, loss)
            self._gradients = PerceptronGradients(self._stack, models, make_criterion)
        elif first.device.type == "cpu":
            self._gradients = SequentialGradients(self._stack, models, loss)
        else:
            self._gradients = VectorisedGradients(self._stack, models, loss)

    def _group_optimizers(self) -> list[tuple[list[Member], StackedOptimizer]]:
        """The members that step at once, with their optimizer; empty if each member steps alone."""
        stack = self._stack
        if not (self._is_by_block and self.members[0].form and stack.weights_TP.shape[1] <= MOST_NUMBERS):
            return []
        groups = [[*of_form] for _, of_form in groupby(self.members, key=lambda member: member.form)]
        sizes = [len(members) for members in groups]
        parts = zip(torch.split(stack.weights_TP, sizes), torch.split(stack.gradients_TP, sizes), strict=True)
        return [
            (members, StackedOptimizer([member.optimizer for member in members], *part, stack.bounds))
            for members, part in zip(groups, parts, strict=True)
        ]

    def _update(self, number: int) -> None:
        """Take step ``number`` of the epoch for each member, on its gradient."""
        if not self._stacked_optimizers:
            for member in self.members:
                member.update(number)
            return
        for members, optimizer in self._stacked_optimizers:
            for member in members:
                member.before_step()
            optimizer.step(number)
            for member in members:
                member.after_step(number)

    def _step(self, sizes: Sequence[int], batches: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        """Write a step's gradients to the stack, and return its losses (T,)."""
        losses = []
        n = sum(sizes)
        for number, size in enumerate(sizes):
            x_TB, y_TB = next(batches)
            share = size / n
            loss_T = self._gradients.gradient(x_TB, y_TB, size, share, adds=number > 0)
            losses.append(loss_T if len(sizes) == 1 else loss_T * share)
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum(0)

    def _batches(self, sizes: Sequence[Sequence[int]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch's inputs (T + n_spare, B, *shape) and targets.

        B is the batch's size, rounded up to a multiple of the gradients' ``unit``. The padding repeats other examples.
        """
        fold, data = self.members[0].fold, self.members[0].config.data
        flat_sizes = [size for step in sizes for size in step]
        device = fold.placement.device  # the examples may be on the host, if they are many
        n, unit = sum(flat_sizes), self._gradients.unit
        if data.augment:
            epochs = [
                epoch_steps(data, member.fold, [[n]], member.epoch, member.seed_for)[0][0]
                for member in self.members
            ]
            x_M, y_M = torch.cat([epoch.x for epoch in epochs]), torch.cat([epoch.y for epoch in epochs])
            order_TN = torch.arange(len(y_M), device=y_M.device).view(len(epochs), n)
        else:
            orders = [epoch_order(data, fold, member.epoch, member.seed_for)[:n] for member in self.members]
            x_M, y_M, order_TN = fold.x_train, fold.y_train, torch.stack(orders).to(fold.x_train.device)
        order_TN = torch.cat([order_TN, order_TN[:1].expand(self._gradients.n_spare, -1)])
        y_TN = y_M[order_TN]
        targets = torch.split(y_TN, flat_sizes, 1)
        for order_TB, y_TB in zip(torch.split(order_TN, flat_sizes, 1), targets, strict=True):
            if n_padding := -order_TB.shape[1] % unit:
                order_TB = fn.pad(order_TB, (0, n_padding))
            chosen, shape = order_TB.reshape(-1), order_TB.shape
            if shape not in self._batch_buffers:
                self._batch_buffers[shape] = x_M.new_empty(len(chosen), *x_M.shape[1:])
            x = self._batch_buffers[shape]
            torch.index_select(x_M, 0, chosen, out=x)
            yield x.view(*shape, *x.shape[1:]).to(device), y_TB.to(device)


_MOST_OUTPUTS = 1_000_000
"""The most outputs of one model that are validated at once. For more, it would save no time and take much memory."""


class FusedValidator:
    """The validation of members at once: their outputs model by model, then all losses and metrics together."""

    def __init__(self, member: Member) -> None:
        """Prepare the validation part, which all members of a group share."""
        fold = member.fold
        self._fold, self._x, self._y_N = fold, fold.x_valid, fold.y_valid
        self._requested = member.further.requested
        self._n, self._n_outputs = len(self._y_N), fold.n_outputs
        self._criteria: dict[int, Criterion] = {}
        self._make_criterion = criterion(member.config.loss, fold.task, None, member.learner.validation_loss)
        n_padding = -self._n % UNIT
        self._padded_x = torch.cat([self._x, self._x[:1].expand(n_padding, *self._x.shape[1:])])
        self._is_batched = fold.task == "classification" and self._n * self._n_outputs <= _MOST_OUTPUTS
        further = member.further  # with a threshold, each model decides by itself
        self._is_batched &= further.tuned is None and further.threshold is None
        if self._is_batched:
            self._metrics = BatchedMetrics(self._y_N, self._n_outputs)

    def validate(self, members: Sequence[Member], trainer: FusedTrainer) -> list[dict[str, float]]:
        """The validation metrics of some members of a trainer, with ``val_loss``; undefined metrics are absent."""
        if not members or not self._is_batched:
            return [member.learner.validate(member.further) for member in members]
        like = next(members[0].model.parameters())
        shape = (len(members), self._n_outputs, len(self._padded_x))
        with kernels(members[0].config.training):
            outputs = self._outputs(members, trainer, shape, like)
        if len(members) not in self._criteria:
            self._criteria = {len(members): self._make_criterion(shape, self._n, like)}
        y_TN = self._y_N.expand(len(members), -1)
        with torch.inference_mode():
            logits_TKN = outputs.view[:, :, : self._n]
            best_T1N = logits_TKN.amax(1, keepdim=True)
            loss_T = self._criteria[len(members)].losses(outputs, y_TN)
            loss_T = torch.where(best_T1N.isnan().any(2)[:, 0], torch.nan, loss_T.double())
            scores = {"loss": loss_T, **self._metrics(logits_TKN, best_T1N), **self._further(logits_TKN)}
            values = torch.stack([*scores.values()]).cpu()
        names = [f"val_{name}" for name in scores]
        rows = [dict(zip(names, row, strict=True)) for row in values.T.tolist()]
        # like the plain loop, which gives no metric to a model whose outputs contain NaN
        return [
            {"val_loss": row["val_loss"]}
            if math.isnan(row["val_loss"])
            else {"val_loss": row["val_loss"], **finite(row)}
            for row in rows
        ]

    def _further(self, logits_TKN: Tensor) -> dict[str, Tensor]:
        """The metrics that the file names, for each model (T,), by the plain loop's functions."""
        if not self._requested:
            return {}
        of_each = [
            requested_values(self._requested, self._fold, logits_KN.T.contiguous(), self._y_N)
            for logits_KN in logits_TKN
        ]
        return {name: torch.stack([values[name] for values in of_each]) for name in of_each[0]}

    def _outputs(
        self, members: Sequence[Member], trainer: FusedTrainer, shape: tuple[int, ...], like: Tensor
    ) -> Block:
        """The members' outputs (T, K, N), with meaningless numbers for the padding."""
        stacked = trainer.outputs(self._padded_x.to(like.device), self._n)
        # a member with averaged weights is evaluated alone; that must not change its neighbours' bits
        is_alone_T = [stacked is None or member.has_average for member in members]
        if stacked is not None and len(members) == len(trainer.members) and not any(is_alone_T):
            return stacked
        outputs = padded_block(shape, like)
        with torch.inference_mode():
            for row, member, is_alone in zip(outputs.view, members, is_alone_T, strict=True):
                if stacked is None or is_alone:
                    row[:, : self._n] = member.outputs(self._x).T
                else:
                    row.copy_(stacked.view[trainer.members.index(member)])
        return outputs
