"""The global generators of ``random`` and NumPy, seeded for a block. Loads no torch, unlike determinism.py.

With `determinism`, the only place that seeds a global generator (seeds-by-name).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from numpy import random as numpy_random


@contextmanager
def scoped_plain_seeds(seed: int) -> Iterator[None]:
    """Seed both generators for a block, and restore them at its end.

    Args:
        seed: at least 0, from `tunecli.seeding.seed_for`; NumPy takes its lowest 32 bits.
    """
    python_state, numpy_state = random.getstate(), numpy_random.get_state()
    try:
        random.seed(seed)
        numpy_random.seed(seed % 2**32)
        yield
    finally:
        random.setstate(python_state)
        numpy_random.set_state(numpy_state)
