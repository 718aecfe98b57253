"""How an epoch's examples fall into batches. Loads no torch, so that a cost can be counted without it."""

from __future__ import annotations

from typing import Literal


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
