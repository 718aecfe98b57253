"""The weight chain: links that change a model's weights in place after an optimizer step, in order.

Owns the order and timing of the links, and the links themselves except cuts, which are in pruning.py. Each link is
bound to its tensors once, and is then a function of the step alone. Only the masks of cuts live from one step to the
next: random draws come from seeds that contain the step's number (seeds-by-name). Waits for the device only when
weights to cut are chosen.

Axes: T tensors, N entries of all tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tunecli.config.schema.weights import (
    AnyWeightLink,
    Center,
    UnitNorm,
    WeightClip,
    WeightCut,
    WeightNoise,
)
from tunecli.registry.implementations import implementation
from tunecli.train.chains import StepPosition
from tunecli.train.chains.pruning import Pruning
from tunecli.train.optimizers import parts_of

Update = Callable[[StepPosition], None]
"""(the step just taken) → None; changes the weights that it is bound to, in place. Called without autograd."""

KEEP_ZEROS = (WeightClip, WeightCut, UnitNorm)
"""Links that leave a weight of zero at zero; other links may change cut weights."""

_KERAS_EPSILON = 1e-7


class _BoundLink(NamedTuple):
    """A link bound to its weights, with its timing as plain numbers, which each step reads."""

    from_epoch: int
    until_epoch: float
    is_for_epoch_ends: bool
    update: Update
    pruning: Pruning | None


class WeightChain:
    """The links in training. Cut weights are exactly zero whenever :meth:`apply` returns."""

    def __init__(
        self, links: Sequence[AnyWeightLink], model: nn.Module, seed_for: Callable[..., int]
    ) -> None:
        """Bind the links to a model, without changing it.

        Args:
            links: the chain, applied in order.
            model: the model, on its device. Its last tensor of two or more dimensions is the output layer's.
            seed_for: (names) → a seed, for example ``seed_for("noise", 2, step)``.

        Raises:
            ValueError: the model has no tensor for a link to act on.
        """
        trainable: dict[str, Tensor] = {
            name: weight for name, weight in model.named_parameters() if weight.requires_grad
        }
        others = {part.parameter for part in parts_of(model) if part.kinds & {"bias", "norm"}}
        self._names = [
            name for name, weight in trainable.items() if weight.dim() >= 2 and weight not in others
        ]
        self._weights = [trainable[name] for name in self._names]
        self._prunings: dict[int, Pruning] = {}
        self._kept: list[Tensor] = []
        """One mask for each weight, zero for cut entries; empty while nothing is cut."""
        self._bound_links: list[_BoundLink] = []
        for number, link in enumerate(links):
            tensors = [*trainable.values()] if link.parameters == "all" else self._weights
            self._bound_links.append(self._bind(number, link, tensors, partial(seed_for, link.name, number)))
        after_a_cut = links[min(self._prunings) :] if self._prunings else []
        self._is_refilled = any(not isinstance(link, KEEP_ZEROS) for link in after_a_cut)

    def mask_gradients(self) -> None:
        """Zero the gradients of cut weights, as the reparametrisation of `torch.nn.utils.prune` does.

        Called before gradient clipping, so that only weights in use count in the norm.
        """
        if self._kept:
            pairs = [
                (weight.grad, mask)
                for weight, mask in zip(self._weights, self._kept, strict=True)
                if weight.grad is not None
            ]
            if pairs:
                torch._foreach_mul_([grad for grad, _ in pairs], [mask for _, mask in pairs])

    def apply(self, now: StepPosition) -> None:
        """Apply the links that act at this step, in order, and keep cut weights at zero.

        Args:
            now: the step that the optimizer just took.
        """
        epochs_done, is_epoch_end = now.epochs_done, now.is_epoch_end
        with torch.no_grad():
            for from_epoch, until_epoch, is_for_epoch_ends, update, pruning in self._bound_links:
                if from_epoch <= epochs_done < until_epoch and (is_epoch_end or not is_for_epoch_ends):
                    update(now)
                if pruning is not None:
                    pruning.hold()
            if self._is_refilled and self._kept:
                torch._foreach_mul_(self._weights, self._kept)

    def mask_copies(self, copies: Mapping[Tensor, Tensor]) -> None:
        """Zero the cut entries in copies of the weights, such as their average.

        Args:
            copies: a copy of each parameter of the model, by parameter; or empty.
        """
        if self._kept and copies:
            torch._foreach_mul_([copies[weight] for weight in self._weights], self._kept)

    def state(self) -> dict[str, Tensor]:
        """The state besides the weights: the masks chosen so far, by link and parameter (``1.0.weight``)."""
        return {
            name: mask
            for number, pruning in self._prunings.items()
            if pruning.masks
            for name, mask in zip(self._mask_names(number), pruning.masks, strict=True)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a :meth:`state` of the same chain.

        Raises:
            KeyError: the state lacks some masks of a cut.
        """
        for number, pruning in self._prunings.items():
            names = self._mask_names(number)
            is_chosen = any(name in state for name in names)
            weights = zip(names, pruning.weights, strict=True) if is_chosen else ()
            pruning.masks = [state[name].to(weight) for name, weight in weights]
        is_any_chosen = any(pruning.masks for pruning in self._prunings.values())
        self._kept = self._mask_of(self._prunings.values()) if is_any_chosen else []

    def _bind(
        self, number: int, link: AnyWeightLink, tensors: list[Tensor], seed_for_step: Callable[[int], int]
    ) -> _BoundLink:
        pruning = Pruning(link, tensors, seed_for_step) if isinstance(link, WeightCut) else None
        if not (pruning.weights if pruning else tensors):
            raise ValueError(f"weights.{number}.{link.name}: the model has no tensor for it to act on")
        update: Update
        if pruning is not None:
            self._prunings[number] = pruning
            update = partial(self._cut, pruning)
        else:
            update = implementation(link.implementation)(link, tensors, seed_for_step)
        is_gradual = isinstance(link, WeightCut) and link.gradual
        every = link.every or ("epoch" if is_gradual else "step")
        until_epoch = math.inf if link.until_epoch is None else link.until_epoch
        return _BoundLink(link.from_epoch, until_epoch, every == "epoch", update, pruning)

    def _mask_names(self, number: int) -> list[str]:
        return [f"{number}.{name}" for name in self._names[: len(self._prunings[number].weights)]]

    def _cut(self, pruning: Pruning, now: StepPosition) -> None:
        if pruning.is_open:
            left = self._mask_of(other for other in self._prunings.values() if other is not pruning)
            pruning.choose(now, left[: len(pruning.weights)])
            self._kept = self._mask_of(self._prunings.values())

    def _mask_of(self, prunings: Iterable[Pruning]) -> list[Tensor]:
        """The product of the masks of each weight; some cuts spare the last weight and have no mask for it."""
        left = [torch.ones_like(weight) for weight in self._weights]
        for pruning in prunings:
            for product, mask in zip(left, pruning.masks, strict=False):
                product.mul_(mask)
        return left


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
