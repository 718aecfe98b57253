"""One model and its data: an epoch of training, and what validation says of it.

The readable reference for every faster way to train (law 4). An epoch is a function of names: its order,
its dropout and its augmentation come from seeds that carry the epoch's number (law 3), so nothing of a
generator outlives it. Knows neither objectives nor events; those are loop.py's. What a step does with a
gradient is update.py's.

Axes: N examples, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunecli.config.schema import TrialConfig
from tunecli.seeding import seed_for
from tunecli.train.chains.moment import Moment
from tunecli.train.compilation import begin_step, forward_of, kind_of
from tunecli.train.data.loading import Fold
from tunecli.train.determinism import scoped_seed
from tunecli.train.epoch_batches import Batch, Step, cuts_of, drawn_of, steps_of_epoch
from tunecli.train.initialisation import initialise
from tunecli.train.losses import TargetScale, build_loss, own_object, predictor
from tunecli.train.metrics import evaluate, finite
from tunecli.train.models import build, has_own_norm
from tunecli.train.precision import autocast, kernels
from tunecli.train.state_dicts import of_loss, of_module, restore_loss, restore_module
from tunecli.train.streaming import StreamedEpoch
from tunecli.train.updater import Updater
from tunecli.train.user_code import code as own_code
from tunecli.train.user_code.metric import UserMetric
from tunecli.train.workload import parts_of, steps_of, takes_batch_statistics

_VALIDATION_ROWS = 8192


class Learner:
    """A model in training: what lives from one epoch to the next is its weights and its updater's state."""

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
            seed: the trial's.
            names: what further names this learner's seeds carry: the fold's number, where there are folds.
            base_path: the folder of the user's own code.
            micro_batches: into how many parts a batch is split for want of memory. A step's gradient is that of
                its whole batches, but for batch norm, whose statistics are each part's, and for dropout.

        Raises:
            UsageError: the user's own code is not what it should be, or the machine cannot do what is asked.
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
        self._has_own = own_code.is_in(config)
        with self._drawing("loss"):
            self.training_loss = loss(class_weights_K=self.class_weights_K)
            self.validation_loss = self.training_loss if self.class_weights_K is None else loss()
        self._predict = predictor(config.loss, target)
        has_norm = has_own_norm(config.model, self.model)
        self._steps = steps_of(config, len(fold.y_train), has_norm)
        self._split: Callable[[int], list[int]] | None = None
        if micro_batches > 1:
            is_folded = takes_batch_statistics(config, has_norm)
            self._split = partial(parts_of, n_parts=micro_batches, fold_single=is_folded)
        self._validation_rows = max(1, _VALIDATION_ROWS // micro_batches)
        self._forward: Callable[[Tensor], Tensor] = self.model
        if training.compile:
            passes = [[cut.last - cut.first for cut in step] for step in cuts_of(self._steps, self._split)]
            kind = kind_of(config, fold, passes, self._validation_rows)
            self._forward = forward_of(self.model, kind, training.compile)
        self._n_steps = training.n_steps(len(self._steps))
        self.n_epochs = training.n_epochs(len(self._steps))
        with self._drawing("optimizer"):
            self.updater = Updater(config, self.model, self.n_epochs, self._seed_for, base_path)
        self._train_loss = float("nan")

    def train_epoch(self, epoch: int) -> float:
        """Train one epoch, counted from 1.

        Returns:
            The mean training loss over the epoch's examples, as it was while they were trained on. Where the
            steps are spent already, as one fold's may be before another's, the last epoch's.
        """
        sizes = self.sizes(epoch)
        if not sizes:
            return self._train_loss
        steps = self._steps_of(epoch, sizes)
        losses: list[Tensor] = []
        self.model.train()
        with self._computing(epoch):
            for now, step in zip(self.moments(epoch), steps, strict=True):
                losses.append(self.updater.step(now, partial(self._gradient, step)))
            self.updater.end_epoch(epoch, (batch.x for step in steps for batch in step))
        n_examples = sum(map(sum, sizes))
        shares = torch.tensor([sum(step) / n_examples for step in sizes], device=self._device)
        # The losses stay on the device until here: reading one waits for all work queued there.
        self._train_loss = float(torch.stack(losses).float() @ shares)
        return self._train_loss

    def sizes(self, epoch: int) -> list[list[int]]:
        """Per step of an epoch, counted from 1, the sizes of its batches; the last epoch may have fewer steps."""
        return self._steps[: max(0, self._n_steps - (epoch - 1) * len(self._steps))]

    def moments(self, epoch: int) -> list[Moment]:
        """Which steps of the run those of an epoch are."""
        first = (epoch - 1) * len(self._steps)
        numbers = range(first, first + len(self.sizes(epoch)))
        return [Moment(number, len(self._steps), self._n_steps) for number in numbers]

    def record_train_loss(self, train_loss: float) -> None:
        """Record the mean training loss of an epoch that was trained elsewhere."""
        self._train_loss = train_loss

    def outputs(self, x: Tensor) -> Tensor:
        """What the model, in evaluation, makes of examples that lie where the fold's do: (N, K), on the device."""
        found = []
        for part in torch.split(x, self._validation_rows):
            begin_step(self._config.training.compile, self._device)
            found.append(self._forward(part.to(self._device)))
        return torch.cat(found)

    def observe(self, loss: float) -> None:
        """The trial's epoch ended with this validation loss."""
        self.updater.observe(loss)

    def validate(self, user_metrics: Sequence[UserMetric] = ()) -> dict[str, float]:
        """The validation part's metrics, ``val_loss`` among them; those that are undefined are absent.

        Args:
            user_metrics: the user's own, beside ours.
        """
        return self._examine(self._fold.x_valid, self._fold.y_valid, "val", user_metrics)

    def test(self, weights: dict[str, Tensor], user_metrics: Sequence[UserMetric] = ()) -> dict[str, float]:
        """The test part's metrics under ``weights``, ``test_loss`` among them; none where it was not opened."""
        if self._fold.x_test is None or self._fold.y_test is None:
            return {}
        self.model.load_state_dict(weights)
        self.updater.average = None
        return self._examine(self._fold.x_test, self._fold.y_test, "test", user_metrics)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's state as it is now: the averaged weights, where an average is kept."""
        with self.lent():
            return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that lives from one epoch to the next: tensors as they are, and plain data.

        Raises:
            NotPlain: the user's own code cannot say what it remembers.
        """
        return {
            "model": of_module(self.model),
            "loss": of_loss(own_object(self.training_loss)),
            "updater": self.updater.state(),
            "train_loss": self._train_loss,
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state` of the same learner, to the last bit.

        Raises:
            RuntimeError, KeyError, ValueError, IndexError: it is of another.
        """
        restore_module(self.model, state["model"])
        restore_loss(own_object(self.training_loss), state["loss"])
        self.updater.restore(state["updater"])
        self._train_loss = state["train_loss"]

    def _examine(
        self, x: Tensor, y_N: Tensor, part: str, user_metrics: Sequence[UserMetric]
    ) -> dict[str, float]:
        training = self._config.training
        has_own = self._has_own or bool(user_metrics)
        drawing = own_code.running(self._seed_for("examine"), self._device) if has_own else nullcontext()
        # what is made in inference mode may be no part of a later gradient, and the user's code may keep it
        evaluating = torch.no_grad() if has_own else torch.inference_mode()
        self.model.eval()
        with drawing, evaluating, self.lent(), kernels(training):
            with autocast(training.precision, self._device):
                outputs = self.outputs(x)
            outputs = outputs.float()
            loss = float(self.validation_loss(outputs, y_N))
            if math.isnan(float(outputs.sum())) and bool(outputs.isnan().any()):
                return {f"{part}_loss": math.nan}  # a model without an answer has no accuracy
            outputs = self._predict(outputs)
            found = evaluate(self._fold.task, outputs, y_N, self._fold.target_scale, part)
            for own in user_metrics:
                score = own.score(self._in_units(outputs), self._in_units(y_N))
                found[f"{part}_{own.name}"] = score
            return {f"{part}_loss": loss, **finite(found)}

    def _in_units(self, values: Tensor) -> Tensor:
        """Predictions or targets in the target's own units; logits and classes as they are."""
        if self._fold.task == "classification":
            return values
        return values.view(-1) * self._fold.target_scale + self._fold.target_center

    def lent(self) -> AbstractContextManager[None]:
        """A block in which the model has the averaged weights, where an average is kept."""
        return nullcontext() if self.updater.average is None else self.updater.average.lent()

    def _seed_for(self, *names: str | int) -> int:
        return seed_for(self._seed, *names, *self._names)

    def _drawing(self, *names: str | int) -> AbstractContextManager[None]:
        """The global generators seeded by name; all of them where the user's own code may draw."""
        return (own_code.running if self._has_own else scoped_seed)(self._seed_for(*names), self._device)

    @contextmanager
    def _computing(self, epoch: int) -> Iterator[None]:
        with (
            self._drawing("dropout", epoch),
            kernels(self._config.training),
            torch.autograd.set_multithreading_enabled(False),  # 4 % of a small model's time on one core
        ):
            yield

    def _steps_of(self, epoch: int, sizes: list[list[int]]) -> Iterable[Step]:
        """An epoch's steps on the device; to be gone through as often as one likes."""
        data, fold = self._config.data, self._fold
        if not fold.placement.chunk_bytes:
            return steps_of_epoch(data, fold, sizes, epoch, self._seed_for, self._memory_format, self._split)
        drawn = drawn_of(data, fold, sizes, epoch, self._seed_for)
        chunk_bytes = fold.placement.chunk_bytes
        return StreamedEpoch(drawn, sizes, self._device, chunk_bytes, self._memory_format, self._split)

    def _gradient(self, step: Step) -> Tensor:
        """Add a step's gradient to the parameters'; its loss, on the device."""
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
        loss = self.training_loss(outputs, batch.y)
        if batch.partner_y is None or batch.first_share is None:
            return loss
        # Zhang et al. 2018: for losses that are linear in the target this is the loss of the mixed target.
        other = self.training_loss(outputs, batch.partner_y)
        return batch.first_share * loss + (1.0 - batch.first_share) * other

    def _class_weights(self) -> Tensor:
        """N / (K · count): inverse frequency with mean 1 over the training examples (King & Zeng 2001)."""
        counts_K = torch.tensor(self._fold.class_counts, dtype=torch.float32)
        return (counts_K.sum() / (len(counts_K) * counts_K)).to(self._device)
