"""Mixup: each example of a batch mixed with another one (Zhang et al. 2018).

The mixing of a whole epoch at once, batch by batch. Random numbers are drawn on the CPU, so that an epoch is the
same on every device (law 3). Knows no loss: what is made of the two targets is the learner's.

Axes: N examples, B batches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tunecli.seeding import generator_for
from tunecli.train.determinism import cpu_generator


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
