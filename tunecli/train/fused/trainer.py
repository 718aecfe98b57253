"""An epoch of a group: the same steps for all its members at once, each on its own examples in its own order.

Owns the steps; the gradient is perceptrons.py's or vectorised.py's, what follows from it each member's own or, off the
CPU, stacked_optimizer.py's. Reads the device once an epoch. Knows neither objectives nor events.

Axes: T models, N examples of an epoch, B of a batch, S steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
import torch.nn.functional as fn
from torch import Tensor

from tunecli.train.epoch_batches import order_of_epoch, steps_of_epoch
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
from tunecli.train.precision import kernels


class FusedTrainer:
    """Members whose models are one stack."""

    def __init__(self, members: Sequence[Member], *, is_by_block: bool | None = None) -> None:
        """Stack the members' models.

        Args:
            members: of one signature, at least one.
            is_by_block: whether their optimizers step at once where they can; None: wherever that is not the CPU.
        """
        self._is_by_block = members[0].device.type != "cpu" if is_by_block is None else is_by_block
        # those that can step at once beside one another
        self.members = (
            sorted(members, key=lambda member: str(member.form)) if self._is_by_block else [*members]
        )
        self._stack = Stack([member.model for member in self.members], members[0].groups())
        self._bind()

    def keep(self, members: Sequence[Member]) -> None:
        """Go on with some of the members alone."""
        if len(members) < len(self.members):
            self._stack.keep([self.members.index(member) for member in members])
            self.members = [*members]
            self._bind()

    def train_epoch(self) -> list[float]:
        """Train each member's next epoch.

        Returns:
            The members' mean training losses, as they were while the examples were trained on.
        """
        sizes = self.members[0].sizes()
        for member in self.members:
            member.begin_epoch()
        for members, at_once in self._at_once:
            at_once.begin_epoch([member.rates for member in members], [member.n_steps for member in members])
        self._gradients.begin_epoch(
            [member.seed_for("dropout", member.epoch) if self._drops else 0 for member in self.members]
        )
        losses: list[Tensor] = []
        settings = kernels(self.members[0].config.training)
        # one block without gradients: entering one a trial and step would take as long as a small model's products
        with settings, torch.autograd.set_multithreading_enabled(False), torch.no_grad():
            batches = self._batches(sizes)
            for number, step in enumerate(sizes):
                losses.append(self._step(step, batches))
                self._update(number)
        for members, _ in self._at_once:
            for member in members:
                member.optimizer.count(member.counters[-1])
        n_examples = sum(map(sum, sizes))
        shares_S = torch.tensor([sum(step) / n_examples for step in sizes])
        loss_TS = torch.stack(losses, 1).float().cpu()
        # each row at an address of its own: how a row is summed depends on where it lies in memory
        found = [float(loss_S.clone() @ shares_S) for loss_S in loss_TS]
        for member, loss in zip(self.members, found, strict=True):
            member.end_epoch(loss)
        return found

    def outputs(self, x_B: Tensor, n: int) -> Block | None:
        """What all the members' models make of the same examples in evaluation, (T, K, B).

        None where each has to be asked by itself, which depends on nothing that is not in the members' signature.

        Args:
            x_B: the examples, and then any others, up to a multiple of `stack.UNIT`; as many at every call.
            n: how many examples.
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
        self._batch_rooms: dict[tuple[int, ...], Tensor] = {}
        self._at_once = self._blocks()
        self._gradients: Gradients
        if is_perceptron(models[0]):
            make_criterion = criterion(first.config.loss, first.fold.task, weights_K, loss)
            self._gradients = PerceptronGradients(self._stack, models, make_criterion)
        elif first.device.type == "cpu":
            self._gradients = SequentialGradients(self._stack, models, loss)
        else:
            self._gradients = VectorisedGradients(self._stack, models, loss)

    def _blocks(self) -> list[tuple[list[Member], StackedOptimizer]]:
        """The members by what can step at once; none where each steps by itself."""
        stack = self._stack
        if not (self._is_by_block and self.members[0].form and stack.weights_TP.shape[1] <= MOST_NUMBERS):
            return []
        groups = [[*alike] for _, alike in groupby(self.members, key=lambda member: member.form)]
        sizes = [len(members) for members in groups]
        parts = zip(torch.split(stack.weights_TP, sizes), torch.split(stack.gradients_TP, sizes), strict=True)
        return [
            (members, StackedOptimizer([member.optimizer for member in members], *part, stack.bounds))
            for members, part in zip(groups, parts, strict=True)
        ]

    def _update(self, number: int) -> None:
        """Take each member's step of the epoch on its gradient."""
        if not self._at_once:
            for member in self.members:
                member.update(number)
            return
        for members, at_once in self._at_once:
            for member in members:
                member.before_step()
            at_once.step(number)
            for member in members:
                member.after_step(number)

    def _step(self, sizes: Sequence[int], batches: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        """Put a step's gradients into the stack; its losses (T,)."""
        found = []
        n = sum(sizes)
        for number, size in enumerate(sizes):
            x_TB, y_TB = next(batches)
            share = size / n
            loss_T = self._gradients.gradient(x_TB, y_TB, size, share, adds=number > 0)
            found.append(loss_T if len(sizes) == 1 else loss_T * share)
        return found[0] if len(found) == 1 else torch.stack(found).sum(0)

    def _batches(self, sizes: Sequence[Sequence[int]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch's inputs (T, B, *shape), B being its size, rounded up as the gradients want it, and its targets.

        What stands behind a batch's own examples is any other's.
        """
        fold, data = self.members[0].fold, self.members[0].config.data
        flat_sizes = [size for step in sizes for size in step]
        device = fold.placement.device  # on which the examples lie, unless they are too many
        n, unit = sum(flat_sizes), self._gradients.unit
        if data.augment:
            epochs = [
                steps_of_epoch(data, member.fold, [[n]], member.epoch, member.seed_for)[0][0]
                for member in self.members
            ]
            x_M, y_M = torch.cat([each.x for each in epochs]), torch.cat([each.y for each in epochs])
            order_TN = torch.arange(len(y_M), device=y_M.device).view(len(epochs), n)
        else:
            orders = [
                order_of_epoch(data, fold, member.epoch, member.seed_for)[:n] for member in self.members
            ]
            x_M, y_M, order_TN = fold.x_train, fold.y_train, torch.stack(orders).to(fold.x_train.device)
        order_TN = torch.cat([order_TN, order_TN[:1].expand(self._gradients.n_spare, -1)])
        y_TN = y_M[order_TN]
        targets = torch.split(y_TN, flat_sizes, 1)
        for order_TB, y_TB in zip(torch.split(order_TN, flat_sizes, 1), targets, strict=True):
            if n_more := -order_TB.shape[1] % unit:
                order_TB = fn.pad(order_TB, (0, n_more))
            chosen, shape = order_TB.reshape(-1), order_TB.shape
            if shape not in self._batch_rooms:
                self._batch_rooms[shape] = x_M.new_empty(len(chosen), *x_M.shape[1:])
            x = self._batch_rooms[shape]
            torch.index_select(x_M, 0, chosen, out=x)
            yield x.view(*shape, *x.shape[1:]).to(device), y_TB.to(device)


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
            self._metrics = BatchedMetrics(self._y_N, self._n_outputs)

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
            found = {"loss": loss_T, **self._metrics(logits_TKN, best_T1N)}
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
        outputs = padded_block(shape, like)
        with torch.inference_mode():
            for row, member, is_alone in zip(outputs.view, members, by_itself, strict=True):
                if found is None or is_alone:
                    row[:, : self._n] = member.outputs(self._x).T
                else:
                    row.copy_(found.view[together.members.index(member)])
        return outputs
