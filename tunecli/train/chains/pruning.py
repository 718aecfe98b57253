"""The cut of weights: which weights it removes, and the masks that keep them at zero.

The choice equals that of `torch.nn.utils.prune` to the last entry: the same numbers are ranked by the same operation.
Knows no other links; the weights that other cuts left are passed in. Random choices come from a seed that contains the
step's number (seeds-by-name).

Axes: N units of a tensor. A unit is removed as a whole: an entry, a row or a column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tunecli.config.schema.weights import SPARE_OUTPUT, CutRule, WeightCut
from tunecli.train.chains import StepPosition
from tunecli.train.torch_state import cpu_generator


class Pruning:
    """One cut in training. Its masks live from its first action to the end."""

    def __init__(
        self, link: WeightCut, weights: Sequence[Tensor], seed_for_step: Callable[[int], int]
    ) -> None:
        """Start without any weight cut.

        Args:
            link: the setting of the cut.
            weights: the model's weights of two or more dimensions, the output layer's last.
            seed_for_step: (step) → the seed of a random choice.
        """
        self._link = link
        self._seed_for_step = seed_for_step
        self.weights = [*weights[:-1]] if link.by in SPARE_OUTPUT else [*weights]
        self.masks: list[Tensor] = []
        """A mask of ones and zeros for each of ``weights``; empty until the first choice."""

    @property
    def is_open(self) -> bool:
        """Whether the cut may still remove weights: before its first action, and always if it is gradual."""
        return self._link.gradual or not self.masks

    def choose(self, now: StepPosition, left: Sequence[Tensor]) -> None:
        """Choose further units to cut.

        Args:
            now: the step just taken.
            left: a mask for each of ``weights``, zero for the entries that other cuts removed. The fraction is of the
                ones.
        """
        masks = self.masks or [torch.ones_like(weight) for weight in self.weights]
        rule, fraction = RULES[self._link.by], cut_fraction(self._link, now)
        generator = cpu_generator(self._seed_for_step(now.step))
        if rule.dim is None and self._link.per != "tensor":
            flat_N = _extended_mask(
                rule, _joined(self.weights), _joined(left), _joined(masks), fraction, generator
            )
            parts = torch.split(flat_N, [weight.numel() for weight in self.weights])
            self.masks = [part.view_as(weight) for part, weight in zip(parts, self.weights, strict=True)]
        else:
            self.masks = [
                _extended_mask(rule, *tensors, fraction, generator)
                for tensors in zip(self.weights, left, masks, strict=True)
            ]

    def hold(self) -> None:
        """Set cut weights to zero, in place."""
        if self.masks:
            torch._foreach_mul_(self.weights, self.masks)


def cut_fraction(link: WeightCut, now: StepPosition) -> float:
    """The fraction cut after a step, at least ``link.start`` if the cut is gradual.

    A gradual cut follows Zhu & Gupta 2017, equation 1, with the time t in epochs done after the step:
    f + (start - f) (1 - (t - t_0) / (t_1 - t_0))^3. It reaches ``link.fraction`` at the window's last step.
    """
    if not link.gradual:
        return link.fraction
    end_epoch = link.until_epoch or now.total_epochs
    epochs_done = (now.step + 1) / now.steps_per_epoch
    to_go = (end_epoch - epochs_done) / (end_epoch - link.from_epoch)
    return link.fraction + (link.start - link.fraction) * min(1.0, max(0.0, to_go)) ** 3


class Rule(NamedTuple):
    """A rule that chooses units.

    Attributes:
        dim: the dimension whose slices are the units; None: each entry is a unit.
        lowest: (magnitudes or norms of N units, number to cut, generator) → the chosen units, as booleans (N,).
    """

    dim: int | None
    lowest: Callable[[Tensor, int, torch.Generator], Tensor]


def _extended_mask(
    rule: Rule, weight: Tensor, left: Tensor, mask: Tensor, fraction: float, generator: torch.Generator
) -> Tensor:
    """A tensor's mask, extended until it cuts ``fraction`` of the units that other cuts left."""
    kept = left * mask
    if rule.dim is None:
        shape, size_N = weight.shape, weight.flatten().abs()
        is_left_N, is_kept_N = left.flatten() != 0, kept.flatten() != 0
    else:
        others = [dim for dim in range(weight.dim()) if dim != rule.dim]
        size = torch.linalg.vector_norm(weight * kept, dim=others, keepdim=True)
        shape, size_N = size.shape, size.flatten()
        is_left_N, is_kept_N = (entries.sum(others) != 0 for entries in (left, kept))
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
    """As `torch.nn.utils.prune.L1Unstructured`."""
    return _chosen(torch.topk(size_N, n_cut, largest=False).indices, len(size_N))


def _random_entries(size_N: Tensor, n_cut: int, generator: torch.Generator) -> Tensor:
    """As `torch.nn.utils.prune.RandomUnstructured`; drawn on the CPU, so that every device cuts the same units."""
    draw_N = torch.rand(len(size_N), generator=generator)
    return _chosen(torch.topk(draw_N, n_cut).indices, len(size_N)).to(size_N.device)


def _smallest_slices(size_N: Tensor, n_cut: int, generator: torch.Generator) -> Tensor:
    """As `torch.nn.utils.prune.LnStructured` with n = 2."""
    return ~_chosen(torch.topk(size_N, len(size_N) - n_cut).indices, len(size_N))


def _random_slices(size_N: Tensor, n_cut: int, generator: torch.Generator) -> Tensor:
    """As `torch.nn.utils.prune.RandomStructured`; drawn on the CPU, so that every device cuts the same units."""
    draw_N = torch.rand(len(size_N), generator=generator)
    return (draw_N <= torch.kthvalue(draw_N, n_cut).values).to(size_N.device)


RULES: dict[CutRule, Rule] = {
    "magnitude": Rule(None, _smallest_entries),
    "random": Rule(None, _random_entries),
    "rows": Rule(0, _smallest_slices),
    "columns": Rule(1, _smallest_slices),
    "random_rows": Rule(0, _random_slices),
}
"""The rules by the setting ``by``."""
