"""The optimizer step: from a gradient to new weights, always in one order.

Learning-rate chain → gradient → mask of cut weights → gradient clipping → optimizer → weight chain → weight average.
Owns every state that lives from one step to the next besides the weights; knows neither examples nor losses.

A weight average (EMA, SWA) replaces the weights when a model is validated, tested or saved. A test compares the
averages with `torch.optim.swa_utils`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.training import AnyAverage, Ema, Swa
from tunecli.train.chains import StepPosition, learning_rate
from tunecli.train.chains.learning_rate import Plateaus
from tunecli.train.chains.weight_chain import WeightChain
from tunecli.train.optimizers import build_optimizers, needs_closure, rated_groups
from tunecli.train.state_dicts import of_optimizer, restore_optimizer
from tunecli.train.torch_state import gradient_scaler


class Updater:
    """A model's optimizers, two chains, gradient clipping and weight average."""

    def __init__(
        self,
        config: TrialConfig,
        model: nn.Module,
        n_epochs: int,
        seed_for: Callable[..., int],
        base_path: Path,
    ) -> None:
        """Build the optimizers and start both chains.

        Args:
            config: the trial.
            model: on its device.
            n_epochs: planned number of epochs.
            seed_for: (names) → a seed, for links that draw random numbers.
            base_path: the folder of the user's own code.
        """
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._grad_clip = config.training.grad_clip
        self.optimizers = build_optimizers(config.optimizer, model, base_path)
        self._needs_closure = needs_closure(config.optimizer)
        self._rated_groups = rated_groups(self.optimizers) if config.learning_rate else []
        self._links = config.learning_rate
        self._link_states = learning_rate.begin(self._links)
        self.weight_chain = WeightChain(config.weights, model, seed_for) if config.weights else None
        average = config.training.average
        self.average = WeightAverage(average, model, n_epochs) if average else None
        device = self._parameters[0].device if self._parameters else torch.device("cpu")
        self._scaler = gradient_scaler(config.training.precision, device)

    def step(self, now: StepPosition, gradient: Callable[[], Tensor]) -> Tensor:
        """Take one optimizer step.

        Args:
            now: the position of the step in the run.
            gradient: adds the step's gradient to that of the parameters, with `backward`, and returns the loss. Called
                once, or several times by an optimizer that takes a closure.

        Returns:
            The loss before the step, on the device.
        """
        if self._rated_groups:
            for (group, _), rate in zip(self._rated_groups, self.rates(now), strict=True):
                group["lr"] = rate
        if self._needs_closure:
            loss = self._by_closure(self.optimizers[0], gradient)
        else:
            loss = self._clipped_gradient(gradient)
            for optimizer in self.optimizers:
                if self._scaler is None:
                    optimizer.step()
                elif _has_gradient(
                    optimizer
                ):  # the scaler refuses an optimizer whose parameters are all frozen
                    self._scaler.step(optimizer)
        if self._scaler is not None:
            self._scaler.update()
        if self.weight_chain is not None:
            self.weight_chain.apply(now)
        self.end_step()
        return loss

    @property
    def last_rate(self) -> float:
        """The learning rate of the first optimizer group at the last step; NaN if the group has none."""
        rate = self.optimizers[0].param_groups[0].get("lr", math.nan)
        return float(rate)

    def rates(self, now: StepPosition) -> list[float]:
        """The learning rate of each optimizer group at a step; empty if there is no chain.

        It depends on nothing that happens within the epoch.
        """
        bases = [base for _, base in self._rated_groups]
        rate_of = {base: learning_rate.rate(self._links, self._link_states, base, now) for base in {*bases}}
        return [rate_of[base] for base in bases]

    def end_step(self) -> None:
        """Update the weight average, after the step and the weight chain."""
        if self.average is not None:
            self.average.after_step()
            self._mask_average()

    def end_epoch(self, epoch: int, batches: Iterable[Tensor]) -> None:
        """Update the weight average with the weights at an epoch's end; see `WeightAverage.after_epoch`."""
        if self.average is not None:
            self.average.after_epoch(epoch, batches, self._mask_average)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss to that of the parameters; scaled if the precision is fp16."""
        if self._scaler is not None:
            loss = self._scaler.scale(loss)
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives no types

    def observe(self, loss: float) -> None:
        """Tell the learning-rate chain the validation loss of the epoch that ended."""
        self._link_states = learning_rate.observe(self._links, self._link_states, loss)

    def state(self) -> dict[str, Any]:
        """The state besides the weights, as tensors and plain data.

        Raises:
            NotPlain: the user's own optimizer has a state that cannot be saved.
        """
        return {
            "optimizers": [of_optimizer(optimizer) for optimizer in self.optimizers],
            "learning_rate": [tuple(memory) for memory in self._link_states],
            "weights": {} if self.weight_chain is None else self.weight_chain.state(),
            "average": None if self.average is None else self.average.state(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state` of the same updater.

        Raises:
            KeyError, ValueError, IndexError: the state is that of another updater.
        """
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            restore_optimizer(optimizer, kept)
        if self._rated_groups:  # load_state_dict of a user's optimizer may have replaced the groups
            groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
            bases = [base for _, base in self._rated_groups]
            self._rated_groups = list(zip(groups, bases, strict=True))
        self._link_states = tuple(Plateaus(*memory) if memory else () for memory in state["learning_rate"])
        if self.weight_chain is not None:
            self.weight_chain.restore(state["weights"])
        if self.average is not None:
            self.average.restore(state["average"])
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])

    def _mask_average(self) -> None:
        """Zero the cut weights in the average, too, which still contains their earlier values."""
        if self.average is not None and self.weight_chain is not None:
            self.weight_chain.mask_copies(self.average.averages)

    def _by_closure(self, optimizer: torch.optim.Optimizer, gradient: Callable[[], Tensor]) -> Tensor:
        """Step an optimizer that evaluates the loss itself; returns the first loss, that before the step."""
        losses: list[Tensor] = []

        def closure() -> float:
            losses.append(self._clipped_gradient(gradient))
            return losses[-1]  # type: ignore[return-value]  # a tensor: converting it to float would wait for the device

        optimizer.step(closure)
        return losses[0]

    def _clipped_gradient(self, gradient: Callable[[], Tensor]) -> Tensor:
        """Compute the gradient anew, unscale, mask and clip it; returns the loss."""
        for parameter in self._parameters:
            parameter.grad = None
        loss = gradient()
        if self._scaler is not None:
            for optimizer in self.optimizers:
                self._scaler.unscale_(optimizer)
        if self.weight_chain is not None:
            self.weight_chain.mask_gradients()
        if self._grad_clip is not None:
            if self._grad_clip.norm is not None:
                nn.utils.clip_grad_norm_(self._parameters, self._grad_clip.norm)
            if self._grad_clip.value is not None:
                nn.utils.clip_grad_value_(self._parameters, self._grad_clip.value)
        return loss


def _has_gradient(optimizer: torch.optim.Optimizer) -> bool:
    return any(
        parameter.grad is not None for group in optimizer.param_groups for parameter in group["params"]
    )


class WeightAverage:
    """An average of a model's parameters. Until it has started, the model's own weights are used."""

    def __init__(self, knob: AnyAverage, model: nn.Module, n_epochs: int) -> None:
        """Prepare to average.

        Args:
            knob: the setting of the average.
            model: the model, on its device.
            n_epochs: planned number of epochs, at least 1.
        """
        self._knob = knob
        self._model = model
        self._parameters: list[Tensor] = [*model.parameters()]
        n_before = knob.start_fraction * n_epochs if isinstance(knob, Swa) else 0.0
        self._first_epoch = math.floor(n_before + 1e-9) + 1  # 0.29 * 100 is 28.999999999999996
        self._averages: list[Tensor] = []
        self._n_averaged = 0
        self._buffers: dict[str, Tensor] = {}

    @property
    def averages(self) -> Mapping[Tensor, Tensor]:
        """The average of each parameter; empty before the first."""
        return dict(zip(self._parameters, self._averages, strict=False))

    @torch.no_grad()
    def after_step(self) -> None:
        """Update an exponential moving average after an optimizer step: a += (1 - decay) · (w - a)."""
        if isinstance(self._knob, Ema):
            self._update(1.0 - self._knob.decay)

    @torch.no_grad()
    def after_epoch(
        self, epoch: int, batches: Iterable[Tensor], mask: Callable[[], None] = lambda: None
    ) -> None:
        """Update a stochastic weight average at an epoch's end: a += (w - a) / n (Izmailov et al. 2018, algorithm 1).

        Args:
            epoch: counted from 1.
            batches: the inputs of the training examples, to recompute batch norm's statistics.
            mask: zeroes the cut weights in the averages, before those statistics are computed.
        """
        if isinstance(self._knob, Swa) and epoch >= self._first_epoch:
            self._update(1.0 / (self._n_averaged + 1))
            mask()
            self._buffers = {}
            own = {name: buffer.clone() for name, buffer in self._model.named_buffers()}
            with self.applied():
                update_bn(batches, self._model)
                self._buffers = {name: buffer.clone() for name, buffer in self._model.named_buffers()}
                for name, buffer in self._model.named_buffers():
                    buffer.copy_(own[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the averaged weights for the duration of a block."""
        if not self._averages:
            yield
            return
        buffers = dict(self._model.named_buffers())
        swapped: list[tuple[Tensor, Tensor]] = [*zip(self._parameters, self._averages, strict=True)]
        swapped += [(buffers[name], buffer) for name, buffer in self._buffers.items()]
        before = [tensor.data for tensor, _ in swapped]
        for tensor, average in swapped:
            tensor.data = average
        try:
            yield
        finally:
            for (tensor, _), own in zip(swapped, before, strict=True):
                tensor.data = own

    def state(self) -> dict[str, Any]:
        """The state besides the weights, as tensors and plain data."""
        return {"averages": self._averages, "n_averaged": self._n_averaged, "buffers": self._buffers}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a :meth:`state` of an average of the same model.

        Raises:
            KeyError: ``state`` lacks an entry.
        """
        self._averages, self._n_averaged = [*state["averages"]], state["n_averaged"]
        self._buffers = dict(state["buffers"])

    def _update(self, share: float) -> None:
        weights = [parameter.detach() for parameter in self._parameters]
        if not self._averages:
            self._averages = [weight.clone() for weight in weights]
        else:
            torch._foreach_lerp_(self._averages, weights, share)
        self._n_averaged += 1
