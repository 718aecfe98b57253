"""The collector of garbage, while a process loads what others are forked from it with."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def out_of_sight() -> Iterator[None]:
    """A block that loads modules.

    The collector finds no garbage in them, and takes a sixth of the time. What was loaded is then kept out of its
    sight, so that no worker looks through it, which would also give each a copy of its own.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
