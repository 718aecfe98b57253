"""The gradients of a stack's models, computed in one of three ways; each equals what autograd gives for a model alone.

`PerceptronGradients` writes out the gradients of perceptrons, for all models at once. `SequentialGradients` takes one
model after the other. It is used on the CPU, where `torch.func.vmap` over the models takes as long for convolutional
nets, and longer for small groups of transformers. A group still saves time on everything but the gradient.
`VectorisedGradients` uses `vmap` on other devices, where a kernel costs more to start than to run.

Axes: T models, B examples, I inputs, K outputs, P weights of a model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from tunecli.config.schema.activations import AnyActivation
from tunecli.registry.implementations import code_names, implementation
from tunecli.train.fused.perceptron_layers import (
    IN_PLACE,
    NORMS,
    ActivationLayer,
    DropoutLayer,
    InPlaceLayer,
    Layer,
    LinearLayer,
    NormLayer,
)
from tunecli.train.fused.scores import Criterion, MakeCriterion
from tunecli.train.fused.stack import UNIT, Block, Stack, probability
from tunecli.train.losses import LossFunction

_MOST_NUMBERS = 2**18
"""The largest size of a layer's output, of one model, with which several models are evaluated at once."""

_BASIC_LAYERS = (nn.Linear, nn.Flatten, nn.Dropout)
_ACTIVATIONS = {
    implementation(name)
    for knob in get_args(AnyActivation)
    if not knob.n_parameters and not knob.is_random
    for name in code_names(knob)
}
_OTHER_LAYERS = {*_ACTIVATIONS, *NORMS}


class Gradients(Protocol):
    """One way to compute the gradients of a stack's models."""

    unit: int
    """Batches are padded to a multiple of this number of examples."""
    n_spare: int
    """Number of spare models that follow the group's own models. They need examples, too."""

    def begin_epoch(self, seeds: Sequence[int]) -> None:
        """Seed each model's dropout."""
        ...

    def gradient(self, x_TB: Tensor, y_TB: Tensor, n: int, share: float, *, adds: bool) -> Tensor:
        """Compute each model's gradient and write it to the stack. Called without autograd.

        Args:
            x_TB: each model's inputs, (T + n_spare, B, *shape), contiguous.
            y_TB: each model's targets.
            n: number of examples that count: the first ones; the others are padding.
            share: the gradient's factor: the batch's share of the step's examples, in (0, 1].
            adds: whether to add to the gradient in the stack instead of replacing it.

        Returns:
            Each model's mean loss (T,).
        """
        ...


def is_perceptron(model: nn.Module) -> bool:
    """Whether a model is a sequence of layers that `PerceptronGradients` can train."""
    return (
        isinstance(model, nn.Sequential)
        and isinstance(model[-1], nn.Linear)
        and all(isinstance(layer, _BASIC_LAYERS) or type(layer) in _OTHER_LAYERS for layer in model)
    )


class PerceptronGradients:
    """The gradients of linear models and perceptrons, written out: one matrix product for all models.

    Little here is recorded by autograd, and results are written in place: on one core, recording and allocating cost as
    much as the products of a small model.
    """

    unit, n_spare = UNIT, 0

    def __init__(self, stack: Stack, models: Sequence[nn.Module], make_criterion: MakeCriterion) -> None:
        """Layers are built later, once for each batch size.

        Args:
            stack: the models' weights.
            models: the models, in the stack's order.
            make_criterion: builds the loss for a shape of outputs.
        """
        self._stack, self._models, self._make_criterion = stack, models, make_criterion
        self._generators: list[torch.Generator] = []
        self._bound: dict[int, tuple[list[Layer], Criterion]] = {}  # layers and loss by batch size
        self._evaluating: list[Layer] = []  # the layers of `outputs`
        layers = [*models[0].children()]
        self._widest = max(layer.out_features for layer in layers if isinstance(layer, nn.Linear))
        self._has_norm = any(type(layer) in NORMS for layer in layers)

    def can_evaluate(self, n: int) -> bool:
        """Whether :meth:`outputs` takes ``n`` examples. For more, it would save no time and take much memory."""
        return not self._has_norm and n * self._widest <= _MOST_NUMBERS

    def outputs(self, x_B: Tensor) -> Block:
        """The models' outputs in evaluation on the same examples, (T, K, B). Called without autograd.

        Args:
            x_B: the examples, (B, *shape), contiguous; B is the same at every call, and a multiple of ``unit``.
        """
        if not self._evaluating:
            self._evaluating = self._layers(len(x_B), is_training=False)[0]
        x_BI = x_B.flatten(1) if x_B.dim() > 1 else x_B[:, None]
        block = Block(x_BI, x_BI.expand(len(self._models), -1, -1))
        for layer in self._evaluating:
            block = layer.forward(block)
        return block

    def begin_epoch(self, seeds: Sequence[int]) -> None:
        """Seed each model's dropout."""
        device = self._stack.weights_TP.device
        if not self._generators:
            self._generators = [torch.Generator(device) for _ in self._models]
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.manual_seed(seed)

    def gradient(self, x_TB: Tensor, y_TB: Tensor, n: int, share: float, *, adds: bool) -> Tensor:
        """See `Gradients.gradient`."""
        if n not in self._bound:
            self._bound[n] = self._bind(n)
        layers, criterion = self._bound[n]
        block = Block(x_TB, x_TB.flatten(2) if x_TB.dim() > 2 else x_TB[..., None])
        for layer in layers:
            block = layer.forward(block)
        loss_T, gradient = criterion(block, y_TB[:, :n], share)
        for layer in reversed(layers):
            gradient = layer.backward(gradient, adds=adds)
        return loss_T

    def _bind(self, n: int) -> tuple[list[Layer], Criterion]:
        layers, n_outputs = self._layers(n, is_training=True)
        shape = (len(self._models), n_outputs, -(-n // UNIT) * UNIT)
        return layers, self._make_criterion(shape, n, self._stack.weights_TP)

    def _layers(self, n: int, *, is_training: bool) -> tuple[list[Layer], int]:
        """The layers for batches of ``n`` examples, and the number of outputs of the last layer."""
        like = self._stack.weights_TP
        layers: list[Layer] = []
        width, n_rows = 0, -(-n // UNIT) * UNIT
        modules = [*self._models[0].named_children()]
        for index, (name, module) in enumerate(modules):
            shape = (len(self._models), n_rows, width)
            match module:
                case nn.Flatten() | nn.Identity():
                    continue
                case nn.Linear():
                    is_last = index == len(modules) - 1
                    is_first = not layers or not is_training  # no layer before it needs a gradient
                    layers.append(
                        LinearLayer(
                            self._stack, f"{name}.", module, n_rows, is_first=is_first, is_last=is_last
                        )
                    )
                    width = module.out_features
                case nn.Dropout() if not is_training:
                    continue
                case nn.Dropout():
                    keeps = [1.0 - probability(model, name) for model in self._models]
                    layers.append(DropoutLayer(keeps, shape, n, like, self._generators))
                case _ if type(module) in NORMS:
                    layers.append(NormLayer(self._stack, name, module, shape, n))
                case _ if type(module) in IN_PLACE:
                    layers.append(InPlaceLayer(*IN_PLACE[type(module)]))
                case _:
                    layers.append(ActivationLayer(module, shape, like, is_training=is_training))
        return layers, width


class SeededDropout(nn.Dropout):
    """Dropout with a generator of its own. Its draws equal those of `nn.Dropout` on the CPU for the same seed."""

    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__(p)
        self._generator = generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mask = torch.empty_like(x).bernoulli_(1.0 - self.p, generator=self._generator)
        return x * mask.div_(1.0 - self.p)


class SequentialGradients:
    """The gradients of any models, one model after the other, by autograd."""

    unit, n_spare = 1, 0

    def __init__(self, stack: Stack, models: Sequence[nn.Module], loss: LossFunction) -> None:
        """Give each model's dropout its own generator.

        Args:
            stack: the models' weights.
            models: the models, in the stack's order.
            loss: the loss of one model.
        """
        self._stack, self._models, self._loss = stack, models, loss
        self._generators = [torch.Generator(stack.weights_TP.device) for _ in models]
        for model, generator in zip(models, self._generators, strict=True):
            for name, layer in [*model.named_modules()]:
                if isinstance(layer, nn.Dropout):
                    model.set_submodule(name, SeededDropout(layer.p, generator))

    def begin_epoch(self, seeds: Sequence[int]) -> None:
        """Seed each model's dropout, and put the models in training mode."""
        for model, generator, seed in zip(self._models, self._generators, seeds, strict=True):
            model.train()
            generator.manual_seed(seed)

    @torch.enable_grad()
    def gradient(self, x_TB: Tensor, y_TB: Tensor, n: int, share: float, *, adds: bool) -> Tensor:
        """See `Gradients.gradient`."""
        if not adds:
            self._stack.gradients_TP.zero_()
        losses = []
        for model, x_B, y_B in zip(self._models, x_TB, y_TB, strict=True):
            loss = self._loss(model(x_B), y_B)
            (loss if share == 1.0 else loss * share).backward()  # type: ignore[no-untyped-call]  # torch gives no types
            losses.append(loss.detach())
        return torch.stack(losses)


class _MaskedDropout(nn.Module):
    """Dropout by a given mask, which is already divided by the keep probability."""

    def __init__(self) -> None:
        super().__init__()
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return x if self.mask is None else x * self.mask


class VectorisedGradients:
    """The gradients of any models by `torch.func.vmap` over the computation of one model.

    Dropout masks are drawn beforehand, by each model's own generator and in the order of the layers, so a model drops
    the same units as alone. A spare model of zeros follows the others, for two reasons: torch's loops may round the
    last few numbers of the last model differently, and torch has other kernels for a single model.
    """

    unit, n_spare = 1, 1

    def __init__(self, stack: Stack, models: Sequence[nn.Module], loss: LossFunction) -> None:
        """Copy the first model's structure.

        Args:
            stack: the models' weights and buffers.
            models: the models, in the stack's order.
            loss: the loss of one model.
        """
        self._stack, self._loss = stack, loss
        self._models = models
        self._template = copy.deepcopy(models[0]).train()
        self._dropouts = [name for name, layer in models[0].named_modules() if isinstance(layer, nn.Dropout)]
        self._masked = [_MaskedDropout() for _ in self._dropouts]
        for name, layer in zip(self._dropouts, self._masked, strict=True):
            self._template.set_submodule(name, layer)
        self._keeps = [[1.0 - probability(model, name) for model in models] for name in self._dropouts]
        self._generators: list[torch.Generator] = []
        self._weights = {
            name: stack.weight_with_spare(name).detach().requires_grad_() for name in stack.spans
        }
        self._gradients = [stack.gradient(name) for name in stack.spans]
        self._order: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}  # by the shape of a batch
        self._batched = vmap(self._one, in_dims=(0, 0, 0, 0, 0))

    def begin_epoch(self, seeds: Sequence[int]) -> None:
        """Seed each model's dropout."""
        if not self._generators:
            self._generators = [torch.Generator(self._stack.weights_TP.device) for _ in self._models]
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.manual_seed(seed)

    @torch.enable_grad()
    def gradient(self, x_TB: Tensor, y_TB: Tensor, n: int, share: float, *, adds: bool) -> Tensor:
        """See `Gradients.gradient`."""
        masks = self._draw(x_TB)
        with sdpa_kernel(SDPBackend.MATH):  # vmap has no rule for the fused attention kernels
            loss_T = self._batched(self._weights, self._stack.buffers, x_TB, y_TB, masks)
        gradients = torch.autograd.grad(loss_T.sum(), [*self._weights.values()])
        own = [gradient[: len(self._models)] for gradient in gradients]
        if share != 1.0:
            torch._foreach_mul_(own, share)
        with torch.no_grad():
            (torch._foreach_add_ if adds else torch._foreach_copy_)(self._gradients, own)
        return loss_T.detach()[: len(self._models)]

    def _one(
        self,
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x_B: Tensor,
        y_B: Tensor,
        masks: list[Tensor],
    ) -> Tensor:
        for layer, mask in zip(self._masked, masks, strict=True):
            layer.mask = mask
        outputs = functional_call(self._template, (weights, buffers), (x_B,))
        return self._loss(outputs, y_B)

    @torch.no_grad()
    def _draw(self, x_TB: Tensor) -> list[Tensor]:
        """Each dropout layer's masks for all models (T, B, …), already divided by the keep probability."""
        if not self._masked:
            return []
        masks: dict[int, Tensor] = {}
        for index, shape in self._order_of(x_TB):
            mask = torch.zeros((len(x_TB), *shape), dtype=self._stack.weights_TP.dtype, device=x_TB.device)
            for own, keep, generator in zip(mask[:-1], self._keeps[index], self._generators, strict=True):
                own.bernoulli_(keep, generator=generator).div_(keep)
            masks[index] = mask
        return [masks[index] for index in range(len(self._masked))]

    def _order_of(self, x_TB: Tensor) -> list[tuple[int, tuple[int, ...]]]:
        """The index and input shape of each dropout layer, in the order of their calls in a forward pass."""
        size = tuple(x_TB.shape[1:])
        if size not in self._order:
            calls: list[tuple[int, tuple[int, ...]]] = []
            for layer in self._masked:
                layer.mask = None
            observed = copy.deepcopy(self._template)
            for index, name in enumerate(self._dropouts):
                observed.get_submodule(name).register_forward_pre_hook(
                    lambda module, inputs, index=index: calls.append((index, tuple(inputs[0].shape)))
                )
            observed(x_TB[0])
            self._order[size] = calls
        return self._order[size]
