"""The links of the weight chain except cuts, which are in pruning.py: each changes weights in place.

A link is bound to its tensors once, and is then a function of the step alone. No function here waits for the device.
Knows neither the order nor the timing of links.

Axes: T tensors, N entries of all tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tunecli.config.schema.weights import Center, UnitNorm, WeightClip, WeightCut, WeightNoise
from tunecli.train.chains.step_position import StepPosition

Update = Callable[[StepPosition], None]
"""(the step just taken) → None; changes the weights that it is bound to, in place. Called without autograd."""

_KERAS_EPSILON = 1e-7


def clip(link: WeightClip, weights: list[Tensor], seed_for_step: Callable[[int], int]) -> Update:
    """The link `clip`: bounds weights by value or by norm."""
    if link.norm is None:
        return partial(_bound_entries, weights, link.value or math.inf)
    if link.per == "row":
        return partial(_bound_rows, weights, link.norm)
    bound = torch.full((), link.norm, dtype=weights[0].dtype, device=weights[0].device)
    return partial(_bound_tensors if link.per == "tensor" else _bound_model, weights, bound)


def _bound_entries(weights: list[Tensor], value: float, now: StepPosition) -> None:
    torch._foreach_clamp_max_(weights, value)
    torch._foreach_clamp_min_(weights, -value)


def _bound_model(weights: list[Tensor], bound: Tensor, now: StepPosition) -> None:
    """`torch.nn.utils.clip_grad_norm_` for weights; within the bound the factor is exactly 1."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(weights)))
    torch._foreach_mul_(weights, bound / torch.maximum(norm, bound))


def _bound_tensors(weights: list[Tensor], bound: Tensor, now: StepPosition) -> None:
    norms_T = torch.stack(torch._foreach_norm(weights))
    torch._foreach_mul_(weights, (bound / torch.maximum(norms_T, bound)).unbind())


def _bound_rows(weights: list[Tensor], bound: float, now: StepPosition) -> None:
    for weight in weights:
        weight.renorm_(2, 0, bound)


def noise(link: WeightNoise, weights: list[Tensor], seed_for_step: Callable[[int], int]) -> Update:
    """The link `noise`: adds Gaussian noise of standard deviation ``std``."""
    flat_N = torch.cat([weight.detach().flatten() for weight in weights])
    parts = torch.split(flat_N, [weight.numel() for weight in weights])
    noise = [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]
    generator = torch.Generator(flat_N.device)

    def update(now: StepPosition) -> None:
        flat_N.normal_(0.0, link.std, generator=generator.manual_seed(seed_for_step(now.step)))
        torch._foreach_add_(weights, noise)

    return update


def center(link: Center, weights: list[Tensor], seed_for_step: Callable[[int], int]) -> Update:
    """The link `center`: subtracts the mean of each row."""

    def update(now: StepPosition) -> None:
        for weight in weights:
            weight.sub_(weight.mean(dim=[*range(1, weight.dim())], keepdim=True))

    return update


def unit_norm(link: UnitNorm, weights: list[Tensor], seed_for_step: Callable[[int], int]) -> Update:
    """The link `unit_norm`: divides each row by its norm, with Keras' epsilon so that a row of zeros stays zero."""

    def update(now: StepPosition) -> None:
        for weight in weights:
            norm = torch.linalg.vector_norm(weight, dim=[*range(1, weight.dim())], keepdim=True)
            weight.div_(norm.add_(_KERAS_EPSILON))

    return update


KEEP_ZEROS = (WeightClip, WeightCut, UnitNorm)
"""Links that leave a weight of zero at zero; other links may change cut weights."""
