"""The gradients of models one after the other, each by autograd as the plain loop has it.

For what perceptrons.py does not write out, on the CPU: stacked by `torch.func.vmap` a convolutional net takes as long,
and a small group of transformers longer. What is left to gain is all that is not the gradient.

Axes: T models, B examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tunecli.train.fused.stack import Stack
from tunecli.train.losses import LossFunction


class OwnDropout(nn.Dropout):
    """Dropout that draws from a generator of its model's own what `nn.Dropout` draws from the global one on the CPU."""

    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__(p)
        self._generator = generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mask = torch.empty_like(x).bernoulli_(1.0 - self.p, generator=self._generator)
        return x * mask.div_(1.0 - self.p)


class SequentialGradients:
    """The models of a stack, and the loss that they are trained on."""

    unit, n_spare = 1, 0

    def __init__(self, stack: Stack, models: Sequence[nn.Module], loss: LossFunction) -> None:
        """Give each model's dropout a generator of its own.

        Args:
            stack: the models' weights.
            models: in its order.
            loss: of one model.
        """
        self._stack, self._models, self._loss = stack, models, loss
        self._generators = [torch.Generator(stack.weights_TP.device) for _ in models]
        for model, generator in zip(models, self._generators, strict=True):
            for name, layer in [*model.named_modules()]:
                if isinstance(layer, nn.Dropout):
                    model.set_submodule(name, OwnDropout(layer.p, generator))

    def begin_epoch(self, seeds: Sequence[int]) -> None:
        """Seed each model's dropout, and let the models train."""
        for model, generator, seed in zip(self._models, self._generators, seeds, strict=True):
            model.train()
            generator.manual_seed(seed)

    @torch.enable_grad()
    def gradient(self, x_TB: Tensor, y_TB: Tensor, n: int, share: float, *, adds: bool) -> Tensor:
        """As `Perceptrons.gradient`."""
        if not adds:
            self._stack.gradients_TP.zero_()
        losses = []
        for model, x_B, y_B in zip(self._models, x_TB, y_TB, strict=True):
            loss = self._loss(model(x_B), y_B)
            (loss if share == 1.0 else loss * share).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return torch.stack(losses)
