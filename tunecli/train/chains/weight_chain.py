"""The weight chain: what is done to a model's weights after an optimizer step, link by link, in place.

Owns the order and the timing of the links; what each does is weight_links.py's, and pruning.py's for cuts. What lives
from one step to the next is the masks of the cuts alone: whatever is random is a function of names, the step's number
among them (law 3). Waits for the device only where a cut is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tunecli.config.schema.weights import AnyWeightLink, WeightCut
from tunecli.registry.implementations import implementation
from tunecli.train.chains.pruning import Pruning
from tunecli.train.chains.step_position import StepPosition
from tunecli.train.chains.weight_links import KEEP_ZEROS, Update
from tunecli.train.parameters import parts_of


class _Place(NamedTuple):
    """A link at its place in the chain, bound to its weights; plain numbers, since each step reads them."""

    from_epoch: int
    until_epoch: float
    is_for_epoch_ends: bool
    update: Update
    pruning: Pruning | None


class WeightChain:
    """The links in training. What they cut is exactly zero whenever :meth:`apply` returns."""

    def __init__(
        self, links: Sequence[AnyWeightLink], model: nn.Module, seed_for: Callable[..., int]
    ) -> None:
        """Bind the links to a model; nothing is changed yet.

        Args:
            links: the chain, applied in order.
            model: on its device already. Its last tensor of two dimensions or more is the output layer's.
            seed_for: a seed by its names, for example ``seed_for("noise", 2, step)``.

        Raises:
            ValueError: the model has no tensor that a link could act on.
        """
        trainable: dict[str, Tensor] = {n: each for n, each in model.named_parameters() if each.requires_grad}
        others = {part.parameter for part in parts_of(model) if part.kinds & {"bias", "norm"}}
        self._names = [name for name, each in trainable.items() if each.dim() >= 2 and each not in others]
        self._weights = [trainable[name] for name in self._names]
        self._prunings: dict[int, Pruning] = {}
        self._kept: list[Tensor] = []
        """One mask for each weight, zero where any cut holds; none while nothing is cut."""
        self._places: list[_Place] = []
        for number, link in enumerate(links):
            tensors = [*trainable.values()] if link.parameters == "all" else self._weights
            self._places.append(self._place(number, link, tensors, partial(seed_for, link.name, number)))
        after_a_cut = links[min(self._prunings) :] if self._prunings else []
        self._is_refilled = any(not isinstance(link, KEEP_ZEROS) for link in after_a_cut)

    def mask_gradients(self) -> None:
        """Zero the gradients of what is cut, as `torch.nn.utils.prune`'s reparametrisation does.

        Called before the gradient is bounded, so that only weights in use count in its norm.
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
        """Apply the links that act now, in order, and hold what is cut at zero.

        Args:
            now: the step that the optimizer has just taken.
        """
        epochs_done, is_epoch_end = now.epochs_done, now.is_epoch_end
        with torch.no_grad():
            for from_epoch, until_epoch, is_for_epoch_ends, update, pruning in self._places:
                if from_epoch <= epochs_done < until_epoch and (is_epoch_end or not is_for_epoch_ends):
                    update(now)
                if pruning is not None:
                    pruning.hold()
            if self._is_refilled and self._kept:
                torch._foreach_mul_(self._weights, self._kept)

    def hold_in(self, copies: Mapping[Tensor, Tensor]) -> None:
        """Zero what is cut in copies of the weights, such as their average.

        Args:
            copies: a tensor for each parameter of the model, or none at all.
        """
        if self._kept and copies:
            torch._foreach_mul_([copies[weight] for weight in self._weights], self._kept)

    def state(self) -> dict[str, Tensor]:
        """What lives on beside the weights: the masks chosen so far, by link and parameter (``1.0.weight``)."""
        return {
            name: mask
            for number, pruning in self._prunings.items()
            if pruning.masks
            for name, mask in zip(self._mask_names(number), pruning.masks, strict=True)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a :meth:`state` of the same chain.

        Raises:
            KeyError: some masks of a cut are there and others are not.
        """
        for number, pruning in self._prunings.items():
            names = self._mask_names(number)
            is_chosen = any(name in state for name in names)
            weights = zip(names, pruning.weights, strict=True) if is_chosen else ()
            pruning.masks = [state[name].to(weight) for name, weight in weights]
        is_any_chosen = any(pruning.masks for pruning in self._prunings.values())
        self._kept = self._left_by(self._prunings.values()) if is_any_chosen else []

    def _place(
        self, number: int, link: AnyWeightLink, tensors: list[Tensor], seed_for_step: Callable[[int], int]
    ) -> _Place:
        pruning = Pruning(link, tensors, seed_for_step) if isinstance(link, WeightCut) else None
        if not (pruning.weights if pruning else tensors):
            raise ValueError(f"weights.{number}.{link.name}: the model has no tensor that it could act on")
        update: Update
        if pruning is not None:
            self._prunings[number] = pruning
            update = partial(self._cut, pruning)
        else:
            update = implementation(link.implementation)(link, tensors, seed_for_step)
        is_gradual = isinstance(link, WeightCut) and link.gradual
        every = link.every or ("epoch" if is_gradual else "step")
        until_epoch = math.inf if link.until_epoch is None else link.until_epoch
        return _Place(link.from_epoch, until_epoch, every == "epoch", update, pruning)

    def _mask_names(self, number: int) -> list[str]:
        return [f"{number}.{name}" for name in self._names[: len(self._prunings[number].weights)]]

    def _cut(self, pruning: Pruning, now: StepPosition) -> None:
        if pruning.is_open:
            left = self._left_by(other for other in self._prunings.values() if other is not pruning)
            pruning.choose(now, left[: len(pruning.weights)])
            self._kept = self._left_by(self._prunings.values())

    def _left_by(self, prunings: Iterable[Pruning]) -> list[Tensor]:
        """For each weight, the product of its masks; some cuts spare the last weight and have none for it."""
        left = [torch.ones_like(weight) for weight in self._weights]
        for pruning in prunings:
            for product, mask in zip(left, pruning.masks, strict=False):
                product.mul_(mask)
        return left
