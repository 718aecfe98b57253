"""`tunecli train`: one training run of a file without ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tunecli.commands.data import data_of, first_lines
from tunecli.config.concrete_trial import trial_models
from tunecli.config.schema import TrialConfig
from tunecli.config.study import StudySpec
from tunecli.engine import engine_named, name_for_one, needs_torch
from tunecli.engine.protocol import EngineOptions, run_to_end
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.results.view import View
from tunecli.store.destination import require_destination
from tunecli.study.plan.machines import require_device, this_machine
from tunecli.study.plan.plan import plan_for
from tunecli.study.runner.jobs import job_for, trial_seed
from tunecli.trial import Outcome, Trial


@dataclass(frozen=True, slots=True)
class Trained:
    """The outcome of one training run, with the study's name, its metric and the trial's seed."""

    study: str
    metric: str
    seed: int
    outcome: Outcome


def train(spec: StudySpec, weights_path: Path | None, say: Callable[[str], None] = lambda _: None) -> Trained:
    """Train the one trial of a file without ranges, and measure it on ``data.test`` at its end.

    The trial runs in this process. The user's own code, and any trial under ``run.trial_limit``, runs on the engine
    that the file names, or in a worker here if that one runs trials on other machines.

    Args:
        spec: a loaded study whose space has no parameter.
        weights_path: the file for the weights; None: no weights.
        say: shows a line to the person: a summary of the data, before the training.

    Raises:
        UsageError: the file holds ranges, this machine does not have the device, or weights are requested of the
            user's own training.
        DataError: the data cannot be read or split.
    """
    if weights_path is not None and trial_models(spec.space.tree) != {TrialConfig}:
        raise UsageError(
            "--weights does not work with your own training", hint="write the weights to `checkpoint_dir`"
        )
    if weights_path is not None:
        require_destination(weights_path)
    if spec.space.parameters:
        names = ", ".join(spec.space.names[:4]) + (", …" if len(spec.space.names) > 4 else "")
        raise UsageError(
            f"this file holds ranges ({names}), and `train` needs a value for every key",
            hint="`tunecli search` tries the ranges; `tunecli export` writes the best trial as a file of values",
        )
    require_device(spec.settings.run.device, spec.settings.run.devices_per_trial)
    for line in first_lines(data_of(spec)):
        say(line)
    trial = Trial(0, {}, trial_seed(spec, 0, {}))
    plan = plan_for(spec, this_machine(spec.settings.run))
    job = job_for(spec, plan, trial, weights_path=weights_path, open_test=True)
    job = replace(job, files=replace(job.files, has_only_weights=True))
    limits = (job.limits.time_s, job.limits.idle_s, job.limits.memory_bytes)
    is_limited = any(limit is not None for limit in limits)
    # only another process can end a trial that hangs or takes all memory
    name = name_for_one(job, plan.engine, has_own_process=is_limited)
    engine = engine_named(
        name,
        EngineOptions(
            n_workers=1,
            threads=job.execution.threads,
            needs_torch=needs_torch(spec, job.execution.device),
            settings=spec.settings.run.engine_settings if name == plan.engine else None,
        ),
    )
    return Trained(spec.settings.study, spec.objective.metric, trial.seed, run_to_end(engine, job))


def require_complete(trained: Trained) -> None:
    """Refuse a training that failed.

    Raises:
        NoTrialSucceeded: with the kind and the cause of the failure.
    """
    failure = trained.outcome.failure
    if failure is not None:
        raise NoTrialSucceeded(f"the trial failed: {failure.kind}: {failure.cause}")


def train_view(trained: Trained) -> View:
    """The metrics of a training, the objective's first, as labelled lines."""
    outcome = trained.outcome
    metrics = sorted(outcome.metrics.items(), key=lambda item: (item[0] != trained.metric, item[0]))
    lines = [(name, f"{value:.6g}") for name, value in metrics]
    lines += [("epochs", _epochs(outcome)), ("seconds", f"{outcome.seconds:.2f}"), ("device", outcome.device)]
    data = {
        "study": trained.study,
        "state": outcome.state.value,
        "objective": trained.metric,
        "score": outcome.score,
        "metrics": {name: value if value - value == 0 else None for name, value in metrics},
        "epochs": outcome.epochs,
        "kept_epoch": outcome.kept_epoch,
        "seconds": outcome.seconds,
        "seed": trained.seed,
        "device": outcome.device,
    }
    return View("train", data, tuple(lines))


def _epochs(outcome: Outcome) -> str:
    if outcome.kept_epoch in (0, outcome.epochs):
        return str(outcome.epochs)
    return f"{outcome.epochs} (epoch {outcome.kept_epoch} kept)"
