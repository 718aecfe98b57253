"""`tunecli verify`: run recorded trials again and compare their scores with the record.

Owns which trials run again, and the possible causes of a difference. It opens the study to read, so it changes nothing
and works while another process holds the study. It checks that a trial is a function of its record
(record-is-the-state, seeds-by-name).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from tunecli.config.metrics import is_clock
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.user_code import code_changes
from tunecli.engine import engine_named, name_for_one, needs_torch
from tunecli.engine.protocol import Engine, EngineOptions, run_job
from tunecli.errors import NotReproduced, NoTrialSucceeded, UsageError
from tunecli.messages import Ended, EpochEnded, Job, Started
from tunecli.registry.engines import LOCAL, engine_info
from tunecli.results.comparison import Comparison, Difference, RunRecord, Verdict, compare
from tunecli.results.ranking import best
from tunecli.results.view import Section, View
from tunecli.seeding import generator_for
from tunecli.store.folder import RunFolder
from tunecli.study.plan.machines import require_device
from tunecli.study.record.facts import changed_data, facts_of
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.study.record.plug_ins import plug_ins_of
from tunecli.study.record.versions import versions
from tunecli.study.runner.jobs import job_for, repeated
from tunecli.train.machine import without_group
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial


@dataclass(frozen=True, slots=True)
class Verified:
    """One trial that was run again.

    Attributes:
        number: the trial's number.
        comparison: the second run compared with the record.
        recorded, again: the outcomes of both runs.
        causes: possible causes of a difference, from the record; empty: there is no difference, or no known cause.
    """

    number: int
    comparison: Comparison
    recorded: Outcome
    again: Outcome
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """The trials that were run again, by number; ``is_exact``: every bit must be equal, with no tolerance."""

    study: str
    path: str
    metric: str
    is_exact: bool
    trials: tuple[Verified, ...]

    @property
    def unreproduced(self) -> tuple[int, ...]:
        """The numbers of the trials whose score was not reproduced."""
        refused = {Verdict.NOT_REPRODUCED, *([Verdict.WITHIN_TOLERANCE] if self.is_exact else [])}
        return tuple(one.number for one in self.trials if one.comparison.verdict in refused)


def verify(
    folder: RunFolder,
    *,
    number: int | None = None,
    is_all: bool = False,
    n_sampled: int | None = None,
    device: str | None = None,
    is_exact: bool = False,
    progress: Callable[[Verified], None] = lambda _: None,
) -> Verification:
    """Run the best trial again, or the selected trials.

    A trial of the user's own code, or one that crashed its worker, runs in a new process; others run in this one.

    Args:
        folder: the run folder.
        number: run this trial.
        is_all: run every complete trial.
        n_sampled: run this many complete trials, drawn with the study's seed: the same trials each time.
        device: the device to run on; None: the device that each trial ran on.
        is_exact: accept identical bits only.
        progress: called with each trial when it ends.

    Raises:
        NoTrialSucceeded: no trial has a score, and no ``number`` is given.
        StoreDamaged, StoreTooNew: the database cannot be read.
        UsageError: two selections are given, there is no such trial, the trial has not ended, or this machine does
            not have its device.
    """
    if (number is not None) + is_all + (n_sampled is not None) > 1:
        raise UsageError("--trial, --all and --sample exclude each other", hint="use one of them")
    with open_to_read(folder, must_know_plan=True) as study:
        if number is not None:
            chosen = [study.log.trial(number)]
        else:
            chosen = _chosen(study, study.log.trials(), is_all=is_all, n_sampled=n_sampled)
        recorded = {trial.number: _recorded(study, trial) for trial in chosen}
        facts, ended_early = facts_of(study.log), study.log.ended_early()
    devices = {trial.number: _device(study, recorded[trial.number].outcome, device) for trial in chosen}
    for name in set(devices.values()):
        _require(name, is_asked=device is not None)
    verified = []
    for trial in chosen:
        run, ended_by = recorded[trial.number], ended_early.get(trial.number)
        if (
            ended_by is not None
            and ended_by.kind is not FailureKind.TIMEOUT
            and run.outcome.state is State.COMPLETE
        ):
            ended_by = None  # the limit of epochs ends the second training too
        if ended_by is not None and not run.epochs:
            why = f"it was ended before its first epoch: {ended_by.cause}"
            comparison = Comparison(Verdict.NOT_REPEATABLE, why)
            verified.append(Verified(trial.number, comparison, run.outcome, run.outcome, ()))
            progress(verified[-1])
            continue
        again = _again(study, trial, run, devices[trial.number], ended_by)
        comparison = compare(run, again, uncounted=clock_metrics(study, run.outcome))
        if ended_by is not None and not comparison.reason:
            why = f"run again up to epoch {run.epochs[-1].epoch}, after which it was ended: {ended_by.cause}"
            comparison = replace(comparison, reason=why)
        is_same = comparison.verdict in (Verdict.IDENTICAL, Verdict.FAILED_AGAIN)
        causes = () if is_same else causes_of(study, facts, run.outcome, again.outcome)
        if not is_same and ended_by is not None:
            causes = (
                "time limit: values that the trial reported after its last epoch are not repeated",
                *causes,
            )
        verified.append(Verified(trial.number, comparison, run.outcome, again.outcome, causes))
        progress(verified[-1])
    metric = study.spec.objective.metric
    return Verification(study.spec.settings.study, str(folder.path), metric, is_exact, tuple(verified))


def require_reproduced(verification: Verification) -> None:
    """Refuse a verification in which a score was not reproduced.

    Raises:
        NotReproduced: with the numbers of the trials.
    """
    if verification.unreproduced:
        numbers = ", ".join(map(str, verification.unreproduced))
        n_failed, n = len(verification.unreproduced), len(verification.trials)
        raise NotReproduced(f"{n_failed} of {n} not reproduced: trial {numbers}")


def clock_metrics(study: Study, outcome: Outcome) -> set[str]:
    """The metrics of a trial that a clock measures, ``score`` included if the objective is one."""
    names = {name for name in outcome.metrics if is_clock(name)}
    return names | ({"score"} if is_clock(study.spec.objective.metric) else set())


def _chosen(study: Study, trials: list[Trial], *, is_all: bool, n_sampled: int | None) -> list[Trial]:
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    winner = best(trials, study.spec.objective)
    if not complete or (winner is None and not is_all and n_sampled is None):
        raise NoTrialSucceeded(
            "no trial of this study has a score yet",
            hint=f"tunecli status {study.folder.path}, or --trial N verifies a failed trial",
        )
    if is_all:
        return complete
    if n_sampled is not None:
        order = generator_for(study.spec.settings.seed, "verify").permutation(len(complete))
        return [complete[place] for place in sorted(order[:n_sampled].tolist())]
    return [] if winner is None else [winner]


def _recorded(study: Study, trial: Trial) -> RunRecord:
    if trial.outcome is None:
        raise UsageError(
            f"trial {trial.number} is {trial.state.shown.value}: it has no score to compare with",
            hint=f"tunecli results {study.folder.path} shows the trials that have ended",
        )
    return RunRecord(study.log.epochs(trial.number), trial.outcome)


def _device(study: Study, outcome: Outcome, asked: str | None) -> str:
    return asked or without_group(outcome.device) or study.plan.device


def _require(device: str, *, is_asked: bool) -> None:
    try:
        require_device(device)
    except UsageError as error:
        hint = error.hint if is_asked else f"{error.hint}: --device NAME runs the trial on another device"
        raise UsageError(error.message, hint=hint) from error


def _again(
    study: Study, trial: Trial, recorded: RunRecord, device: str, ended_by: Failure | None
) -> RunRecord:
    """Run the trial from its record; a pruned trial, or one that a time limit ended, up to its last recorded epoch."""
    try:
        job = job_for(study.spec, replace(study.plan, device=device), trial)
        job = repeated(job, ended_by, recorded.epochs)
    except DanglingReferenceError as error:  # the trial failed before it became a job
        return RunRecord([], Outcome(State.FAILED, failure=Failure(FailureKind.ERROR, error.message)))
    failure = recorded.outcome.failure
    crashed_worker = failure is not None and failure.kind in (FailureKind.CRASH, FailureKind.LOST)
    n_epochs = len(recorded.epochs) if recorded.outcome.state.shown is State.PRUNED else None
    return run_again(study, job, n_epochs, has_own_process=crashed_worker)


def run_again(
    study: Study, job: Job, n_epochs: int | None = None, *, has_own_process: bool = False
) -> RunRecord:
    """Run a job on an engine of its own.

    Args:
        study: the study of its trial.
        job: the job.
        n_epochs: the number of epochs after which it is cut off; None: run it to its end.
        has_own_process: run it in a new process even if it is not the user's own code.
    """
    job = replace(job, execution=replace(job.execution, is_isolated=True))
    name = LOCAL if has_own_process else name_for_one(job, LOCAL)
    engine = engine_named(
        name,
        EngineOptions(
            n_workers=1,
            threads=job.execution.threads,
            needs_torch=not engine_info(name).runs_in_this_process
            and needs_torch(study.spec, job.execution.device),
        ),
    )
    return _course(engine, job, n_epochs)


def _course(engine: Engine, job: Job, n_epochs: int | None) -> RunRecord:
    epochs: list[EpochEnded] = []
    device = job.execution.device
    with closing(run_job(engine, job)) as events:
        for event in events:
            if isinstance(event, Ended):
                return RunRecord(epochs, event.outcome)
            if isinstance(event, Started):
                device = event.device
            if isinstance(event, EpochEnded):
                epochs.append(event)
                if len(epochs) == n_epochs:
                    break
    return RunRecord(epochs, Outcome(State.PRUNED, epochs=epochs[-1].epoch, device=device))


def causes_of(study: Study, facts: Mapping[str, Any], recorded: Outcome, again: Outcome) -> tuple[str, ...]:
    """Differences in device, versions, code and data since the study began, one sentence each."""
    then, now = facts.get("versions", {}), versions(plug_ins_of(study.spec))
    causes = []
    if recorded.device and again.device != recorded.device:
        causes.append(f"device: recorded on {recorded.device}, run again on {again.device}")
    causes += [
        f"version: {name} was {then.get(name, 'absent')}, now {now.get(name, 'absent')}"
        for name in dict.fromkeys((*then, *now))
        if then.get(name, "absent") != now.get(name, "absent")
    ]
    causes += [f"code: {change}" for change in code_changes(facts.get("code", {}), study.spec)]
    causes += [f"data: {change}" for change in changed_data(facts.get("data", {}), study.spec)]
    return tuple(causes)


def verify_view(verification: Verification) -> View:
    """Both scores of each trial in full precision, the largest difference, and its possible causes."""
    columns = ("trial", "verdict", verification.metric, "again", "largest difference", "relative")
    rows = tuple(
        (
            str(one.number),
            one.comparison.verdict.value,
            _full(one.recorded.score),
            _full(one.again.score),
            _where(one.comparison.absolute),
            "—" if one.comparison.relative is None else f"{one.comparison.relative.relative:.2g}",
        )
        for one in verification.trials
    )
    n = sum(one.comparison.verdict is not Verdict.NOT_REPEATABLE for one in verification.trials)
    n_good = n - len(verification.unreproduced)
    lines = [("reproduced", f"{n_good} of {n}" + (" to the last bit" * verification.is_exact))]
    for one in verification.trials:
        if one.comparison.reason:
            lines.append((f"trial {one.number}", one.comparison.reason))
    causes = dict.fromkeys(cause for one in verification.trials for cause in one.causes)
    lines += [("possible cause", cause) for cause in causes]
    unreproduced = [one for one in verification.trials if one.number in verification.unreproduced]
    if not causes and any(one.again.failure is None for one in unreproduced):
        lines.append(("possible cause", "another processor, or a changed record"))
    data = {
        "study": verification.study,
        "path": verification.path,
        "metric": verification.metric,
        "exact": verification.is_exact,
        "reproduced": not verification.unreproduced,
        "trials": [_verified_data(one) for one in verification.trials],
    }
    return View("verify", data, tuple(lines), (Section("", columns, rows),))


def _verified_data(one: Verified) -> dict[str, Any]:
    comparison = one.comparison
    return {
        "trial": one.number,
        "verdict": comparison.verdict.value,
        "reason": comparison.reason,
        "recorded": _run_data(one.recorded),
        "again": _run_data(one.again),
        "largest_absolute": _difference_data(comparison.absolute),
        "largest_relative": _difference_data(comparison.relative),
        "possible_causes": list(one.causes),
    }


def _run_data(outcome: Outcome) -> dict[str, Any]:
    return {
        "state": outcome.state.shown.value,
        "score": _finite(outcome.score),
        "epochs": outcome.epochs,
        "device": outcome.device,
        "failure": None
        if outcome.failure is None
        else {"kind": outcome.failure.kind.value, "cause": outcome.failure.cause},
    }


def _difference_data(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {
        "metric": difference.metric,
        "epoch": difference.epoch or None,
        "recorded": _finite(difference.recorded),
        "again": _finite(difference.again),
        "absolute": _finite(difference.absolute),
        "relative": _finite(difference.relative),
    }


def _where(difference: Difference | None) -> str:
    if difference is None:
        return "—"
    epoch = f" of epoch {difference.epoch}" if difference.epoch else ""
    return f"{difference.absolute:.2g} in {difference.metric}{epoch}"


def _full(score: float | None) -> str:
    return "—" if score is None else repr(score)


def _finite(value: float | None) -> float | None:
    """None for NaN and the infinities, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None
