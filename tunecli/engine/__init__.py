"""Where do trials run? Jobs in, events out; the engines by their names in the file, each loaded when it is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunecli.engine.engine import Engine

__all__ = ["engine_named", "n_cores"]


def n_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def engine_named(
    name: str,
    *,
    n_workers: int,
    threads: int,
    needs_torch: bool = True,
    workers_lock: Path | None = None,
    per_device: int = 1,
) -> Engine:
    """The engine that the file calls ``name``: ``inline`` or ``local``.

    Args:
        name: as in the file.
        n_workers: how many jobs run at a time, at least 1.
        threads: of each worker.
        needs_torch: whether its trials do.
        per_device: how many jobs share one accelerator at a time, at least 1.
        workers_lock: the file that every worker process holds a shared lock of as long as it lives; None: none.
    """
    if name == "inline":
        from tunecli.engine.inline import InlineEngine

        return InlineEngine()
    from tunecli.engine.local import LocalEngine

    return LocalEngine(n_workers, threads, needs_torch, workers_lock, per_device)
