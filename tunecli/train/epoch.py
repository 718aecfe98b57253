"""What one epoch trains on: its examples in their order, augmented, cut into the batches of each step.

A function of data knobs, a fold and seeds that carry the epoch's number (law 3). Every random number is drawn
on the CPU, so an epoch is the same on every device. Knows neither models nor losses.

Axes: N examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from tunecli.spec.knobs.augmentations import Mixup
from tunecli.spec.knobs.data import Data
from tunecli.train.data.augmentation import augment
from tunecli.train.data.loading import Fold
from tunecli.train.determinism import cpu_generator
from tunecli.train.mixing import mix


class Batch(NamedTuple):
    """Examples of one forward pass.

    Attributes:
        x, y: inputs and targets.
        share: of its step's examples, in (0, 1].
        partner_y, first_share: with mixup, the targets of the examples mixed in, and the first ones' share.
    """

    x: Tensor
    y: Tensor
    share: float
    partner_y: Tensor | None = None
    first_share: Tensor | None = None


def steps_of_epoch(
    data: Data,
    fold: Fold,
    sizes: Sequence[Sequence[int]],
    epoch: int,
    seed_for: Callable[..., int],
    memory_format: torch.memory_format = torch.contiguous_format,
    split: Callable[[int], Sequence[int]] | None = None,
) -> list[list[Batch]]:
    """The epoch's batches, by step.

    The examples are gathered once, so that every batch is a view.

    Args:
        data: the data's knobs.
        fold: the examples.
        sizes: per step, the sizes of its batches; at most N in all.
        epoch: counted from 1.
        seed_for: (names) → a seed.
        memory_format: how images are stored.
        split: (a batch's size) → the sizes of its parts; None leaves it whole. The examples, their order and what
            mixup makes of them are those of the whole batch, the parts' shares those of the whole step.
    """
    flat_sizes = list(chain.from_iterable(sizes))
    order_N = order_of_epoch(data, fold, epoch, seed_for)[: sum(flat_sizes)].to(fold.x_train.device)
    x, y_N = fold.x_train.index_select(0, order_N), fold.y_train.index_select(0, order_N)
    if data.augment:
        x = augment(data.augment, x, cpu_generator(seed_for("augment", epoch)))
    if memory_format is not torch.contiguous_format:
        x = x.contiguous(memory_format=memory_format)
    partners: Sequence[Tensor | None] = [None] * len(flat_sizes)
    first_shares: Sequence[Tensor | None] = partners
    for knob in data.augment:
        if isinstance(knob, Mixup):
            x, partner_y_N, first_share = mix(x, y_N, flat_sizes, knob.alpha, seed_for("mixup", epoch))
            partners, first_shares = torch.split(partner_y_N, flat_sizes), first_share.unbind()
    batches = zip(
        torch.split(x, flat_sizes), torch.split(y_N, flat_sizes), partners, first_shares, strict=True
    )
    steps = [
        [Batch(x, y, size / sum(step), *mixed) for size, (x, y, *mixed) in zip(step, batches, strict=False)]
        for step in sizes
    ]
    if split is None:
        return steps
    return [[part for batch in step for part in _parts(batch, split(len(batch.y)))] for step in steps]


def order_of_epoch(data: Data, fold: Fold, epoch: int, seed_for: Callable[..., int]) -> Tensor:
    """The epoch's examples in their order (N,), by their places in the training part; on the CPU.

    Args:
        data: the data's knobs.
        fold: the examples.
        epoch: counted from 1.
        seed_for: (names) → a seed.
    """
    generator = cpu_generator(seed_for("shuffle", epoch))
    if data.balance == "sample":
        return _balanced_order(fold, generator)
    return torch.randperm(len(fold.y_train), generator=generator)


def _parts(batch: Batch, sizes: Sequence[int]) -> Iterator[Batch]:
    """A batch's micro-batches, in order."""
    n = len(batch.y)
    partners: Sequence[Tensor | None] = [None] * len(sizes)
    if batch.partner_y is not None:
        partners = torch.split(batch.partner_y, [*sizes])
    parts = zip(torch.split(batch.x, [*sizes]), torch.split(batch.y, [*sizes]), partners, strict=True)
    for size, (x, y, partner_y) in zip(sizes, parts, strict=True):
        yield Batch(x, y, batch.share * size / n, partner_y, batch.first_share)


def _balanced_order(fold: Fold, generator: torch.Generator) -> Tensor:
    """Draw with replacement, so that every class is as likely as any other."""
    n = len(fold.y_train)
    weight_N = (1.0 / torch.tensor(fold.class_counts, dtype=torch.float64))[fold.y_train.cpu()]
    edges_N = weight_N.cumsum(0)
    drawn_N = torch.rand(n, dtype=torch.float64, generator=generator) * edges_N[-1]
    return torch.searchsorted(edges_N, drawn_N, right=True).clamp_max(n - 1)
