"""A trial's seed, and the job that a worker gets for it: both follow from the file, the plan and the trial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tunecli.config.concrete_trial import DanglingReferenceError, concrete
from tunecli.config.study import StudySpec
from tunecli.messages import Execution, Files, Job, Limits, Task
from tunecli.seeding import seed_for
from tunecli.study.plan.plan import Plan
from tunecli.trial import Parameters, Trial

_CHECKPOINT_EPOCHS: Mapping[str, int | None] = {"auto": None, "off": 0}


def trial_seed(spec: StudySpec, number: int, point: Parameters) -> int:
    """The seed of trial ``number``: what the file says under ``trial.seed``, or else its own."""
    try:
        fixed = concrete(spec.space, point).get("seed")
    except DanglingReferenceError:  # such a trial ends before it needs a seed
        fixed = None
    return seed_for(spec.settings.seed, number, "trial") if fixed is None else int(fixed)


def job_for(
    spec: StudySpec, plan: Plan, trial: Trial, *, weights_path: Path | None = None, open_test: bool = False
) -> Job:
    """The job of a trial's first attempt, without checkpoints and without a pruner's bounds.

    Args:
        spec: the study.
        plan: its plan: device, threads, fusing.
        trial: the trial to run.
        weights_path: the file for its weights; None: they are not kept.
        open_test: whether to evaluate the weights on the test part.

    Raises:
        DanglingReferenceError: a ``ref`` of the trial's choices leads nowhere.
    """
    limit = spec.settings.run.trial_limit
    return Job(
        trial.number,
        1,
        Task(
            config=concrete(spec.space, trial.parameters),
            objective=spec.objective,
            study_seed=spec.settings.seed,
            seed=trial.seed,
            repeats=spec.settings.search.repeats,
            open_test=open_test,
        ),
        Files(base_path=str(spec.base_path.absolute()), weights_path=_text(weights_path)),
        Limits(time_s=limit.time, idle_s=limit.idle),
        execution=Execution(device=plan.device, threads=plan.threads, is_fused=plan.fuse > 0),
    )


def checkpoint_epochs(spec: StudySpec) -> int | None:
    """Number of epochs between two checkpoints, as `Files.checkpoint_epochs` has it."""
    asked = spec.settings.run.checkpoint
    return _CHECKPOINT_EPOCHS[asked] if isinstance(asked, str) else asked.epochs


def _text(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())
