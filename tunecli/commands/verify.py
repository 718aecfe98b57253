"""`tunecli verify`: run recorded trials again and compare their scores with the record.

Owns which trials are run again and which causes of a difference are listed. It opens the study to read, so it changes
nothing and works while another process holds the study.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from tunecli.config.concrete_trial import DanglingReferenceError
from tunecli.config.metrics import is_clock
from tunecli.config.user_code import code_changes
from tunecli.engine import engine_named, name_for_one, needs_torch
from tunecli.engine.protocol import Engine, run_job
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.messages import Ended, EpochEnded, Job, Started
from tunecli.registry.engines import LOCAL, engine_info
from tunecli.results.comparison import Comparison, Difference, RunRecord, Verdict, compare
from tunecli.results.ranking import best
from tunecli.results.view import Section, View
from tunecli.seeding import generator_for
from tunecli.store.folder import RunFolder
from tunecli.study.plan.jobs import job_for
from tunecli.study.plan.worker_count import require_device
from tunecli.study.record import data_hashes
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study, look
from tunecli.study.record.versions import versions
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial


@dataclass(frozen=True, slots=True)
class Verified:
    """One trial that was run again.

    Attributes:
        number: the trial's.
        comparison: how it compares with the record.
        recorded, again: how it ended, both times.
        causes: what may be behind a difference, as far as the record can tell; empty where there is none.
    """

    number: int
    comparison: Comparison
    recorded: Outcome
    again: Outcome
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """All that were run again, in the order of numbers; ``is_exact``: a tolerance is not enough."""

    study: str
    path: str
    metric: str
    is_exact: bool
    trials: tuple[Verified, ...]

    @property
    def unreproduced(self) -> tuple[int, ...]:
        """The numbers of those that did not come out as asked."""
        refused = {Verdict.NOT_REPRODUCED, *([Verdict.WITHIN_TOLERANCE] if self.is_exact else [])}
        return tuple(each.number for each in self.trials if each.comparison.verdict in refused)


def verify(
    folder: RunFolder,
    *,
    number: int | None = None,
    is_all: bool = False,
    n_sampled: int | None = None,
    device: str | None = None,
    is_exact: bool = False,
    told: Callable[[Verified], None] = lambda _: None,
) -> Verification:
    """Run the best trial again, or the selected ones.

    A trial of the user's own code, or one that crashed its worker, has a process of its own; others run in this one.

    Args:
        folder: the run folder.
        number: this trial.
        is_all: every complete trial.
        n_sampled: so many of the complete ones, drawn by the study's seed: the same ones each time.
        device: where to run; None: where each ran.
        is_exact: whether only what is the same to the last bit is as asked.
        told: called with each trial as it is done.

    Raises:
        NoTrialSucceeded: no trial has a score, and none was named.
        StoreDamaged, StoreTooNew: the database cannot be used.
        UsageError: more than one choice, no such trial, a trial that has not ended, or its device is not here.
    """
    if (number is not None) + is_all + (n_sampled is not None) > 1:
        raise UsageError("--trial, --all and --sample exclude one another")
    with look(folder, must_know_plan=True) as study:
        if number is not None:
            chosen = [study.log.trial(number)]
        else:
            chosen = _chosen(study, study.log.trials(), is_all=is_all, n_sampled=n_sampled)
        recorded = {trial.number: _recorded(study, trial) for trial in chosen}
        facts = facts_of(study.log)
    devices = {trial.number: _device(study, recorded[trial.number].outcome, device) for trial in chosen}
    for name in set(devices.values()):
        _require(name, is_asked=device is not None)
    verified = []
    for trial in chosen:
        course = recorded[trial.number]
        again = _again(study, trial, course, devices[trial.number])
        comparison = compare(course, again, uncounted=_of_clocks(study, course.outcome))
        is_same = comparison.verdict in (Verdict.IDENTICAL, Verdict.FAILED_AGAIN)
        causes = () if is_same else _causes(study, facts, trial, course.outcome, again.outcome)
        verified.append(Verified(trial.number, comparison, course.outcome, again.outcome, causes))
        told(verified[-1])
    metric = study.spec.objective.metric
    return Verification(study.spec.settings.study, str(folder.path), metric, is_exact, tuple(verified))


def _of_clocks(study: Study, outcome: Outcome) -> set[str]:
    """What of a trial's metrics a clock gave."""
    found = {name for name in outcome.metrics if is_clock(name)}
    return found | ({"score"} if is_clock(study.spec.objective.metric) else set())


def _chosen(study: Study, trials: list[Trial], *, is_all: bool, n_sampled: int | None) -> list[Trial]:
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    winner = best(trials, study.spec.objective)
    if not complete or (winner is None and not is_all and n_sampled is None):
        raise NoTrialSucceeded(
            "no trial of this study has a score yet",
            hint=f"tunecli status {study.folder.path}, or verify one that failed with --trial",
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
            f"trial {trial.number} is {trial.state.value}: there is nothing to hold it against",
            hint=f"tunecli results {study.folder.path} shows those that ended",
        )
    return RunRecord(study.log.epochs(trial.number), trial.outcome)


def _device(study: Study, outcome: Outcome, asked: str | None) -> str:
    return asked or outcome.device or study.plan.device


def _require(device: str, *, is_asked: bool) -> None:
    try:
        require_device(device)
    except UsageError as error:
        hint = error.hint if is_asked else f"{error.hint}: --device NAME runs it on another"
        raise UsageError(error.message, hint=hint) from error


def _again(study: Study, trial: Trial, recorded: RunRecord, device: str) -> RunRecord:
    """Run the trial from its record; a pruned one as far as it came."""
    try:
        job = job_for(study.spec, replace(study.plan, device=device), trial)
    except DanglingReferenceError as error:  # such a trial never was a job
        return RunRecord([], Outcome(State.FAILED, failure=Failure(FailureKind.ERROR, error.message)))
    failure = recorded.outcome.failure
    took_its_worker = failure is not None and failure.kind in (FailureKind.CRASH, FailureKind.LOST)
    n_epochs = len(recorded.epochs) if recorded.outcome.state is State.PRUNED else None
    name = LOCAL if took_its_worker else name_for_one(job, LOCAL)
    engine = engine_named(
        name,
        n_workers=1,
        threads=job.execution.threads,
        needs_torch=not engine_info(name).runs_in_this_process and needs_torch(study.spec, device),
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


def _causes(
    study: Study, facts: Mapping[str, Any], trial: Trial, recorded: Outcome, again: Outcome
) -> tuple[str, ...]:
    """What is not as it was when the study began, or cannot be known to be."""
    then, now = facts.get("versions", {}), versions()
    found = []
    if recorded.device and again.device != recorded.device:
        found.append(f"device: it ran on {recorded.device}, and now on {again.device}")
    found += [
        f"version: {name} was {then.get(name, 'absent')}, and is {now.get(name, 'absent')}"
        for name in dict.fromkeys((*then, *now))
        if then.get(name, "absent") != now.get(name, "absent")
    ]
    found += [f"code: {change}" for change in code_changes(facts.get("code", {}), study.spec)]
    found += [f"data: {change}" for change in data_hashes.changes(facts.get("data", {}), study.spec)]
    return tuple(found)


def verify_view(found: Verification) -> View:
    """Trials that were run again, each beside its record, and what may be behind a difference."""
    columns = ("trial", "verdict", found.metric, "again", "largest difference", "relative")
    rows = tuple(
        (
            str(each.number),
            each.comparison.verdict.value,
            _full(each.recorded.score),
            _full(each.again.score),
            _where(each.comparison.absolute),
            "—" if each.comparison.relative is None else f"{each.comparison.relative.relative:.2g}",
        )
        for each in found.trials
    )
    n_good = len(found.trials) - len(found.unreproduced)
    lines = [("reproduced", f"{n_good} of {len(found.trials)}" + (" to the last bit" * found.is_exact))]
    for each in found.trials:
        if each.comparison.reason:
            lines.append((f"trial {each.number}", each.comparison.reason))
    causes = dict.fromkeys(cause for each in found.trials for cause in each.causes)
    lines += [("possible cause", cause) for cause in causes]
    if found.unreproduced and not causes:
        lines.append(("possible cause", "another processor, or a record that was changed"))
    data = {
        "study": found.study,
        "path": found.path,
        "metric": found.metric,
        "exact": found.is_exact,
        "reproduced": not found.unreproduced,
        "trials": [_verified_data(each) for each in found.trials],
    }
    return View("verify", data, tuple(lines), (Section("", columns, rows),))


def _verified_data(each: Verified) -> dict[str, Any]:
    compared = each.comparison
    return {
        "trial": each.number,
        "verdict": compared.verdict.value,
        "reason": compared.reason,
        "recorded": _run_data(each.recorded),
        "again": _run_data(each.again),
        "largest_absolute": _difference_data(compared.absolute),
        "largest_relative": _difference_data(compared.relative),
        "possible_causes": list(each.causes),
    }


def _run_data(outcome: Outcome) -> dict[str, Any]:
    return {
        "state": outcome.state.value,
        "score": _finite(outcome.score),
        "epochs": outcome.epochs,
        "device": outcome.device,
        "failure": None
        if outcome.failure is None
        else {"kind": outcome.failure.kind.value, "cause": outcome.failure.cause},
    }


def _difference_data(found: Difference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "metric": found.metric,
        "epoch": found.epoch or None,
        "recorded": _finite(found.recorded),
        "again": _finite(found.again),
        "absolute": _finite(found.absolute),
        "relative": _finite(found.relative),
    }


def _where(found: Difference | None) -> str:
    if found is None:
        return "—"
    return f"{found.absolute:.2g} in {found.metric}{f' of epoch {found.epoch}' if found.epoch else ''}"


def _full(score: float | None) -> str:
    return "—" if score is None else repr(score)


def _finite(value: float | None) -> float | None:
    """JSON has no word for the other numbers."""
    return value if value is not None and math.isfinite(value) else None
