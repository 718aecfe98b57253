"""The batches of one epoch: its examples in random order, augmented, and split into the batches of each step.

A function of the data settings, a fold and seeds that contain the epoch's number (seeds-by-name). Every random number
is drawn on the CPU, so an epoch is the same on every device. Knows neither models nor losses.

Axes: N examples of an epoch, B batches of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from tunecli.train.torch_state import cpu_generator


class Batch(NamedTuple):
    """The examples of one forward pass.

    Attributes:
        x, y: inputs and targets.
        share: its share of its step's examples, or of their weight, in [0, 1].
        partner_y: with mixup, the targets of the examples that were mixed in.
        mix_share: with mixup, the weight of ``y`` against ``partner_y``, in [0, 1].
        weight: the weights of the examples, float32; None: all count the same.
        partner_weight: with mixup, the weights of the examples that were mixed in.
    """

    x: Tensor
    y: Tensor
    share: float
    partner_y: Tensor | None = None
    mix_share: Tensor | None = None
    weight: Tensor | None = None
    partner_weight: Tensor | None = None


class Step(Protocol):
    """The batches of one optimizer step."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


class BatchSlice(NamedTuple):
    """The examples of one forward pass, as a slice of its epoch.

    Attributes:
        first, last: the slice, ``last`` exclusive.
        share: its share of its step's examples, or of their weight, in [0, 1].
        batch: the number of its batch in the epoch, from 0; micro-batches share one.
    """

    first: int
    last: int
    share: float
    batch: int


@dataclass(frozen=True, eq=False)
class EpochExamples:
    """The examples of one epoch.

    Attributes:
        x, y: inputs and targets: the epoch's own (N, ...) in order, or those of the fold if ``order`` is given.
        order: the indices (N,) of the epoch's examples in ``x`` and ``y``.
        partner_y: with mixup, the targets of the examples that were mixed in.
        mix_shares: with mixup, the weight of ``y`` in each batch (B,).
        weights: the weights (N,) of the epoch's examples in order, float64 on the CPU; None: all count the same.
        partner_weights: with mixup, the weights (N,) of the examples that were mixed in.
    """

    x: Tensor
    y: Tensor
    order: Tensor | None = None
    partner_y: Tensor | None = None
    mix_shares: Tensor | None = None
    weights: Tensor | None = None
    partner_weights: Tensor | None = None

    def weigh(self, steps: Iterable[list[BatchSlice]]) -> Iterator[list[BatchSlice]]:
        """The slices of each step, with their shares of the step's weight."""
        for slices in steps:
            if self.weights is None:
                yield slices
                continue
            weights = [self._weight_of(one) for one in slices]
            total = sum(weights) or 1.0
            yield [one._replace(share=weight / total) for one, weight in zip(slices, weights, strict=True)]

    def _weight_of(self, one: BatchSlice) -> float:
        assert self.weights is not None
        weight = float(self.weights[one.first : one.last].sum())
        if self.partner_weights is None or self.mix_shares is None:
            return weight
        share = float(self.mix_shares[one.batch])
        return share * weight + (1.0 - share) * float(self.partner_weights[one.first : one.last].sum())

    def weights_of(self, one: BatchSlice, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
        """The weights of a slice's examples and of their partners, float32 on a device."""
        weight, partner_weight = (
            None if weights_N is None else weights_N[one.first : one.last].float().to(device)
            for weights_N in (self.weights, self.partner_weights)
        )
        return weight, partner_weight

    @property
    def sources(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs, targets and the partners' targets."""
        return self.x, self.y, self.partner_y

    def gather(
        self, first: int, last: int, into: Sequence[Tensor | None] = (None, None, None)
    ) -> list[Tensor | None]:
        """The epoch's examples from ``first`` to ``last``, exclusive, in the order of `sources`.

        Args:
            first, last: the slice.
            into: tensors to write to, if given.
        """
        parts: list[Tensor | None] = []
        for source, target in zip(self.sources, into, strict=True):
            if source is None:
                parts.append(None)
            elif self.order is not None:
                parts.append(torch.index_select(source, 0, self.order[first:last], out=target))
            else:
                parts.append(source[first:last] if target is None else target.copy_(source[first:last]))
        return parts


def epoch_examples(
    data: Data,
    fold: Fold,
    sizes: Sequence[Sequence[int]],
    epoch: int,
    seed_for: Callable[..., int],
) -> EpochExamples:
    """Draw the examples of an epoch, on the device that holds the fold's examples.

    Args:
        data: the data settings.
        fold: the examples.
        sizes: the sizes of the batches of each step; at most N in total.
        epoch: counted from 1.
        seed_for: (names) → a seed.
    """
    flat_sizes = list(chain.from_iterable(sizes))
    order_N = epoch_order(data, fold, epoch, seed_for)[: sum(flat_sizes)]
    weight_N = None if fold.w_train is None else fold.w_train[order_N]
    order_N = order_N.to(fold.x_train.device)
    if not data.augment:
        return EpochExamples(fold.x_train, fold.y_train, order_N, weights=weight_N)
    x, y_N = fold.x_train.index_select(0, order_N), fold.y_train.index_select(0, order_N)
    n_numbers = fold.inputs.n_numbers if fold.inputs.kind == "features" else None
    x = augment(data.augment, x, cpu_generator(seed_for("augment", epoch)), fold.x_train, n_numbers)
    partner_y_N: Tensor | None = None
    mix_shares: Tensor | None = None
    partner_weight_N: Tensor | None = None
    for knob in data.augment:
        if isinstance(knob, Mixup):
            seed = seed_for("mixup", epoch)
            x, partner_y_N, mix_shares = mix(x, y_N, flat_sizes, knob.alpha, seed)
            if weight_N is not None:
                partner_weight_N = weight_N[partners_of(flat_sizes, seed)]
    return EpochExamples(x, y_N, None, partner_y_N, mix_shares, weight_N, partner_weight_N)


def batch_slices(
    sizes: Sequence[Sequence[int]], split: Callable[[int], Sequence[int]] | None
) -> Iterator[list[BatchSlice]]:
    """The slices of each step's forward passes; ``split`` as in :func:`epoch_steps`."""
    first, batch = 0, 0
    for step in sizes:
        slices = []
        for size in step:
            share = size / sum(step)
            for part in [size] if split is None else split(size):
                own = share if split is None else share * part / size
                slices.append(BatchSlice(first, first + part, own, batch))
                first += part
            batch += 1
        yield slices


def epoch_steps(
    data: Data,
    fold: Fold,
    sizes: Sequence[Sequence[int]],
    epoch: int,
    seed_for: Callable[..., int],
    memory_format: torch.memory_format = torch.contiguous_format,
    split: Callable[[int], Sequence[int]] | None = None,
) -> list[list[Batch]]:
    """The batches of each step of an epoch, on the device that holds the fold's examples.

    The examples are gathered once; every batch is a view of them.

    Args: data: the data settings. fold: the examples. sizes: the sizes of the batches of each step; at most N in total.
        epoch: counted from 1. seed_for: (names) → a seed. memory_format: the memory layout of images. split: (size of a
        batch) → the sizes of its micro-batches; None: batches stay whole. Order and mixup are those of the whole batch,
        and the shares are those of the whole step.
    """
    examples = epoch_examples(data, fold, sizes, epoch, seed_for)
    x, y_N, partner_y_N = examples.gather(0, sum(map(sum, sizes)))
    assert x is not None
    assert y_N is not None
    if memory_format is not torch.contiguous_format:
        x = x.contiguous(memory_format=memory_format)
    steps = [*examples.weigh(batch_slices(sizes, split))]
    lengths = [one.last - one.first for slices in steps for one in slices]
    partners: Sequence[Tensor | None] = [None] * len(lengths)
    if partner_y_N is not None:
        partners = torch.split(partner_y_N, lengths)
    mix_shares = None if examples.mix_shares is None else examples.mix_shares.unbind()
    pieces = zip(torch.split(x, lengths), torch.split(y_N, lengths), partners, strict=True)
    return [
        [
            Batch(
                *piece[:2],
                one.share,
                piece[2],
                None if mix_shares is None else mix_shares[one.batch],
                *examples.weights_of(one, x.device),
            )
            for one, piece in zip(slices, pieces, strict=False)
        ]
        for slices in steps
    ]


def epoch_order(data: Data, fold: Fold, epoch: int, seed_for: Callable[..., int]) -> Tensor:
    """The random order of an epoch: indices (N,) into the training part, on the CPU.

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
    """Draw with replacement, so that all classes are equally likely."""
    n = len(fold.y_train)
    weight_N = (1.0 / torch.tensor(fold.class_counts, dtype=torch.float64))[fold.y_train.cpu()]
    edges_N = weight_N.cumsum(0)
    drawn_N = torch.rand(n, dtype=torch.float64, generator=generator) * edges_N[-1]
    return torch.searchsorted(edges_N, drawn_N, right=True).clamp_max(n - 1)


def mix(
    x: Tensor, y_N: Tensor, sizes: Sequence[int], alpha: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Mixup: mix each example of a batch with another one of it (Zhang et al. 2018, equation 1).

    Random numbers are drawn on the CPU, so that an epoch is the same on every device (seeds-by-name).

    Args:
        x: (N, ...) floating point, in the epoch's order.
        y_N: targets.
        sizes: the sizes of the batches, in order; their sum is N.
        alpha: above 0. The share is near 0 or 1 if it is small, near 0.5 if it is large.
        seed: seed of the draws.

    Returns:
        The mixed inputs, share · x + (1 - share) · partner's x; the partners' targets (N,); and the shares (B,), one
        ~ Beta(alpha, alpha) a batch, as in the authors' code.
    """
    drawn_B = generator_for(seed, "share").beta(alpha, alpha, len(sizes))
    share_B = torch.from_numpy(drawn_B).to(x.dtype).to(x.device)
    partner_N = partners_of(sizes, seed).to(x.device)
    share_N = share_B.repeat_interleave(torch.tensor(sizes, device=x.device))
    share = share_N.view(-1, *[1] * (x.dim() - 1))
    return share * x + (1.0 - share) * x.index_select(0, partner_N), y_N.index_select(0, partner_N), share_B


def partners_of(sizes: Sequence[int], seed: int) -> Tensor:
    """The example (N,) that mixup mixes into each one: a random order of each batch; arguments as for `mix`."""
    generator = cpu_generator(seed)
    first, partners = 0, []
    for size in sizes:
        partners.append(first + torch.randperm(size, generator=generator))
        first += size
    return torch.cat(partners)


def step_weights(fold: Fold, order_N: Tensor, sizes: Sequence[Sequence[int]]) -> list[float]:
    """The weight of the examples of each step of an epoch; without weights, their number.

    Args:
        fold: the examples.
        order_N: the epoch's order, from `epoch_order`.
        sizes: the sizes of the batches of each step.
    """
    lengths = [sum(step) for step in sizes]
    if fold.w_train is None:
        return [float(n) for n in lengths]
    return [float(part.sum()) for part in torch.split(fold.w_train[order_N[: sum(lengths)]], lengths)]
