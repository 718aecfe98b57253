"""Seeds by name: all seeds of tunecli are made here (seeds-by-name).

A seed is a function of a root and a list of names, and not of a position in a stream. So no state of a random generator
has to be saved: the same names give the same seed in another process, on another day and after a crash.
"""

from __future__ import annotations

import zlib

import numpy as np

_SEED_BITS = 53  # JSON readers that use doubles keep such an integer exactly


def seed_for(root: int, *names: str | int) -> int:
    """The seed for ``names`` under ``root``, by ``numpy.random.SeedSequence`` with the names as its spawn key.

    Args:
        root: the study's seed, or a seed made by this function; at least 0.
        names: the purpose of the seed, for example ``("shuffle", epoch)``; numbers at least 0. Text enters as its
            CRC-32.

    Returns:
        An integer in [0, 2**53).
    """
    spawn_key = tuple(zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names)
    state = np.random.SeedSequence(root, spawn_key=spawn_key).generate_state(1, np.uint64)
    return int(state[0]) >> (64 - _SEED_BITS)


def seed_of_32_bits(seed: int) -> int:
    """A seed for code that takes at most 32 bits, such as scikit-learn.

    Args:
        seed: at least 0. A seed below 2**32 is returned unchanged.

    Returns:
        An integer in [0, 2**32).
    """
    return seed if seed < 2**32 else seed_for(seed, "32 bits") % 2**32


def generator_for(root: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator seeded by `seed_for`."""
    return np.random.default_rng(seed_for(root, *names))
