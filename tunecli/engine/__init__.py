"""Engines run trials: jobs go in, events come out. This module makes an engine by its name in the file.

Its functions import modules when they run, because `head_start` imports this package before all other modules.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunecli.config.study import StudySpec
    from tunecli.engine.protocol import Engine, EngineOptions
    from tunecli.messages import Job

__all__ = ["engine_named", "n_cores", "name_for_one", "needs_torch"]


def n_cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def engine_named(name: str, options: EngineOptions) -> Engine:
    """Make the engine ``name``, and remove what killed trials left in the system's temporary folder.

    Args:
        name: the value of ``run.engine`` in the file.
        options: the settings to make it from.

    Raises:
        UsageError: there is no such engine, or its package is not installed.
    """
    from tunecli.registry.engines import LOCAL, engine_info
    from tunecli.registry.implementations import implementation, require_package
    from tunecli.train.user_code.trial_files import remove_stale

    remove_stale()
    info = engine_info(name)
    require_package(f"the engine `{name}`", info.package, info.extra, f"the engine {LOCAL}")
    if info.runs_elsewhere:
        from tunecli.engine.fork_client import give_up_guess

        give_up_guess()  # the guess was that workers run here
    engine: Engine = implementation(info.implementation)(options)
    return engine


def name_for_one(job: Job, engine: str, *, has_own_process: bool = False) -> str:
    """The name of the engine that runs a single trial here: ``engine`` for the user's own code, else ``inline``.

    The user's code can leave traces in its process or end it, so it gets the process that it had in the search. An
    engine that runs trials on other machines is replaced by `LOCAL`.

    Args:
        job: the trial.
        engine: the engine that the file names.
        has_own_process: whether the trial needs a process of its own, even if it runs no code of the user.
    """
    from tunecli.registry.engines import INLINE, LOCAL, engine_info
    from tunecli.train.trials import uses_user_code

    if not has_own_process and not uses_user_code(job):
        return INLINE
    return LOCAL if engine_info(engine).runs_elsewhere else engine


def needs_torch(spec: StudySpec, device: str) -> bool:
    """Whether the study's trials need torch, found without importing it.

    A command does not need torch. A function needs it if its imports may import torch, or if its device may not be the
    CPU. A wrong answer only costs time, because a worker imports torch when a trial does.

    Args:
        spec: the study.
        device: the device of its trials, as a value of ``--device``.
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
