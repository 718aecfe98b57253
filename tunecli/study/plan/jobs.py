"""A trial's seed, and the job that a worker gets for it: both follow from the file, the plan and the trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tunecli.config.concrete_trial import DanglingReferenceError, concrete
from tunecli.config.study import StudySpec
from tunecli.messages import EpochEnded, Job
from tunecli.seeding import seed_for
from tunecli.study.plan.plan import Plan
from tunecli.trial import Checkpoint, Parameters, Trial

NO_CODE: Mapping[str, str] = {}
_CHECKPOINT_EPOCHS: Mapping[str, int | None] = {"auto": None, "off": 0}


def trial_seed(spec: StudySpec, number: int, point: Parameters) -> int:
    """The seed of trial ``number``: what the file says under ``trial.seed``, or else its own."""
    try:
        fixed = concrete(spec.space, point).get("seed")
    except DanglingReferenceError:  # such a trial ends before it needs a seed
        fixed = None
    return seed_for(spec.settings.seed, number, "trial") if fixed is None else int(fixed)


def job_for(
    spec: StudySpec,
    plan: Plan,
    trial: Trial,
    *,
    attempt: int = 1,
    weights_path: Path | None = None,
    keep_below: float | None = None,
    checkpoint_dir: Path | None = None,
    code: Mapping[str, str] = NO_CODE,
    open_test: bool = False,
    checkpoints_path: Path | None = None,
    checkpoints: Sequence[Checkpoint] = (),
    stop_above: Sequence[float | None] = (),
    stop_epochs: Sequence[int] = (),
    micro_batches: int = 1,
    spent_s: float = 0.0,
    until_epoch: int | None = None,
    recorded: Sequence[EpochEnded] = (),
    reports_path: Path | None = None,
) -> Job:
    """Everything a worker needs to run ``trial``; see `Job`.

    Args:
        spent_s: what it took of its time limit already.
        recorded: of a trial of the user's own, its epochs on record.
    """
    run = spec.settings.run
    limit_s = run.trial_limit.time
    return Job(
        number=trial.number,
        attempt=attempt,
        config=concrete(spec.space, trial.parameters),
        objective=spec.objective,
        study_seed=spec.settings.seed,
        seed=trial.seed,
        repeats=spec.settings.search.repeats,
        device=plan.device,
        threads=plan.threads,
        base_path=str(spec.base_path.absolute()),
        weights_path="" if weights_path is None else str(weights_path.absolute()),
        keep_below=keep_below,
        time_limit_s=None if limit_s is None else max(0.0, limit_s - spent_s),
        idle_limit_s=run.trial_limit.idle,
        open_test=open_test,
        code=dict(code),
        checkpoint_dir="" if checkpoint_dir is None else str(checkpoint_dir.absolute()),
        checkpoints_path="" if checkpoints_path is None else str(checkpoints_path.absolute()),
        checkpoint_epochs=_CHECKPOINT_EPOCHS[run.checkpoint]
        if isinstance(run.checkpoint, str)
        else run.checkpoint.epochs,
        checkpoints=tuple(checkpoints),
        stop_above=tuple(stop_above),
        stop_epochs=tuple(stop_epochs),
        micro_batches=micro_batches,
        is_fused=plan.fuse > 0,
        until_epoch=until_epoch,
        recorded=tuple((each.epoch, each.metrics) for each in recorded),
        epoch_offset=recorded[-1].epoch_offset if recorded else None,
        reports_path="" if reports_path is None else str(reports_path.absolute()),
    )
