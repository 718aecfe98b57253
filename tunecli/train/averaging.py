"""Weight averages (EMA, SWA), which replace the weights when a model is validated, tested or saved.

Owns the average and its swap with the model's weights; knows neither loops nor optimizers. A test compares the averages
with `torch.optim.swa_utils`.
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
