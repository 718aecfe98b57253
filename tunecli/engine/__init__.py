"""Where do trials run? Jobs in, events out; the engines by their names in the file, each loaded when it is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tunecli.registry.engines import INLINE, LOCAL, engine_info
from tunecli.registry.implementations import implementation, require_package

if TYPE_CHECKING:
    from tunecli.config.study import StudySpec
    from tunecli.engine.protocol import Engine
    from tunecli.knob import NamedKnob
    from tunecli.messages import Job

__all__ = ["engine_named", "n_cores", "name_for_one", "needs_torch"]


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
    settings: NamedKnob | None = None,
) -> Engine:
    """The engine that the file calls ``name``.

    Args:
        name: as in the file.
        n_workers: how many jobs run at a time, at least 1.
        threads: of each worker.
        needs_torch: whether its trials do.
        per_device: how many jobs share one accelerator at a time, at least 1.
        workers_lock: the file that every worker process holds a shared lock of as long as it lives; None: none.
        settings: what the file says of the engine beside its name.

    Raises:
        UsageError: there is no such engine, or its package is not installed.

    Folders that trials of runs that were killed have left in the temporary folder are removed.
    """
    from tunecli.train.user_code.trial_files import remove_stale

    remove_stale()
    from tunecli.engine.protocol import EngineOptions

    info = engine_info(name)
    require_package(f"the engine `{name}`", info.package, info.extra, f"the engine {LOCAL}")
    make = implementation(info.implementation)
    engine: Engine = make(EngineOptions(n_workers, threads, needs_torch, workers_lock, per_device, settings))
    return engine


def name_for_one(job: Job, engine: str) -> str:
    """The name of the engine that runs a single trial as a search would.

    Args:
        job: the trial. What the user's own code leaves behind, or takes along, is its own process's; all else can
            run in this one.
        engine: as in the file; where that runs in this process, everything does.
    """
    from tunecli.train.trials import uses_own_code

    return engine if uses_own_code(job) else INLINE


def needs_torch(spec: StudySpec, device: str) -> bool:
    """Whether to load torch before any trial runs; told without loading it.

    A command does not need it; a function does where what it imports may, or where its device is not known to be the
    CPU. A worker loads what its trials ask for in any case; so a wrong answer costs time, and changes nothing else.

    Args:
        spec: the study.
        device: where its trials run, as ``--device`` takes it.
    """
    from tunecli.config.concrete_trial import concrete_trials, trial_models
    from tunecli.config.python_source import may_import_package
    from tunecli.config.schema import CommandTrial, FunctionTrial
    from tunecli.config.user_code import uses
    from tunecli.train.machine import is_cpu

    models = trial_models(spec.space.tree)
    if models == {CommandTrial}:
        return False
    if models != {FunctionTrial} or not is_cpu(device):
        return True
    modules = [use.module for plain in concrete_trials(spec.space) for use in uses(plain, spec.objective)]
    return may_import_package(modules, spec.base_path.resolve(), "torch")
