"""The norms of many perceptrons at once: each model's statistics its own, each model's scales and shifts its own.

Written by operations that round alike wherever a number stands (sums of one model, square roots, quotients), and
differentiated by autograd. Batch norm's running statistics are torch's, in the models' own buffers.

Axes: T models, B examples, H numbers of one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tunecli.train.fused.criteria import Block, room
from tunecli.train.fused.stack import Stack


class Norm:
    """One norm of all models, on the first ``n`` of a block's examples; behind them are zeros."""

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
        self._block = room(shape, stack.weights_TP)
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
        found, *of_weights = torch.autograd.grad(self._out, [self._x, *self._weights_TH], own)
        own.copy_(found)
        for place, each in zip(self._gradients, of_weights, strict=True):
            if adds:
                place.add_(each)
            else:
                place.copy_(each)
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
"""(a model's norm, (T, B, H), all models' buffers) → what is then scaled and shifted."""
