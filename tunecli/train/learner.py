"""One model and its data: an epoch of training, and its validation.

The readable reference for every faster way to train (plain-loop-oracle). The order, dropout and augmentation of an
epoch come from seeds that contain its number (seeds-by-name), so no generator's state outlives an epoch. Objectives and
events are in loop.py, and the optimizer step in updater.py.

Axes: N examples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunecli.config.schema import TrialConfig
from tunecli.messages import Job
from tunecli.seeding import seed_for
from tunecli.train.chains import StepPosition
from tunecli.train.compilation import begin_step, forward_of, kind_of
from tunecli.train.data.loading import Fold
from tunecli.train.default_optimizer import with_default_decay
from tunecli.train.epoch_batches import (
    Batch,
    Step,
    batch_slices,
    epoch_examples,
    epoch_order,
    epoch_steps,
    step_weights,
)
from tunecli.train.evaluation import ROWS_PER_PASS, Evaluator
from tunecli.train.initialisation import initialise
from tunecli.train.label_losses import balance_weights
from tunecli.train.losses import TargetScale, build_loss, user_object, weighted_loss, weighted_mean
from tunecli.train.models import begin_epoch, build, has_undeclared_batch_norm
from tunecli.train.requested_metrics import NO_FURTHER, FurtherMetrics
from tunecli.train.state_dicts import of_loss, of_module, restore_loss, restore_module
from tunecli.train.streaming import StreamedEpoch
from tunecli.train.torch_state import autocast, kernels, scoped_seed
from tunecli.train.updater import Updater
from tunecli.train.user_code import code as user_code
from tunecli.train.workload import parts_of, steps_of, takes_batch_statistics


class Learner:
    """A model in training. Only its weights and its updater's state live from one epoch to the next."""

    def __init__(
        self,
        config: TrialConfig,
        fold: Fold,
        seed: int,
        names: tuple[int, ...] = (),
        base_path: Path = Path(),
        micro_batches: int = 1,
    ) -> None:
        """Build the model with its initial weights, on the fold's device.

        Args:
            config: the trial.
            fold: its data.
            seed: the trial's seed.
            names: further names in this learner's seeds: the fold's number if there are folds.
            base_path: the folder of the user's own code.
            micro_batches: number of parts that each batch is split into to save memory. The gradient of a step is that
                of its whole batches, except for batch norm, whose statistics are those of each part, and for dropout.

        Raises:
            UsageError: the user's own code is of the wrong kind, or the machine lacks something that the trial needs.
        """
        training = config.training
        self._config = config
        self._fold = fold
        self._seed = seed
        self._names = names
        self._device = fold.placement.device
        self.model = build(config.model, fold.inputs, fold.n_outputs, base_path, self._seed_for("build"))
        initialise(self.model, config.model, self._seed_for("init"))
        self.model.to(self._device)
        self._memory_format = torch.channels_last if training.channels_last else torch.contiguous_format
        if training.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.class_weights_K = self._class_weights() if config.data.balance == "weight" else None
        target = TargetScale(fold.target_center, fold.target_scale)
        loss = partial(build_loss, config.loss, fold.task, target=target, base_path=base_path)
        self._has_user_code = user_code.has_user_code(config)
        with self._drawing("loss"):
            self.training_loss = loss(class_weights_K=self.class_weights_K)
            self.validation_loss = self.training_loss if self.class_weights_K is None else loss()
        has_norm = has_undeclared_batch_norm(config.model, self.model)
        self._steps = steps_of(config, len(fold.y_train), has_norm)
        self._split: Callable[[int], list[int]] | None = None
        if micro_batches > 1:
            is_folded = takes_batch_statistics(config, has_norm)
            self._split = partial(parts_of, n_parts=micro_batches, fold_single=is_folded)
        rows_per_pass = max(1, ROWS_PER_PASS // micro_batches)
        self._forward: Callable[[Tensor], Tensor] = self.model
        if training.compile:
            passes = [
                [one.last - one.first for one in step] for step in batch_slices(self._steps, self._split)
            ]
            kind = kind_of(config, fold, passes, rows_per_pass)
            self._forward = forward_of(self.model, kind, training.compile)
        self._evaluator = Evaluator(
            config,
            fold,
            self.model,
            self._forward,
            rows_per_pass,
            self._seed_for("examine"),
            self.validation_loss,
        )
        self._n_steps = config.n_steps(len(self._steps))
        self.n_epochs = config.n_epochs(len(self._steps))
        with self._drawing("optimizer"):
            trained = with_default_decay(config, fold, len(self._steps))
            self.updater = Updater(trained, self.model, self.n_epochs, self._seed_for, base_path)
        self._train_loss = float("nan")

    @property
    def fold(self) -> Fold:
        """The data."""
        return self._fold

    def train_epoch(self, epoch: int) -> float:
        """Train one epoch, counted from 1.

        Returns:
            The training loss: the mean over the epoch's examples, each taken before the step that trained on it. If no
            step is left, because another fold has more epochs, the last epoch's loss.
        """
        sizes = self.sizes(epoch)
        if not sizes:
            return self._train_loss
        steps = self._steps_of(epoch, sizes)
        losses: list[Tensor] = []
        begin_epoch(self.model, epoch)
        self.model.train()
        with self._computing(epoch):
            for now, step in zip(self.moments(epoch), steps, strict=True):
                losses.append(self.updater.step(now, partial(self._gradient, step)))
            self.updater.end_epoch(epoch, (batch.x for step in steps for batch in step))
        shares = torch.tensor(self._shares(epoch, sizes), device=self._device)
        # The losses stay on the device until here: reading one waits for all work queued there.
        self._train_loss = float(torch.stack(losses).float() @ shares)
        return self._train_loss

    def _shares(self, epoch: int, sizes: list[list[int]]) -> list[float]:
        """The share of each step in an epoch's examples, or in their weight."""
        if self._fold.w_train is None:
            n_examples = sum(map(sum, sizes))
            return [sum(step) / n_examples for step in sizes]
        order_N = epoch_order(self._config.data, self._fold, epoch, self._seed_for)
        weights = step_weights(self._fold, order_N, sizes)
        return [weight / (sum(weights) or 1.0) for weight in weights]

    def sizes(self, epoch: int) -> list[list[int]]:
        """The sizes of the batches of each step of an epoch, counted from 1; the last epoch may have fewer steps."""
        return self._steps[: max(0, self._n_steps - (epoch - 1) * len(self._steps))]

    def moments(self, epoch: int) -> list[StepPosition]:
        """The positions in the run of an epoch's steps."""
        first = (epoch - 1) * len(self._steps)
        numbers = range(first, first + len(self.sizes(epoch)))
        return [StepPosition(number, len(self._steps), self._n_steps) for number in numbers]

    def record_train_loss(self, train_loss: float) -> None:
        """Record the mean training loss of an epoch that was trained elsewhere."""
        self._train_loss = train_loss

    def outputs(self, x: Tensor) -> Tensor:
        """The model's outputs (N, K), on its device, for examples on the device that holds the fold's.

        The caller puts the model in evaluation mode.
        """
        return self._evaluator.passes(x)

    def observe(self, loss: float) -> None:
        """Tell the learning-rate chain the validation loss of the epoch that ended."""
        self.updater.observe(loss)

    def validate(self, further: FurtherMetrics = NO_FURTHER) -> dict[str, float]:
        """The metrics on the validation part, with ``val_loss``; undefined metrics are absent.

        Args:
            further: metrics that are computed in addition.
        """
        return self._evaluator.evaluate(
            self._fold.x_valid, self._fold.y_valid, "val", further, self.averaged(), self._fold.w_valid
        )

    def test(self, weights: dict[str, Tensor], further: FurtherMetrics = NO_FURTHER) -> dict[str, float]:
        """The metrics of ``weights`` on the test part, with ``test_loss``; empty if that part was not loaded."""
        if self._fold.x_test is None or self._fold.y_test is None:
            return {}
        self._load(weights)
        return self._evaluator.evaluate(
            self._fold.x_test, self._fold.y_test, "test", further, None, self._fold.w_test
        )

    def decided(
        self, weights: dict[str, Tensor], threshold: float | None
    ) -> tuple[tuple[float, float, float], ...]:
        """The counts of each class or label with ``weights`` on the validation part; see `Evaluator.decided`."""
        self._load(weights)
        fold = self._fold
        return self._evaluator.decided(fold.x_valid, fold.y_valid, fold.w_valid, threshold)

    def _load(self, weights: dict[str, Tensor]) -> None:
        self.model.load_state_dict(weights)
        self.updater.average = None

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's current state; with weight averaging, of the averaged weights."""
        with self.averaged():
            return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """The state between two epochs, as tensors and plain data.

        Raises:
            NotPlain: the user's own code has a state that cannot be saved.
        """
        return {
            "model": of_module(self.model),
            "loss": of_loss(user_object(self.training_loss)),
            "updater": self.updater.state(),
            "train_loss": self._train_loss,
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state` of the same learner, to the last bit.

        Raises:
            RuntimeError, KeyError, ValueError, IndexError: the state is that of another learner.
        """
        restore_module(self.model, state["model"])
        restore_loss(user_object(self.training_loss), state["loss"])
        self.updater.restore(state["updater"])
        self._train_loss = state["train_loss"]

    def averaged(self) -> AbstractContextManager[None]:
        """A block in which the model has the averaged weights, if the trial averages them."""
        return nullcontext() if self.updater.average is None else self.updater.average.applied()

    def _seed_for(self, *names: str | int) -> int:
        return seed_for(self._seed, *names, *self._names)

    def _drawing(self, *names: str | int) -> AbstractContextManager[None]:
        """A block with the global generators seeded by name; all generators if the user's own code may draw numbers."""
        return (user_code.running if self._has_user_code else scoped_seed)(
            self._seed_for(*names), self._device
        )

    @contextmanager
    def _computing(self, epoch: int) -> Iterator[None]:
        with (
            self._drawing("dropout", epoch),
            kernels(self._config.training),
            torch.autograd.set_multithreading_enabled(False),  # 4 % of a small model's time on one core
        ):
            yield

    def _steps_of(self, epoch: int, sizes: list[list[int]]) -> Iterable[Step]:
        """An epoch's steps on the device; can be iterated over repeatedly."""
        data, fold = self._config.data, self._fold
        if not fold.placement.chunk_bytes:
            return epoch_steps(data, fold, sizes, epoch, self._seed_for, self._memory_format, self._split)
        examples = epoch_examples(data, fold, sizes, epoch, self._seed_for)
        chunk_bytes = fold.placement.chunk_bytes
        return StreamedEpoch(examples, sizes, self._device, chunk_bytes, self._memory_format, self._split)

    def _gradient(self, step: Step) -> Tensor:
        """Add a step's gradient to that of the parameters, and return its loss, on the device."""
        losses = []
        begin_step(self._config.training.compile, self._device)
        for batch in step:
            loss = self._loss(batch)
            if len(step) > 1:
                loss = loss * batch.share
            self.updater.backward(loss)
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _loss(self, batch: Batch) -> Tensor:
        with autocast(self._config.training.precision, self._device):
            outputs = self._forward(batch.x)
        outputs = outputs.float()
        if batch.weight is not None:
            return self._weighted_loss(outputs, batch, batch.weight)
        loss = self.training_loss(outputs, batch.y)
        if batch.partner_y is None or batch.mix_share is None:
            return loss
        # Zhang et al. 2018, section 2: for losses that are linear in the target, this is the loss of the mixed target.
        other = self.training_loss(outputs, batch.partner_y)
        return batch.mix_share * loss + (1.0 - batch.mix_share) * other

    def _weighted_loss(self, outputs: Tensor, batch: Batch, weight_B: Tensor) -> Tensor:
        """Σ w l / Σ w over a batch; with mixup, over the examples and their partners."""
        if batch.partner_y is None or batch.partner_weight is None or batch.mix_share is None:
            return weighted_mean(self.training_loss, outputs, batch.y, weight_B)
        share = batch.mix_share
        total, weight = weighted_loss(self.training_loss, outputs, batch.y, weight_B)
        other, other_weight = weighted_loss(
            self.training_loss, outputs, batch.partner_y, batch.partner_weight
        )
        mixed = share * weight + (1.0 - share) * other_weight
        return (share * total + (1.0 - share) * other) / mixed.clamp_min(torch.finfo(mixed.dtype).tiny)

    def _class_weights(self) -> Tensor:
        """Class weights (K,), N / (K · count): inverse frequency with mean 1 over the examples (King & Zeng 2001).

        Of labels, the weights (2, K) of not having and of having each label.
        """
        if self._fold.task == "multilabel":
            return balance_weights(self._fold.y_train).to(self._device)
        counts_K = torch.tensor(self._fold.class_counts, dtype=torch.float32)
        return (counts_K.sum() / (len(counts_K) * counts_K)).to(self._device)


def learners_of(job: Job, config: TrialConfig, base_path: Path, folds: Sequence[Fold]) -> list[Learner]:
    """One learner for every fold of every repeat: the folds of the first seed, then those of the next one.

    Args:
        job: the trial.
        config: its configuration.
        base_path: the folder of the user's own code.
        folds: its data.
    """
    fold_names: list[tuple[int, ...]]
    fold_names = [()] if len(folds) == 1 else [(number,) for number in range(len(folds))]
    task = job.task
    seeds = [task.seed, *(seed_for(task.seed, "repeat", number) for number in range(1, task.repeats))]
    return [
        Learner(config, fold, own_seed, name, base_path, job.execution.micro_batches)
        for own_seed in seeds
        for fold, name in zip(folds, fold_names, strict=True)
    ]
