"""Where do trials run? Jobs in, events out; the engines by their names in the file."""

from __future__ import annotations

import os

from tunecli.engine.engine import Engine
from tunecli.engine.inline import InlineEngine
from tunecli.engine.local import LocalEngine

__all__ = ["Engine", "InlineEngine", "LocalEngine", "engine_named", "n_cores"]


def n_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def engine_named(name: str, *, n_workers: int, threads: int, needs_torch: bool = True) -> Engine:
    """The engine that the file calls ``name``: ``inline`` or ``local``; ``needs_torch``: whether its trials do."""
    if name == "inline":
        return InlineEngine()
    return LocalEngine(n_workers, threads, needs_torch)
