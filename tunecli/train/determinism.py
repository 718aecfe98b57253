"""Torch's global generators, seeded for the length of a block and put back after it.

The only place that seeds a global generator (law 3). Dropout and torch's own initialisation draw from them
and take no generator of ours, which is why this is needed at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def scoped_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the CPU's generator and the device's; both are as before when the block ends.

    Args:
        seed: at least 0, from `tunecli.seeding.seed_for`.
        device: where the block computes.
    """
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
        return
    with torch.random.fork_rng(devices=[device.index or 0], device_type=device.type):
        torch.manual_seed(seed)
        yield


@contextmanager
def reproducible_kernels() -> Iterator[None]:
    """Let cuDNN choose only algorithms that give the same bits every time; nothing changes on a CPU."""
    with torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled,
        benchmark=False,
        deterministic=True,
        allow_tf32=torch.backends.cudnn.allow_tf32,
    ):
        yield


def cpu_generator(seed: int) -> torch.Generator:
    """A generator of its own on the CPU, so that what it draws is the same on every device."""
    return torch.Generator().manual_seed(seed)
