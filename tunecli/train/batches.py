"""How an epoch's examples fall into batches, and batches into steps. Loads no torch, so that a cost can be counted."""

from __future__ import annotations

from typing import Literal

from tunecli.config.schema import TrialConfig
from tunecli.config.schema.optimizers import Gd
from tunecli.train.sizes import has_batch_norm


def batch_sizes(n_examples: int, batch_size: int | Literal["full"], *, fold_single: bool) -> list[int]:
    """The sizes of an epoch's batches; the last one may be smaller, and none is dropped.

    Args:
        n_examples: at least 1.
        batch_size: at least 1, or ``full`` for one batch of everything.
        fold_single: put a last batch of one example into the batch before it. Batch norm needs this: one
            example has no variance.

    Returns:
        At least one size, summing to ``n_examples``.
    """
    if batch_size == "full" or batch_size >= n_examples:
        return [n_examples]
    n_full, rest = divmod(n_examples, batch_size)
    sizes = [batch_size] * n_full + ([rest] if rest else [])
    if fold_single and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


def steps_of(config: TrialConfig, n_examples: int, has_own_norm: bool = False) -> list[list[int]]:
    """An epoch's optimizer steps: each the sizes of the batches whose gradient it takes.

    Args:
        config: the trial; ``gd`` takes one step an epoch, the others one every ``training.accumulate`` batches.
        n_examples: that train, at least 1.
        has_own_norm: whether a model of the user's own, of which the knob tells nothing, has batch norm.
    """
    training = config.training
    fold_single = takes_batch_statistics(config, has_own_norm)
    sizes = batch_sizes(n_examples, training.batch_size, fold_single=fold_single)
    n = len(sizes) if isinstance(config.optimizer, Gd) else training.accumulate
    return [sizes[first : first + n] for first in range(0, len(sizes), n)]


def takes_batch_statistics(config: TrialConfig, has_own_norm: bool) -> bool:
    """Whether the model cannot train on one example alone; ``has_own_norm`` as in :func:`steps_of`."""
    return has_own_norm or has_batch_norm(config.model)


def parts_of(size: int, n_parts: int, *, fold_single: bool) -> list[int]:
    """The sizes of the micro-batches that a batch is split into: as equal as can be, the larger ones first.

    Args:
        size: of the batch, at least 1.
        n_parts: how many are asked for, at least 1; there are fewer where they would be empty.
        fold_single: leave no part of one example, unless the batch is one.

    Returns:
        At least one size, summing to ``size``.
    """
    n = max(1, min(n_parts, size // 2 if fold_single else size))
    share, rest = divmod(size, n)
    return [share + 1] * rest + [share] * (n - rest)
