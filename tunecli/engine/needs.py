"""Whether a study's trials need torch, told without loading it.

A worker loads what its trials ask for in any case; so a wrong answer costs time, and changes nothing else.
"""

from __future__ import annotations

from tunecli.config.code import uses
from tunecli.config.imports import may_bring
from tunecli.config.load import concrete_trials, trial_models
from tunecli.config.schema import CommandTrial, FunctionTrial
from tunecli.config.study import StudySpec
from tunecli.train.driver_detection import is_cpu


def needs_torch(spec: StudySpec, device: str) -> bool:
    """Whether to load torch before any trial runs.

    A command does not need it; a function does where what it imports may, or where its device is not known to be the
    CPU.

    Args:
        spec: the study.
        device: where its trials run, as ``--device`` takes it.
    """
    models = trial_models(spec.space.tree)
    if models == {CommandTrial}:
        return False
    if models != {FunctionTrial} or not is_cpu(device):
        return True
    modules = [use.module for plain in concrete_trials(spec.space) for use in uses(plain, spec.objective)]
    return may_bring(modules, spec.base_path.resolve(), "torch")
