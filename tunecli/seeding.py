"""Seeds by name: the only place a seed is made (law 3).

A seed is a function of a root and a list of names, never of a position in a stream, so nothing about
random numbers has to be saved: the same names give the same seed in another process, on another day and
after a crash. Knows neither torch nor what the names mean.
"""

from __future__ import annotations

import zlib

import numpy as np

_SEED_BITS = 53  # a seed survives JSON readers that keep numbers as doubles


def seed_for(root: int, *names: str | int) -> int:
    """The seed that belongs to ``names`` under ``root``.

    ``numpy.random.SeedSequence`` with the names as its spawn key; text enters as its CRC-32.

    Args:
        root: the study's seed, or a seed made by this function; at least 0.
        names: what the seed is for, for example ``("shuffle", epoch)``; numbers at least 0.

    Returns:
        An integer in [0, 2**53).
    """
    spawn_key = tuple(zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names)
    state = np.random.SeedSequence(root, spawn_key=spawn_key).generate_state(1, np.uint64)
    return int(state[0]) >> (64 - _SEED_BITS)


def seed_of_32_bits(seed: int) -> int:
    """A seed for code that takes no more, as NumPy's and scikit-learn's does: itself where it fits, or one named by it.

    Args:
        seed: at least 0.

    Returns:
        An integer in [0, 2**32).
    """
    return seed if seed < 2**32 else seed_for(seed, "32 bits") % 2**32


def generator_for(root: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator seeded by :func:`seed_for`."""
    return np.random.default_rng(seed_for(root, *names))
