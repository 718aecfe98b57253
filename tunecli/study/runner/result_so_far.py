"""The result of a trial whose worker was killed, computed from the trial's record.

The rules are those of a normal end: a trial of the user's own code is scored by its reports, a trial of tunecli's own
loop by its kept epoch. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.schema.training import Training
from tunecli.messages import Ended, EpochEnded, Job, Limits, ResumePoint
from tunecli.train.epoch_end import TrialProgress, ended, missing_goal
from tunecli.train.user_code.reports import Reports
from tunecli.trial import Failure, Outcome, State


def kept(event: Ended, limit: Failure, job: Job, epochs: Sequence[EpochEnded]) -> Ended:
    """The end of a trial at a time limit whose results are kept: complete if it has a score, else failed.

    Args:
        event: the end that its engine reports, a failure.
        limit: the limit that it reached.
        job: the trial.
        epochs: its epochs on record, in order.
    """
    outcome = result_so_far(job, epochs, event.outcome, State.COMPLETE)
    if outcome is None:
        cause = f"{limit.cause}, and the trial has no {job.task.objective.metric} so far"
        failure = replace(limit, cause=cause)
        return replace(event, outcome=replace(event.outcome, failure=failure))
    return replace(event, outcome=outcome, ended_by=limit)


def pruned(event: Ended, job: Job, epochs: Sequence[EpochEnded]) -> Ended:
    """The end of a trial that a person ended: pruned, with its score so far if it has one."""
    outcome = result_so_far(job, epochs, event.outcome, State.PRUNED)
    n_epochs = epochs[-1].epoch if epochs else 0
    return replace(event, outcome=outcome or replace(event.outcome, epochs=n_epochs))


def result_so_far(job: Job, epochs: Sequence[EpochEnded], end: Outcome, state: State) -> Outcome | None:
    """The outcome of a trial that is cut off after its last recorded epoch.

    Args:
        job: the trial.
        epochs: its epochs on record, in order.
        end: the end that its engine reports; its seconds and its device count.
        state: complete or pruned.

    Returns:
        None if the objective, or for a complete trial a constraint's metric, has no value. Weights are not kept.
    """
    if not epochs:
        return None
    if trial_model(job.task.config) is TrialConfig:
        outcome = _of_built_in(job, epochs)
    else:
        outcome = _of_reports(job, epochs)
    if outcome is None:
        return None
    return replace(outcome, state=state, seconds=end.seconds, device=end.device)


def _of_reports(job: Job, epochs: Sequence[EpochEnded]) -> Outcome | None:
    recorded = tuple((epoch.epoch, epoch.metrics) for epoch in epochs)
    job = replace(job, limits=Limits(), resume=ResumePoint((), recorded, epochs[-1].epoch_offset))
    reports = Reports(job, job.execution.device)
    return None if reports.missing else reports.ended().outcome


def _of_built_in(job: Job, epochs: Sequence[EpochEnded]) -> Outcome | None:
    objective, progress = job.task.objective, TrialProgress()
    early_stop = Training.model_validate(job.task.config.get("training", {})).early_stop
    for epoch in epochs:
        progress.epochs = epoch.epoch
        progress.keep(objective.sign * epoch.metrics[objective.metric], epoch.metrics, early_stop)
    if missing_goal(objective, progress.metrics) is not None:
        return None
    return ended(job, progress, State.COMPLETE, job.execution.device).outcome
