"""What one epoch trains on: its examples in their order, augmented, cut into the batches of each step.

A function of data knobs, a fold and seeds that carry the epoch's number (law 3). Every random number is drawn
on the CPU, so an epoch is the same on every device. Knows neither models nor losses.

Axes: N examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from tunecli.config.schema.augmentations import Mixup
from tunecli.config.schema.data import Data
from tunecli.seeding import generator_for
from tunecli.train.data.augmentation import augment
from tunecli.train.data.loading import Fold
from tunecli.train.determinism import cpu_generator


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


class Step(Protocol):
    """The batches whose gradient an optimizer step takes."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


class Cut(NamedTuple):
    """A forward pass's place in its epoch.

    Attributes:
        first, last: its examples, the last one exclusive.
        share: of its step's examples, in (0, 1].
        batch: the number of the batch that it is, or is a part of.
    """

    first: int
    last: int
    share: float
    batch: int


@dataclass(frozen=True, eq=False)
class Drawn:
    """What an epoch trains on.

    Attributes:
        x, y: inputs and targets: the epoch's own (N, ...), or those of the fold where ``order`` is given.
        order: the places (N,) of the epoch's examples in them.
        partner_y: with mixup, the targets of the examples mixed in.
        first_shares: with mixup, the first ones' share in each batch.
    """

    x: Tensor
    y: Tensor
    order: Tensor | None = None
    partner_y: Tensor | None = None
    first_shares: Tensor | None = None

    @property
    def sources(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """The inputs, the targets and the partners' targets."""
        return self.x, self.y, self.partner_y

    def gathered(
        self, first: int, last: int, into: Sequence[Tensor | None] = (None, None, None)
    ) -> list[Tensor | None]:
        """The epoch's examples from ``first`` to ``last``, exclusive: as `sources`, and put ``into`` these if given."""
        found: list[Tensor | None] = []
        for source, room in zip(self.sources, into, strict=True):
            if source is None:
                found.append(None)
            elif self.order is not None:
                found.append(torch.index_select(source, 0, self.order[first:last], out=room))
            else:
                found.append(source[first:last] if room is None else room.copy_(source[first:last]))
        return found


def drawn_of(
    data: Data,
    fold: Fold,
    sizes: Sequence[Sequence[int]],
    epoch: int,
    seed_for: Callable[..., int],
) -> Drawn:
    """What an epoch trains on, where the fold's examples lie.

    Args:
        data: the data's knobs.
        fold: the examples.
        sizes: per step, the sizes of its batches; at most N in all.
        epoch: counted from 1.
        seed_for: (names) → a seed.
    """
    flat_sizes = list(chain.from_iterable(sizes))
    order_N = order_of_epoch(data, fold, epoch, seed_for)[: sum(flat_sizes)].to(fold.x_train.device)
    if not data.augment:
        return Drawn(fold.x_train, fold.y_train, order_N)
    x, y_N = fold.x_train.index_select(0, order_N), fold.y_train.index_select(0, order_N)
    x = augment(data.augment, x, cpu_generator(seed_for("augment", epoch)))
    partner_y_N: Tensor | None = None
    first_shares: Tensor | None = None
    for knob in data.augment:
        if isinstance(knob, Mixup):
            x, partner_y_N, first_shares = mix(x, y_N, flat_sizes, knob.alpha, seed_for("mixup", epoch))
    return Drawn(x, y_N, None, partner_y_N, first_shares)


def cuts_of(
    sizes: Sequence[Sequence[int]], split: Callable[[int], Sequence[int]] | None
) -> Iterator[list[Cut]]:
    """Each step's forward passes; ``split`` as in :func:`steps_of_epoch`."""
    first, batch = 0, 0
    for step in sizes:
        cuts = []
        for size in step:
            share = size / sum(step)
            for part in [size] if split is None else split(size):
                own = share if split is None else share * part / size
                cuts.append(Cut(first, first + part, own, batch))
                first += part
            batch += 1
        yield cuts


def steps_of_epoch(
    data: Data,
    fold: Fold,
    sizes: Sequence[Sequence[int]],
    epoch: int,
    seed_for: Callable[..., int],
    memory_format: torch.memory_format = torch.contiguous_format,
    split: Callable[[int], Sequence[int]] | None = None,
) -> list[list[Batch]]:
    """The epoch's batches, by step, where the fold's examples lie.

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
    drawn = drawn_of(data, fold, sizes, epoch, seed_for)
    x, y_N, partner_y_N = drawn.gathered(0, sum(map(sum, sizes)))
    assert x is not None
    assert y_N is not None
    if memory_format is not torch.contiguous_format:
        x = x.contiguous(memory_format=memory_format)
    steps = [*cuts_of(sizes, split)]
    lengths = [cut.last - cut.first for cuts in steps for cut in cuts]
    partners: Sequence[Tensor | None] = [None] * len(lengths)
    if partner_y_N is not None:
        partners = torch.split(partner_y_N, lengths)
    first_shares = None if drawn.first_shares is None else drawn.first_shares.unbind()
    pieces = zip(torch.split(x, lengths), torch.split(y_N, lengths), partners, strict=True)
    return [
        [
            Batch(*piece[:2], cut.share, piece[2], None if first_shares is None else first_shares[cut.batch])
            for cut, piece in zip(cuts, pieces, strict=False)
        ]
        for cuts in steps
    ]


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


def _balanced_order(fold: Fold, generator: torch.Generator) -> Tensor:
    """Draw with replacement, so that every class is as likely as any other."""
    n = len(fold.y_train)
    weight_N = (1.0 / torch.tensor(fold.class_counts, dtype=torch.float64))[fold.y_train.cpu()]
    edges_N = weight_N.cumsum(0)
    drawn_N = torch.rand(n, dtype=torch.float64, generator=generator) * edges_N[-1]
    return torch.searchsorted(edges_N, drawn_N, right=True).clamp_max(n - 1)


def mix(
    x: Tensor, y_N: Tensor, sizes: Sequence[int], alpha: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Mix an epoch's examples.

    Args:
        x: (N, ...) floating point, in the epoch's order.
        y_N: targets.
        sizes: of the batches, in order; they sum to N.
        alpha: above 0; the share is near 0 or 1 where it is small, near a half where it is large.
        seed: names the numbers drawn.

    Returns:
        The mixed inputs, share · x + (1 - share) · partner's x; the partners' targets (N,); the shares (B,), one
        ~ Beta(alpha, alpha) a batch, as in the authors' code.
    """
    drawn_B = generator_for(seed, "share").beta(alpha, alpha, len(sizes))
    share_B = torch.from_numpy(drawn_B).to(x.dtype).to(x.device)
    generator = cpu_generator(seed)
    first, partners = 0, []
    for size in sizes:
        partners.append(first + torch.randperm(size, generator=generator))
        first += size
    partner_N = torch.cat(partners).to(x.device)
    share_N = share_B.repeat_interleave(torch.tensor(sizes, device=x.device))
    share = share_N.view(-1, *[1] * (x.dim() - 1))
    return share * x + (1.0 - share) * x.index_select(0, partner_N), y_N.index_select(0, partner_N), share_B
