"""One trial of a group, while its model is trained together with the others'.

Its model, weight chain, weight average and checkpoints are those of the plain loop's `Learner`, so a trial begins,
validates, is saved and is restored by the same code. Only its gradient comes from the group, and its optimizer acts on
the row that its model's weights are views of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunecli.config.schema import TrialConfig
from tunecli.config.secrets import resolved
from tunecli.messages import Job
from tunecli.seeding import seed_for
from tunecli.train import checkpoint
from tunecli.train.artifact.writing import without_rows
from tunecli.train.chains import StepPosition
from tunecli.train.data import loading
from tunecli.train.epoch_end import TrialProgress
from tunecli.train.fused.row_optimizer import RowOptimizer
from tunecli.train.fused.stack import Stack
from tunecli.train.fused.stacked_optimizer import form
from tunecli.train.learner import Learner
from tunecli.train.metrics import inference_cost
from tunecli.train.requested_metrics import further_metrics


@lru_cache(maxsize=4)
def _counters(first: int, n_steps: int, device: torch.device) -> tuple[Tensor, ...]:
    """The step counts of an epoch, as torch's optimizers keep them: scalar tensors, shared by a group's members."""
    return torch.arange(first + 1, first + n_steps + 1, dtype=torch.float32, device=device).unbind()


class Member:
    """A trial that trains in a group."""

    def __init__(self, job: Job, device: torch.device, loaded: checkpoint.LoadedCheckpoint) -> None:
        """Build the trial as the plain loop does, from its checkpoint if it has one.

        Args:
            job: the trial.
            device: where the group trains.
            loaded: its checkpoint, or none.

        Raises:
            UsageError: the machine lacks something that the trial needs.
            DataError: the data cannot be read or split.
        """
        self.job = job
        self.config = TrialConfig.model_validate(resolved(job.task.config))
        (self.fold,) = loading.load(
            self.config.data,
            Path(job.files.base_path),
            job.task.study_seed,
            device,
            open_test=job.task.open_test,
        )
        self.learner = Learner(self.config, self.fold, job.task.seed, (), Path(job.files.base_path))
        self.costs = inference_cost(
            job.task.objective,
            self.learner.model,
            self.config,
            self.fold,
            job.task.seed,
            Path(job.files.base_path),
        )
        self.further = further_metrics(job.task.objective, Path(job.files.base_path))
        self.progress = TrialProgress()
        self.progress.charge(0.0)
        self.progress.folds = (without_rows(self.fold),)
        if loaded.epoch:
            self.progress.restore(loaded.progress())
            self.learner.restore(loaded.learner(0, device))
            loaded.release()
        self.keeper = checkpoint.Keeper(job, device)
        self.device = device

        updater = self.learner.updater
        (self._like,) = updater.optimizers
        self._chain, self._grad_clip = updater.weight_chain, self.config.training.grad_clip
        self._optimizer: RowOptimizer | None = None
        self._rates: list[list[float]] = []
        self._last_rates: list[float] = []
        self._moments: list[StepPosition] = []
        self._counters: Sequence[Tensor] = ()
        self._only_steps = self._chain is None and self._grad_clip is None and updater.average is None

    @property
    def epoch(self) -> int:
        """The next epoch to train, from 1."""
        return self.progress.epochs + 1

    @property
    def model(self) -> nn.Module:
        """The model. Its weights are views of a row once it is in a stack."""
        return self.learner.model

    @property
    def form(self) -> tuple[object, ...]:
        """The form of its optimizer; see `stacked_optimizer.form`."""
        return form(self._like)

    @property
    def optimizer(self) -> RowOptimizer:
        """The optimizer of its row."""
        assert self._optimizer is not None, "the member is not in a stack yet"
        return self._optimizer

    @property
    def rates(self) -> Sequence[Sequence[float]]:
        """The learning rate of each optimizer group at each step of the epoch."""
        return self._rates

    @property
    def last_rate(self) -> float:
        """The learning rate of the first optimizer group at the epoch's last step; NaN if the group has none."""
        return float(self._rates[-1][0]) if self._rates and self._rates[-1] else math.nan

    @property
    def counters(self) -> Sequence[Tensor]:
        """The number of steps taken with each step of the epoch, as scalar tensors."""
        return self._counters

    @property
    def n_steps(self) -> int:
        """Number of steps taken before the epoch."""
        return self._moments[0].step if self._moments else 0

    @property
    def has_average(self) -> bool:
        """Whether the trial is validated with averaged weights."""
        return self.learner.updater.average is not None

    def seed_for(self, *names: str | int) -> int:
        """The trial's seed for these names."""
        return seed_for(self.job.task.seed, *names)

    def groups(self) -> list[list[str]]:
        """The names of the model's parameters in each group of the optimizer."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        return [[names[id(parameter)] for parameter in group["params"]] for group in self._like.param_groups]

    def sizes(self) -> list[list[int]]:
        """The sizes of the batches of each step of the next epoch."""
        return self.learner.sizes(self.epoch)

    def bind(self, stack: Stack, row: int) -> None:
        """Move the training to this row of a stack."""
        if self._optimizer is None:
            self._optimizer = RowOptimizer(self._like, stack.bounds)
        self._optimizer.bind(stack.weights_TP[row], stack.gradients_TP[row])
        self._gradient_P = stack.gradients_TP[row]

    def begin_epoch(self) -> None:
        """Compute the epoch's steps and learning rates; a rate depends on nothing that happens within the epoch."""
        self._moments = self.learner.moments(self.epoch)
        fixed_rates = [group["lr"] for group in self._like.param_groups]
        self._rates = [self.learner.updater.rates(now) or fixed_rates for now in self._moments]
        self._counters = _counters(self.n_steps, len(self._moments), self.device)

    def update(self, number: int) -> None:
        """Take step ``number`` of the epoch, from 0, on the gradient in its row, in the order of `Updater.step`.

        Called without autograd.
        """
        self.before_step()
        self.optimizer.step(self._rates[number], self._counters[number])
        self.after_step(number)

    def before_step(self) -> None:
        """Mask and clip the gradient in its row."""
        if self._only_steps:
            return
        if self._chain is not None:
            self._chain.mask_gradients()
        if self._grad_clip is not None:
            if self._grad_clip.norm is not None:
                norm = torch.linalg.vector_norm(self._gradient_P)
                self._gradient_P.mul_((self._grad_clip.norm / (norm + 1e-6)).clamp_max_(1.0))
            if self._grad_clip.value is not None:
                self._gradient_P.clamp_(-self._grad_clip.value, self._grad_clip.value)

    def after_step(self, number: int) -> None:
        """Apply the weight chain, and update the weight average."""
        if self._only_steps:
            return
        if self._chain is not None:
            self._chain.apply(self._moments[number])
        self.learner.updater.end_step()

    def outputs(self, x: Tensor) -> Tensor:
        """The model's outputs in evaluation, (N, K) float32, as `Learner.outputs` gives them."""
        if self.model.training:
            self.model.eval()
        with self.learner.averaged():
            return self.learner.outputs(x).float()

    def end_epoch(self, train_loss: float) -> None:
        """Record the epoch's mean training loss."""
        self.learner.record_train_loss(train_loss)
        self._last_rates = self._rates[-1]

    def state(self) -> dict[str, Any]:
        """The state to save, as `Learner.state` gives it."""
        self.optimizer.put_state(self._last_rates)
        return self.learner.state()
