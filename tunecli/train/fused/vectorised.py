"""The gradient of many models of any structure at once: `torch.func.vmap` over what one of them computes.

For what perceptrons.py does not write out, where a kernel costs more to start than to run. The models' dropout is drawn
beforehand, by each one's own generator and in the order in which the layers would draw it, and handed in; so a model
drops what it would drop alone. A model of zeros stands behind the others. With it none of theirs is the last, whose
last few numbers torch's loops may round otherwise, and none is ever alone, for which there are other kernels.

Axes: T models, B examples.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from tunecli.train.fused.stack import Stack, probability
from tunecli.train.losses import LossFunction


class _Fed(nn.Module):
    """Dropout by a mask that is handed in."""

    def __init__(self) -> None:
        super().__init__()
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return x if self.mask is None else x * self.mask


class Vectorised:
    """The models of a stack, and the loss that they are trained on."""

    unit, n_spare = 1, 1

    def __init__(self, stack: Stack, models: Sequence[nn.Module], loss: LossFunction) -> None:
        """Take the first model's structure.

        Args:
            stack: the models' weights and buffers.
            models: in its order.
            loss: of one model.
        """
        self._stack, self._loss = stack, loss
        self._models = models
        self._template = copy.deepcopy(models[0]).train()
        self._dropouts = [name for name, each in models[0].named_modules() if isinstance(each, nn.Dropout)]
        self._fed = [_Fed() for _ in self._dropouts]
        for name, fed in zip(self._dropouts, self._fed, strict=True):
            self._template.set_submodule(name, fed)
        self._keeps = [[1.0 - probability(model, name) for model in models] for name in self._dropouts]
        self._generators: list[torch.Generator] = []
        self._weights = {
            name: stack.weight_with_spare(name).detach().requires_grad_() for name in stack.places
        }
        self._gradients = [stack.gradient(name) for name in stack.places]
        self._order: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
        self._batched = vmap(self._one, in_dims=(0, 0, 0, 0, 0))

    def begin_epoch(self, seeds: Sequence[int]) -> None:
        """Seed each model's dropout."""
        if not self._generators:
            self._generators = [torch.Generator(self._stack.weights_TP.device) for _ in self._models]
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.manual_seed(seed)

    @torch.enable_grad()
    def gradient(self, x_TB: Tensor, y_TB: Tensor, n: int, share: float, *, adds: bool) -> Tensor:
        """As `Perceptrons.gradient`."""
        masks = self._draw(x_TB)
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels take one model at a time
            loss_T = self._batched(self._weights, self._stack.buffers, x_TB, y_TB, masks)
        every = torch.autograd.grad(loss_T.sum(), [*self._weights.values()])
        found = [gradient[: len(self._models)] for gradient in every]
        if share != 1.0:
            torch._foreach_mul_(found, share)
        with torch.no_grad():
            (torch._foreach_add_ if adds else torch._foreach_copy_)(self._gradients, found)
        return loss_T.detach()[: len(self._models)]

    def _one(
        self,
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x_B: Tensor,
        y_B: Tensor,
        masks: list[Tensor],
    ) -> Tensor:
        for fed, mask in zip(self._fed, masks, strict=True):
            fed.mask = mask
        outputs = functional_call(self._template, (weights, buffers), (x_B,))
        return self._loss(outputs, y_B)

    @torch.no_grad()
    def _draw(self, x_TB: Tensor) -> list[Tensor]:
        """Each dropout layer's mask for each model (T, B, …), already divided by the probability of what stays."""
        if not self._fed:
            return []
        masks: dict[int, Tensor] = {}
        for place, shape in self._order_of(x_TB):
            mask = torch.zeros((len(x_TB), *shape), dtype=self._stack.weights_TP.dtype, device=x_TB.device)
            for own, keep, generator in zip(mask[:-1], self._keeps[place], self._generators, strict=True):
                own.bernoulli_(keep, generator=generator).div_(keep)
            masks[place] = mask
        return [masks[place] for place in range(len(self._fed))]

    def _order_of(self, x_TB: Tensor) -> list[tuple[int, tuple[int, ...]]]:
        """The dropout layers in the order of their calls, and what they are called with; found by looking on."""
        size = tuple(x_TB.shape[1:])
        if size not in self._order:
            calls: list[tuple[int, tuple[int, ...]]] = []
            for fed in self._fed:
                fed.mask = None
            watched = copy.deepcopy(self._template)
            for place, name in enumerate(self._dropouts):
                watched.get_submodule(name).register_forward_pre_hook(
                    lambda module, inputs, place=place: calls.append((place, tuple(inputs[0].shape)))
                )
            watched(x_TB[0])
            self._order[size] = calls
        return self._order[size]
