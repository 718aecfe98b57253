"""From gradients to new weights: what one optimizer step does, always in this order.

mask (of cut weights) → clip (of the gradient) → the learning-rate chain → the optimizer → the weight chain → the
average. Owns every state that lives from one step to the next beside the weights themselves; knows neither
examples nor losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunecli.config.schema import TrialConfig
from tunecli.train.averaging import WeightAverage
from tunecli.train.chains import learning_rate
from tunecli.train.chains.moment import Moment
from tunecli.train.chains.plateau import Plateaus
from tunecli.train.chains.weight_chain import WeightChain
from tunecli.train.optimizers import build_optimizers, needs_closure, rated_groups
from tunecli.train.precision import gradient_scaler
from tunecli.train.state_dicts import of_optimizer, restore_optimizer


class Updater:
    """A model's optimizer, its two chains and what bounds its gradient."""

    def __init__(
        self,
        config: TrialConfig,
        model: nn.Module,
        n_epochs: int,
        seed_for: Callable[..., int],
        base_path: Path,
    ) -> None:
        """Build the optimizer and begin both chains.

        Args:
            config: the trial.
            model: on its device.
            n_epochs: the planned number.
            seed_for: (names) → a seed, for the links that draw numbers.
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

    def step(self, now: Moment, gradient: Callable[[], Tensor]) -> Tensor:
        """Take one optimizer step.

        Args:
            now: which step of the run it is.
            gradient: adds the step's gradient to the parameters', by `backward`, and returns the loss. Called
                once; by an optimizer with a closure, as often as it likes.

        Returns:
            The loss before the step, on the device.
        """
        if self._rated_groups:
            for (group, _), rate in zip(self._rated_groups, self.rates(now), strict=True):
                group["lr"] = rate
        if self._needs_closure:
            loss = self._by_closure(self.optimizers[0], gradient)
        else:
            loss = self._fresh(gradient)
            for optimizer in self.optimizers:
                if self._scaler is None:
                    optimizer.step()
                else:
                    self._scaler.step(optimizer)
        if self._scaler is not None:
            self._scaler.update()
        if self.weight_chain is not None:
            self.weight_chain.apply(now)
        self.end_step()
        return loss

    def rates(self, now: Moment) -> list[float]:
        """The rate of each of the optimizers' groups at a moment; none where no chain sets them.

        It follows from nothing that happens within an epoch.
        """
        bases = [base for _, base in self._rated_groups]
        rate_of = {base: learning_rate.rate(self._links, self._link_states, base, now) for base in {*bases}}
        return [rate_of[base] for base in bases]

    def end_step(self) -> None:
        """Take the weights, after a step and their chain, into the average."""
        if self.average is not None:
            self.average.after_step()
            self._hold_average()

    def end_epoch(self, epoch: int, batches: Iterable[Tensor]) -> None:
        """Take an epoch's last weights into the average that is made of those; see `WeightAverage.after_epoch`."""
        if self.average is not None:
            self.average.after_epoch(epoch, batches, self._hold_average)

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradient, scaled where the precision asks for it."""
        if self._scaler is not None:
            loss = self._scaler.scale(loss)
        loss.backward()  # type: ignore[no-untyped-call]

    def observe(self, loss: float) -> None:
        """An epoch ended with this validation loss."""
        self._link_states = learning_rate.observe(self._links, self._link_states, loss)

    def state(self) -> dict[str, Any]:
        """What lives on beside the weights: tensors as they are, and plain data.

        Raises:
            NotPlain: the user's own optimizer cannot say what it remembers.
        """
        return {
            "optimizers": [of_optimizer(optimizer) for optimizer in self.optimizers],
            "learning_rate": [tuple(memory) for memory in self._link_states],
            "weights": {} if self.weight_chain is None else self.weight_chain.state(),
            "average": None if self.average is None else self.average.state(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state` of the same updater.

        Raises:
            KeyError, ValueError, IndexError: it is of another.
        """
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            restore_optimizer(optimizer, kept)
        if self._rated_groups:  # its own load_state_dict may have put others in their place
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

    def _hold_average(self) -> None:
        """What is cut now is cut in the average too, which remembers the weights from before."""
        if self.average is not None and self.weight_chain is not None:
            self.weight_chain.hold_in(self.average.averages)

    def _by_closure(self, optimizer: torch.optim.Optimizer, gradient: Callable[[], Tensor]) -> Tensor:
        """Let the optimizer ask for the gradient as often as it likes; the first loss is that before the step."""
        losses: list[Tensor] = []

        def closure() -> float:
            losses.append(self._fresh(gradient))
            return losses[-1]  # type: ignore[return-value]  # a tensor, which does not wait for the device

        optimizer.step(closure)
        return losses[0]

    def _fresh(self, gradient: Callable[[], Tensor]) -> Tensor:
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
