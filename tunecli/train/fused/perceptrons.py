"""The gradient of many perceptrons at once, written out: one matrix product for all models where each has its own.

Takes the sequences of linear layers, norms, activations and dropout that models/ builds for ``linear`` and ``mlp``.
Little here is recorded by autograd, and results are put where they stay: on one core recording and allocating cost as
much as the products of a small model. What a model gets does not depend on its neighbours: products and sums are of
each model alone, and what is element by element goes over blocks with spare numbers behind them (see `room`).

Axes: T models, B examples, I numbers in, H numbers out, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from tunecli.train.fused.criteria import Block, Criterion, MakeCriterion, room
from tunecli.train.fused.norms import NORMS, Norm
from tunecli.train.fused.stack import UNIT, Stack, probability
from tunecli.train.models.activations import ACTIVATIONS

aten = torch.ops.aten
_MOST_NUMBERS = 2**18
"""Of one model's layer while several models are evaluated at once."""


class Layer(Protocol):
    """One layer of all models, bound to a size of batch."""

    def forward(self, x: Block) -> Block:
        """What leaves the layer; it may be ``x``, overwritten."""
        ...

    def backward(self, gradient: Block, *, adds: bool) -> Block:
        """The gradient with regard to what entered; that of the weights is put in the stack's, or added to it."""
        ...


class _Linear:
    """(T, B, I) → (T, B, H); the last one → (T, H, B), and then its gradient comes in that order too."""

    def __init__(
        self, stack: Stack, name: str, layer: nn.Linear, n: int, *, is_first: bool, is_last: bool
    ) -> None:
        self._weight_THI = stack.weight(f"{name}weight")
        self._weight_gradient = stack.gradient(f"{name}weight")
        bias_TH = stack.weight(f"{name}bias")
        self._bias = bias_TH[:, :, None] if is_last else bias_TH[:, None]
        self._bias_gradient = stack.gradient(f"{name}bias")
        n_models, n_out, n_in = self._weight_THI.shape
        self._is_last = is_last
        self._out = room((n_models, n_out, n) if is_last else (n_models, n, n_out), self._weight_THI)
        is_aligned = n_out * n_in % UNIT == 0
        self._product = torch.empty((n_models, n_out, n_in) if is_aligned else 0).to(self._weight_THI)
        self._is_aligned = is_aligned
        self._back = None if is_first else room((n_models, n, n_in), self._weight_THI)
        self._x: Tensor | None = None

    def forward(self, x: Block) -> Block:
        self._x = x.view
        if self._is_last:
            torch.baddbmm(self._bias, self._weight_THI, x.view.transpose(1, 2), out=self._out.view)
        else:
            torch.baddbmm(self._bias, x.view, self._weight_THI.transpose(1, 2), out=self._out.view)
        return self._out

    def backward(self, gradient: Block, *, adds: bool) -> Block:
        assert self._x is not None
        by_examples = gradient.view.transpose(1, 2) if self._is_last else gradient.view
        by_outputs = gradient.view if self._is_last else gradient.view.transpose(1, 2)
        if self._is_aligned:
            torch.bmm(by_outputs, self._x, out=self._product)
            product = self._product
        else:
            product = torch.stack([torch.mm(g, x) for g, x in zip(by_outputs, self._x, strict=True)])
        summed = gradient.view.sum(2 if self._is_last else 1)
        if adds:
            self._weight_gradient.add_(product)
            self._bias_gradient.add_(summed)
        else:
            self._weight_gradient.copy_(product)
            self._bias_gradient.copy_(summed)
        if self._back is None:
            return gradient
        torch.bmm(by_examples, self._weight_THI, out=self._back.view)
        return self._back


class _InPlace:
    """An activation whose derivative follows from what it gave."""

    def __init__(self, apply: Callable[[Tensor], Tensor], derive: Callable[[Tensor, Tensor], object]) -> None:
        self._apply, self._derive = apply, derive
        self._out: Tensor | None = None

    def forward(self, x: Block) -> Block:
        self._out = self._apply(x.flat)
        return x

    def backward(self, gradient: Block, *, adds: bool) -> Block:
        assert self._out is not None
        self._derive(gradient.flat, self._out)
        return gradient


class _Activation:
    """Any other activation without weights; its derivative is autograd's."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...], like: Tensor, *, is_training: bool) -> None:
        self._module, self._is_training = module, is_training
        self._block = room(shape, like)
        self._x: Tensor | None = None
        self._out: Tensor | None = None

    def forward(self, x: Block) -> Block:
        if not self._is_training:
            self._block.flat.copy_(self._module(x.flat))
            return self._block
        self._x = x.flat.detach().requires_grad_()
        with torch.enable_grad():
            self._out = self._module(self._x)
        self._block.flat.copy_(self._out.detach())
        return self._block

    def backward(self, gradient: Block, *, adds: bool) -> Block:
        assert self._x is not None and self._out is not None
        (found,) = torch.autograd.grad(self._out, self._x, gradient.flat)
        gradient.flat.copy_(found)
        return gradient


class _Dropout:
    """Each model's own probability, drawn from its own generator as `nn.Dropout` would draw it alone on the CPU."""

    def __init__(
        self,
        keeps: Sequence[float],
        shape: tuple[int, ...],
        n: int,
        like: Tensor,
        generators: Sequence[torch.Generator],
    ) -> None:
        self._n = n
        self._mask, self._block = room(shape, like), room(shape, like)
        self._keep_T11 = torch.tensor(keeps, dtype=like.dtype, device=like.device)[:, None, None]
        self._keeps, self._generators = keeps, generators

    def forward(self, x: Block) -> Block:
        for mask, keep, generator in zip(self._mask.view, self._keeps, self._generators, strict=True):
            mask[: self._n].bernoulli_(keep, generator=generator)
        self._mask.view.div_(self._keep_T11)
        torch.mul(x.flat, self._mask.flat, out=self._block.flat)
        return self._block

    def backward(self, gradient: Block, *, adds: bool) -> Block:
        gradient.flat.mul_(self._mask.flat)
        return gradient


IN_PLACE: dict[type[nn.Module], tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], object]]] = {
    nn.ReLU: (torch.relu_, lambda g, y: aten.threshold_backward.grad_input(g, y, 0, grad_input=g)),
    nn.Tanh: (torch.tanh_, lambda g, y: aten.tanh_backward.grad_input(g, y, grad_input=g)),
    nn.Sigmoid: (torch.sigmoid_, lambda g, y: aten.sigmoid_backward.grad_input(g, y, grad_input=g)),
}
"""(what it does, in place; what makes the gradient before it of that after it and of what it gave, in place)."""

_ALONE = (nn.Linear, nn.Flatten, nn.Dropout)
_OTHERS = {*ACTIVATIONS.values(), *NORMS} - {nn.PReLU, nn.RReLU}


def takes(model: nn.Module) -> bool:
    """Whether a model is a sequence that can be trained so."""
    return (
        isinstance(model, nn.Sequential)
        and isinstance(model[-1], nn.Linear)
        and all(isinstance(layer, _ALONE) or type(layer) in _OTHERS for layer in model)
    )


class Perceptrons:
    """The models of a stack, and the loss that they are trained on."""

    unit, n_spare = UNIT, 0

    def __init__(self, stack: Stack, models: Sequence[nn.Module], make_criterion: MakeCriterion) -> None:
        """Prepare nothing yet; that is done once a size of batch.

        Args:
            stack: the models' weights.
            models: in its order.
            make_criterion: (shape of outputs, a tensor of their kind) → the loss.
        """
        self._stack, self._models, self._make_criterion = stack, models, make_criterion
        self._generators: list[torch.Generator] = []
        self._bound: dict[int, tuple[list[Layer], Criterion]] = {}
        self._evaluating: list[Layer] = []
        layers = [*models[0].children()]
        self._widest = max(layer.out_features for layer in layers if isinstance(layer, nn.Linear))
        self._has_norm = any(type(layer) in NORMS for layer in layers)

    def can_evaluate(self, n: int) -> bool:
        """Whether :meth:`outputs` takes so many examples: beyond, memory is something and overheads are nothing."""
        return not self._has_norm and n * self._widest <= _MOST_NUMBERS

    def outputs(self, x_B: Tensor) -> Block:
        """What the models make of the same examples in evaluation, (T, K, B). Called without autograd.

        Args:
            x_B: the examples, (B, *shape), contiguous; as many at every call, and a multiple of ``unit``.
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
        """Put ``share`` of each model's gradient into the stack's, or add it to them. Called without autograd.

        Args:
            x_TB: each model's inputs, (T, B, *shape), contiguous.
            y_TB: and targets.
            n: how many of the B examples count: the first ones.
            share: of a step's examples, in (0, 1].
            adds: whether the gradient there is kept.

        Returns:
            Each model's mean loss (T,).
        """
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
        """The layers for batches of ``n``, and how many numbers the last one gives."""
        like = self._stack.weights_TP
        layers: list[Layer] = []
        width, n_rows = 0, -(-n // UNIT) * UNIT
        modules = [*self._models[0].named_children()]
        for place, (name, module) in enumerate(modules):
            shape = (len(self._models), n_rows, width)
            match module:
                case nn.Flatten() | nn.Identity():
                    continue
                case nn.Linear():
                    is_last = place == len(modules) - 1
                    is_first = not layers or not is_training  # there is nobody before it who wants a gradient
                    layers.append(
                        _Linear(self._stack, f"{name}.", module, n_rows, is_first=is_first, is_last=is_last)
                    )
                    width = module.out_features
                case nn.Dropout() if not is_training:
                    continue
                case nn.Dropout():
                    keeps = [1.0 - probability(model, name) for model in self._models]
                    layers.append(_Dropout(keeps, shape, n, like, self._generators))
                case _ if type(module) in NORMS:
                    layers.append(Norm(self._stack, name, module, shape, n))
                case _ if type(module) in IN_PLACE:
                    layers.append(_InPlace(*IN_PLACE[type(module)]))
                case _:
                    layers.append(_Activation(module, shape, like, is_training=is_training))
        return layers, width
