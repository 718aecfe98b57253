"""Which weights a cut takes, and the masks that hold them at zero.

Owns the choice, which is `torch.nn.utils.prune`'s to the last entry: the same numbers are ranked by the same operation
among what is left. Knows neither the other links nor other cuts; what those have left is handed in. A cut's
randomness comes from a seed that carries the step's number (law 3).

Axes: N units of a tensor. A unit is what is cut as one: an entry, a row or a column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tunecli.config.schema.weights import SPARE_OUTPUT, CutRule, WeightCut
from tunecli.train.chains.step_position import StepPosition
from tunecli.train.determinism import cpu_generator


class Pruning:
    """One cut in training: its masks live from the first time that it acts to the end."""

    def __init__(
        self, link: WeightCut, weights: Sequence[Tensor], seed_for_step: Callable[[int], int]
    ) -> None:
        """Nothing is cut yet.

        Args:
            link: what to cut.
            weights: the model's, each of two dimensions or more, the output layer's last.
            seed_for_step: names the numbers that a random cut at a step draws.
        """
        self._link = link
        self._seed_for_step = seed_for_step
        self.weights = [*weights[:-1]] if link.by in SPARE_OUTPUT else [*weights]
        self.masks: list[Tensor] = []
        """Of ones and zeros, as each of ``weights``; none until chosen."""

    @property
    def is_open(self) -> bool:
        """Whether acting now would cut anything more: the first time, and again where the cut is gradual."""
        return self._link.gradual or not self.masks

    def choose(self, now: StepPosition, left: Sequence[Tensor]) -> None:
        """Choose what to cut, beside what this cut holds already.

        Args:
            now: the step just taken.
            left: a mask for each of ``weights``, zero where any other cut holds. The fraction is of the ones.
        """
        masks = self.masks or [torch.ones_like(weight) for weight in self.weights]
        rule, fraction = RULES[self._link.by], cut_fraction(self._link, now)
        generator = cpu_generator(self._seed_for_step(now.step))
        if rule.dim is None and self._link.per != "tensor":
            flat_N = _grown(rule, _joined(self.weights), _joined(left), _joined(masks), fraction, generator)
            parts = torch.split(flat_N, [weight.numel() for weight in self.weights])
            self.masks = [part.view_as(weight) for part, weight in zip(parts, self.weights, strict=True)]
        else:
            self.masks = [
                _grown(rule, *each, fraction, generator)
                for each in zip(self.weights, left, masks, strict=True)
            ]

    def hold(self) -> None:
        """Set what is cut to zero, in place."""
        if self.masks:
            torch._foreach_mul_(self.weights, self.masks)


def cut_fraction(link: WeightCut, now: StepPosition) -> float:
    """The fraction that is cut once a step is taken, at least ``link.start`` where the cut is gradual.

    Zhu & Gupta 2017, "To prune, or not to prune", equation 1, in the epochs done after the step:
    f + (start - f) (1 - (t - t_0) / (t_1 - t_0))^3. So it is ``link.fraction`` at the window's last step.
    """
    if not link.gradual:
        return link.fraction
    end_epoch = link.until_epoch or now.total_epochs
    epochs_done = (now.step + 1) / now.steps_per_epoch
    to_go = (end_epoch - epochs_done) / (end_epoch - link.from_epoch)
    return link.fraction + (link.start - link.fraction) * min(1.0, max(0.0, to_go)) ** 3


class Rule(NamedTuple):
    """How units are told apart.

    Attributes:
        dim: the dimension whose slices are the units; None where each entry is one.
        lowest: (magnitudes or norms of N units, how many to cut, generator) → which of them, as booleans.
    """

    dim: int | None
    lowest: Callable[[Tensor, int, torch.Generator], Tensor]


def _grown(
    rule: Rule, weight: Tensor, left: Tensor, mask: Tensor, fraction: float, generator: torch.Generator
) -> Tensor:
    """A tensor's mask, grown until it cuts ``fraction`` of the units that others have left."""
    kept = left * mask
    if rule.dim is None:
        shape, size_N = weight.shape, weight.flatten().abs()
        is_left_N, is_kept_N = left.flatten() != 0, kept.flatten() != 0
    else:
        others = [dim for dim in range(weight.dim()) if dim != rule.dim]
        size = torch.linalg.vector_norm(weight * kept, dim=others, keepdim=True)
        shape, size_N = size.shape, size.flatten()
        is_left_N, is_kept_N = (each.sum(others) != 0 for each in (left, kept))
    n_left, n_kept = int(is_left_N.sum()), int(is_kept_N.sum())
    n_more = round(fraction * n_left) - (n_left - n_kept)
    if n_more <= 0:
        return mask
    is_cut_N = torch.zeros_like(is_kept_N)
    is_cut_N[is_kept_N] = rule.lowest(size_N[is_kept_N], n_more, generator)
    return mask.masked_fill(is_cut_N.view(shape), 0.0)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def _chosen(indices: Tensor, n_units: int) -> Tensor:
    return torch.zeros(n_units, dtype=torch.bool, device=indices.device).index_fill_(0, indices, True)


def _smallest_entries(size_N: Tensor, n_cut: int, generator: torch.Generator) -> Tensor:
    """`torch.nn.utils.prune.L1Unstructured`."""
    return _chosen(torch.topk(size_N, n_cut, largest=False).indices, len(size_N))


def _random_entries(size_N: Tensor, n_cut: int, generator: torch.Generator) -> Tensor:
    """`torch.nn.utils.prune.RandomUnstructured`; drawn on the CPU, so that every device cuts the same."""
    draw_N = torch.rand(len(size_N), generator=generator)
    return _chosen(torch.topk(draw_N, n_cut).indices, len(size_N)).to(size_N.device)


def _smallest_slices(size_N: Tensor, n_cut: int, generator: torch.Generator) -> Tensor:
    """`torch.nn.utils.prune.LnStructured` with n = 2."""
    return ~_chosen(torch.topk(size_N, len(size_N) - n_cut).indices, len(size_N))


def _random_slices(size_N: Tensor, n_cut: int, generator: torch.Generator) -> Tensor:
    """`torch.nn.utils.prune.RandomStructured`; drawn on the CPU, so that every device cuts the same."""
    draw_N = torch.rand(len(size_N), generator=generator)
    return (draw_N <= torch.kthvalue(draw_N, n_cut).values).to(size_N.device)


RULES: dict[CutRule, Rule] = {
    "magnitude": Rule(None, _smallest_entries),
    "random": Rule(None, _random_entries),
    "rows": Rule(0, _smallest_slices),
    "columns": Rule(1, _smallest_slices),
    "random_rows": Rule(0, _random_slices),
}
"""By the knob's ``by``."""
