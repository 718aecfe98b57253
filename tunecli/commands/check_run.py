"""`tunecli check --run`: run the first trial of a file for one epoch, and show its output and its metrics.

The trial runs in a worker, with its files in a temporary folder. No run folder is read or written.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunecli.commands.logs import last_lines
from tunecli.config import objectives
from tunecli.config.labels import shown
from tunecli.config.schema import CommandTrial, trial_model
from tunecli.config.study import StudySpec
from tunecli.engine import engine_named, needs_torch
from tunecli.engine.protocol import EngineOptions, run_job
from tunecli.errors import NoTrialSucceeded
from tunecli.messages import Ended, EpochEnded, Job, Started
from tunecli.objective import Objective
from tunecli.registry.engines import LOCAL
from tunecli.results.failures import failure_line
from tunecli.results.view import Block, View
from tunecli.study.plan.machines import require_device, this_machine
from tunecli.study.plan.plan import plan_for
from tunecli.study.record.suggestions import first_suggestions
from tunecli.study.runner.jobs import job_for, trial_seed
from tunecli.text import counted
from tunecli.train.user_code.near_lines import NearLines
from tunecli.train.user_code.output import compiled
from tunecli.train.user_code.trial_files import temporary_folder
from tunecli.trial import Failure, FailureKind, Outcome, Parameters, State, Trial

LONGEST_S = 60.0
"""The longest time that the trial runs."""

_LOG_BYTES = 1_000_000
_SHOWN_LINES = 15
_SHOWN_FILES = 8


@dataclass(frozen=True)
class CheckRun:
    """The first epoch of a trial.

    Attributes:
        parameters: the trial's point: the first suggestion.
        objective: the goals and constraints.
        metrics: the metrics of its first epoch, or of its end if that came first.
        epoch: the number of the epoch; 0: no epoch ended.
        is_whole: whether the trial came to its own end.
        seconds: how long it ran.
        device: where it ran.
        failure: why it failed; None: it did not fail.
        hint: for a program that reported nothing in time: the matches of its patterns, and the nearest lines.
        printed: the last lines that it printed.
        files: the files that it wrote into ``checkpoint_dir`` or into a working folder of its own.
    """

    parameters: Parameters
    objective: Objective
    metrics: Mapping[str, float]
    epoch: int
    is_whole: bool
    seconds: float
    device: str
    failure: Failure | None
    hint: str
    printed: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The required metrics that were not reported."""
        return tuple(name for name in self.objective.metrics if name not in self.metrics)


def check_run(spec: StudySpec, longest_s: float = LONGEST_S) -> CheckRun:
    """Run the first trial of a study until its first epoch ends, or until it ends, or for a minute.

    Args:
        spec: a loaded study.
        longest_s: the longest time that the trial runs, in seconds.

    Raises:
        UsageError: this machine does not have the device.
        DanglingReferenceError: a ``ref`` of the trial points to a parameter that the trial does not have.
        DiskFull, StoreFailed: the temporary folder cannot be written.
    """
    plan = plan_for(spec, this_machine(spec.settings.run))
    require_device(plan.device)
    point = first_point(spec)
    job = job_for(spec, plan, Trial(0, point, trial_seed(spec, 0, point)))
    with temporary_folder() as folder:
        log_path = folder / "logs" / "trial-00000.log"
        files = replace(
            job.files,
            checkpoint_dir=str(folder / "checkpoints"),
            trial_dir=str(folder / "trial"),
            log_path=str(log_path),
            log_limit_bytes=_LOG_BYTES,
        )
        limits = replace(job.limits, time_s=min(longest_s, job.limits.time_s or longest_s))
        job = replace(job, files=files, limits=limits)
        epoch, outcome, seconds = _first_epoch(spec, job)
        failure = outcome.failure
        is_late = failure is not None and failure.kind is FailureKind.TIMEOUT
        return CheckRun(
            point,
            spec.objective,
            dict(epoch.metrics) if epoch is not None else outcome.metrics,
            outcome.epochs if epoch is None else epoch.epoch,
            epoch is None and not is_late,
            seconds,
            outcome.device,
            failure,
            _nearness(job, log_path) if is_late else "",
            last_lines(log_path, _SHOWN_LINES),
            tuple(sorted(_written(folder / "checkpoints", folder / "trial"))),
        )


def first_point(spec: StudySpec) -> Parameters:
    """The first point that the sampler proposes; the point without parameters if the file has no range."""
    suggested = first_suggestions(spec, 1) if spec.space.parameters else []
    return suggested[0].parameters if suggested else {}


def _first_epoch(spec: StudySpec, job: Job) -> tuple[EpochEnded | None, Outcome, float]:
    """The first epoch of the job, if one ends before the job, the outcome as far as it is known, and the seconds."""
    options = EngineOptions(
        n_workers=1,
        threads=job.execution.threads,
        needs_torch=needs_torch(spec, job.execution.device),
        settings=None,
    )
    device, began_s = "", time.monotonic()
    with closing(run_job(engine_named(LOCAL, options), job)) as events:
        for event in events:
            if isinstance(event, Started):
                device, began_s = event.device, time.monotonic()
            if isinstance(event, EpochEnded) and not set(job.task.objective.metrics) - set(event.metrics):
                return event, Outcome(State.COMPLETE, device=device), time.monotonic() - began_s
            if isinstance(event, Ended):
                return None, event.outcome, time.monotonic() - began_s
    raise RuntimeError("the trial stopped before its end")


def _nearness(job: Job, log_path: Path) -> str:
    """The lines of a program that look like reports; empty for a trial that is no command."""
    config = job.task.config
    if trial_model(config) is not CommandTrial:
        return ""
    near = NearLines(job.task.objective.metric, compiled(CommandTrial.model_validate(config)))
    for line in last_lines(log_path, 1000):
        near.note(line)
    return near.explanation(lambda text: text)  # the log holds no secret


def _written(*folders: Path) -> Iterator[str]:
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                if not path.is_symlink():
                    yield str(path.relative_to(folder))


def run_and_show(spec: StudySpec, checked: View, show: Callable[[View], None], *, is_json: bool) -> None:
    """Run the first trial of a study, and show it together with the check of the file.

    Args:
        spec: a loaded study.
        checked: the view of the check.
        show: shows a view.
        is_json: show both as one document.

    Raises:
        NoTrialSucceeded: as `require_works`, after the output.
        UsageError, DiskFull, StoreFailed: as `check_run`.
    """
    if not is_json:
        show(checked)
    run = check_run(spec)
    view = check_run_view(run)
    show(replace(view, data={**checked.data, **view.data}))
    require_works(run)


def check_run_view(run: CheckRun) -> View:
    """The output of the trial, its metrics, and whether the file works."""
    lines = [
        ("ran", _ran(run)),
        ("device", run.device or "none"),
        ("objective", objectives.described(run.objective)),
    ]
    lines += [(name, f"{value:.6g}") for name, value in _ordered(run)]
    lines += [("not reported", ", ".join(run.missing))] if run.missing else []
    if run.files:
        more = f" and {len(run.files) - _SHOWN_FILES} more" if len(run.files) > _SHOWN_FILES else ""
        lines.append(("files", ", ".join(run.files[:_SHOWN_FILES]) + more))
    lines += [("failure", failure_line(run.failure))] if run.failure is not None else []
    lines.append(("result", _verdict(run)))
    pairs = tuple((name, shown(value)) for name, value in run.parameters.items())
    blocks = [Block("parameters of the trial", pairs)] if pairs else []
    heading = "the last lines that it printed:" if run.printed else "it printed nothing"
    text = "\n".join([heading, *(f"  {line}" for line in run.printed)])
    return View("check", {"run": _data(run)}, tuple(lines), blocks=tuple(blocks), text=text)


def require_works(run: CheckRun) -> None:
    """Refuse a trial that failed, or that reported nothing in time.

    Raises:
        NoTrialSucceeded: with the cause, and what to change.
    """
    if run.failure is None:
        return
    if run.failure.kind is FailureKind.TIMEOUT:
        hint = (
            run.hint
            or "print the objective more often, or let the first trial run to its end with `tunecli train`"
        )
        raise NoTrialSucceeded(f"no epoch ended within {run.seconds:.0f} s", hint=hint)
    raise NoTrialSucceeded(
        f"the trial failed: {run.failure.kind}: {run.failure.cause}",
        hint="correct it, and run this check again",
    )


def _ran(run: CheckRun) -> str:
    until = (
        "to its own end"
        if run.is_whole
        else f"until epoch {run.epoch} ended"
        if run.epoch
        else "no epoch ended"
    )
    return f"one trial, {until}, {run.seconds:.1f} s"


def _ordered(run: CheckRun) -> list[tuple[str, float]]:
    first = [name for name in run.objective.metrics if name in run.metrics]
    return [(name, run.metrics[name]) for name in (*first, *sorted(set(run.metrics) - set(first)))]


def _verdict(run: CheckRun) -> str:
    if run.failure is None:
        epochs = counted(run.epoch, "epoch") if run.is_whole and run.epoch else "the first epoch"
        return f"the file works: {epochs if run.epoch else 'the end'} of the trial reported {run.objective.metric}"
    return (
        "the file does not work yet"
        if run.failure.kind is not FailureKind.TIMEOUT
        else "nothing is known yet"
    )


def _data(run: CheckRun) -> dict[str, Any]:
    return {
        "works": run.failure is None,
        "parameters": dict(run.parameters),
        "metrics": {name: value if math.isfinite(value) else None for name, value in run.metrics.items()},
        "not_reported": list(run.missing),
        "epoch": run.epoch or None,
        "is_whole": run.is_whole,
        "seconds": run.seconds,
        "device": run.device or None,
        "failure": None
        if run.failure is None
        else {"kind": run.failure.kind.value, "cause": run.failure.cause},
        "hint": run.hint,
        "printed": list(run.printed),
        "files": list(run.files),
    }
