"""The layers of many perceptrons at once: forward and backward passes that write their results in place.

A model's results do not depend on its neighbours: products and sums are taken for each model alone, and element-wise
operations work on blocks with spare numbers at their end (see `padded_block`). Norms are written with operations that
round alike at every position (sums of one model, square roots, quotients) and differentiated by autograd; batch norm's
running statistics are torch's, in the models' own buffers.

Axes: T models, B examples, I inputs, H outputs (or units) of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tunecli.train.fused.stack import UNIT, Block, Stack, padded_block

aten = torch.ops.aten


class Layer(Protocol):
    """One layer of all models, for one batch size."""

    def forward(self, x: Block) -> Block:
        """The layer's outputs; they may overwrite ``x``."""
        ...

    def backward(self, gradient: Block, *, adds: bool) -> Block:
        """The gradient with respect to the inputs. That of the weights is written to the stack, or added there."""
        ...


class LinearLayer:
    """Linear layers: (T, B, I) → (T, B, H). The last layer gives (T, H, B), and takes its gradient in that order."""

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
        self._out = padded_block((n_models, n_out, n) if is_last else (n_models, n, n_out), self._weight_THI)
        is_aligned = n_out * n_in % UNIT == 0
        self._product = torch.empty((n_models, n_out, n_in) if is_aligned else 0).to(self._weight_THI)
        self._is_aligned = is_aligned
        self._back = None if is_first else padded_block((n_models, n, n_in), self._weight_THI)
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


class InPlaceLayer:
    """An activation whose derivative is a function of its output."""

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


class ActivationLayer:
    """Any other activation without weights, differentiated by autograd."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...], like: Tensor, *, is_training: bool) -> None:
        self._module, self._is_training = module, is_training
        self._block = padded_block(shape, like)
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
        (of_input,) = torch.autograd.grad(self._out, self._x, gradient.flat)
        gradient.flat.copy_(of_input)
        return gradient


class DropoutLayer:
    """Dropout with each model's own probability and generator; the same draws as `nn.Dropout` makes on the CPU."""

    def __init__(
        self,
        keeps: Sequence[float],
        shape: tuple[int, ...],
        n: int,
        like: Tensor,
        generators: Sequence[torch.Generator],
    ) -> None:
        self._n = n
        self._mask, self._block = padded_block(shape, like), padded_block(shape, like)
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
"""(the activation, in place; (output's gradient, output) → input's gradient, in place)."""


class NormLayer:
    """One norm of all models, on the first ``n`` examples of a block; the others are zeros."""

    def __init__(self, stack: Stack, name: str, module: nn.Module, shape: tuple[int, ...], n: int) -> None:
        names = [f"{name}.{own}" for own, _ in module.named_parameters()]
        self._weights_TH = [stack.weight(own).detach().requires_grad_() for own in names]
        self._gradients = [stack.gradient(own) for own in names]
        prefix = f"{name}."
        self._buffers = {
            own.removeprefix(prefix): buffer[: shape[0]]
            for own, buffer in stack.buffers.items()
            if own.startswith(prefix)
        }
        self._module, self._n = module, n
        self._normed = NORMS[type(module)]
        self._block = padded_block(shape, stack.weights_TP)
        self._x: Tensor | None = None
        self._out: Tensor | None = None

    def forward(self, x: Block) -> Block:
        self._x = x.view[:, : self._n].detach().requires_grad_()
        with torch.enable_grad():
            out = self._normed(self._module, self._x, self._buffers) * self._weights_TH[0][:, None]
            self._out = out + self._weights_TH[1][:, None] if len(self._weights_TH) > 1 else out
        self._block.view[:, : self._n] = self._out.detach()
        return self._block

    def backward(self, gradient: Block, *, adds: bool) -> Block:
        assert self._x is not None and self._out is not None
        own = gradient.view[:, : self._n]
        of_input, *of_weights = torch.autograd.grad(self._out, [self._x, *self._weights_TH], own)
        own.copy_(of_input)
        for target, value in zip(self._gradients, of_weights, strict=True):
            if adds:
                target.add_(value)
            else:
                target.copy_(value)
        return gradient


def _batch(module: nn.Module, x_TBH: Tensor, buffers: dict[str, Tensor]) -> Tensor:
    assert isinstance(module, nn.BatchNorm1d) and module.momentum is not None
    n = x_TBH.shape[1]
    mean_T1H = x_TBH.mean(1, keepdim=True)
    centered = x_TBH - mean_T1H
    variance_T1H = (centered * centered).mean(1, keepdim=True)
    with torch.no_grad():
        share = module.momentum
        buffers["running_mean"].mul_(1.0 - share).add_(mean_T1H[:, 0], alpha=share)
        buffers["running_var"].mul_(1.0 - share).add_(variance_T1H[:, 0], alpha=share * n / (n - 1))
        buffers["num_batches_tracked"].add_(1)
    return centered / (variance_T1H + module.eps).sqrt()


def _layer(module: nn.Module, x_TBH: Tensor, buffers: dict[str, Tensor]) -> Tensor:
    assert isinstance(module, nn.LayerNorm)
    return fn.layer_norm(x_TBH, module.normalized_shape, eps=module.eps)


def _rms(module: nn.Module, x_TBH: Tensor, buffers: dict[str, Tensor]) -> Tensor:
    assert isinstance(module, nn.RMSNorm)
    eps = torch.finfo(x_TBH.dtype).eps if module.eps is None else module.eps
    return x_TBH / ((x_TBH * x_TBH).mean(2, keepdim=True) + eps).sqrt()


NORMS: dict[type[nn.Module], Callable[[nn.Module, Tensor, dict[str, Tensor]], Tensor]] = {
    nn.BatchNorm1d: _batch,
    nn.LayerNorm: _layer,
    nn.RMSNorm: _rms,
}
"""(one model's norm, inputs (T, B, H), all models' buffers) → the normalised inputs, before scale and shift."""
