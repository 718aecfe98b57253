"""Averages of the weights along the way, which stand in for the weights whenever a model is looked at.

Owns the average and how it is lent to the model; knows neither loops nor optimizers. The averages are those of
`torch.optim.swa_utils`, which a test holds them to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from tunecli.config.schema.training import AnyAverage, Ema, Swa


class WeightAverage:
    """An average of a model's parameters. Until it has begun, the model's own weights are what is seen."""

    def __init__(self, knob: AnyAverage, model: nn.Module, n_epochs: int) -> None:
        """Prepare to average.

        Args:
            knob: which average.
            model: whose parameters; on its device.
            n_epochs: the planned number, at least 1.
        """
        self._knob = knob
        self._model = model
        self._parameters: list[Tensor] = [*model.parameters()]
        n_before = knob.start_fraction * n_epochs if isinstance(knob, Swa) else 0.0
        self._first_epoch = math.floor(n_before + 1e-9) + 1  # 0.29 of 100 epochs are 28.999999999999996
        self._averages: list[Tensor] = []
        self._n_averaged = 0
        self._buffers: dict[str, Tensor] = {}

    @property
    def averages(self) -> Mapping[Tensor, Tensor]:
        """The average of each parameter; none until it has begun."""
        return dict(zip(self._parameters, self._averages, strict=False))

    @torch.no_grad()
    def after_step(self) -> None:
        """Take the weights after an optimizer step into an exponential average: a += (1 - decay) · (w - a)."""
        if isinstance(self._knob, Ema):
            self._take(1.0 - self._knob.decay)

    @torch.no_grad()
    def after_epoch(
        self, epoch: int, batches: Iterable[Tensor], hold: Callable[[], None] = lambda: None
    ) -> None:
        """Take the weights at an epoch's end into a stochastic average: a += (w - a) / n.

        Args:
            epoch: counted from 1.
            batches: the inputs of the training examples, for batch norm's statistics under the averaged weights.
            hold: puts right what has to hold for the averages too, before those statistics are taken.
        """
        if isinstance(self._knob, Swa) and epoch >= self._first_epoch:
            self._take(1.0 / (self._n_averaged + 1))
            hold()
            self._buffers = {}
            own = {name: buffer.clone() for name, buffer in self._model.named_buffers()}
            with self.lent():
                update_bn(batches, self._model)
                self._buffers = {name: buffer.clone() for name, buffer in self._model.named_buffers()}
                for name, buffer in self._model.named_buffers():
                    buffer.copy_(own[name])

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let the model have the averaged weights for the length of a block."""
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
        """What lives on beside the weights: tensors as they are, and plain data."""
        return {"averages": self._averages, "n_averaged": self._n_averaged, "buffers": self._buffers}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state` of the average of such a model.

        Raises:
            KeyError: it is none.
        """
        self._averages, self._n_averaged = [*state["averages"]], state["n_averaged"]
        self._buffers = dict(state["buffers"])

    def _take(self, share: float) -> None:
        weights = [parameter.detach() for parameter in self._parameters]
        if not self._averages:
            self._averages = [weight.clone() for weight in weights]
        else:
            torch._foreach_lerp_(self._averages, weights, share)
        self._n_averaged += 1
