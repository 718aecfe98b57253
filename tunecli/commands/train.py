"""`tunecli train`: one training run of a file without ranges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunecli.commands.data import data_of, first_lines
from tunecli.config.concrete_trial import trial_models
from tunecli.config.schema import TrialConfig
from tunecli.config.study import StudySpec
from tunecli.engine import engine_named, name_for_one, needs_torch
from tunecli.engine.protocol import run_to_end
from tunecli.errors import UsageError
from tunecli.results.view import View
from tunecli.store.destination import require_destination
from tunecli.study.plan.jobs import job_for, trial_seed
from tunecli.study.plan.plan import plan_for
from tunecli.study.plan.worker_count import require_device
from tunecli.trial import Outcome, Trial


@dataclass(frozen=True, slots=True)
class Trained:
    """What `train` shows: which file, and how it ended."""

    study: str
    metric: str
    seed: int
    outcome: Outcome


def train(spec: StudySpec, weights_path: Path | None) -> Trained:
    """Train the one trial that a file without ranges is; what ``data.test`` sets apart is opened at its end.

    It trains in this process; the user's own code, and all under a ``run.trial_limit``, on the engine that the file
    names.

    Args:
        spec: a loaded study whose space has no parameter.
        weights_path: where to write the weights; None: nowhere.

    Raises:
        UsageError: the file holds ranges, there is no such device here, or weights are asked for that the user's
            own training does not give.
    """
    if weights_path is not None and trial_models(spec.space.tree) != {TrialConfig}:
        raise UsageError("your own training keeps its weights itself", hint="write them in `checkpoint_dir`")
    if weights_path is not None:
        require_destination(weights_path)
    if spec.space.parameters:
        names = ", ".join(spec.space.names[:4]) + (", …" if len(spec.space.names) > 4 else "")
        raise UsageError(
            f"this file holds ranges ({names}), and `train` runs one concrete trial",
            hint="`tunecli search` tries them; `tunecli export` writes the best as a concrete file",
        )
    require_device(spec.settings.run.device)
    trial = Trial(0, {}, trial_seed(spec, 0, {}))
    plan = plan_for(spec)
    job = job_for(spec, plan, trial, weights_path=weights_path, open_test=True)
    is_limited = job.limits.time_s is not None or job.limits.idle_s is not None
    # what hangs can only be ended from another process
    engine = engine_named(
        plan.engine if is_limited else name_for_one(job, plan.engine),
        n_workers=1,
        threads=job.execution.threads,
        needs_torch=needs_torch(spec, job.execution.device),
    )
    return Trained(spec.settings.study, spec.objective.metric, trial.seed, run_to_end(engine, job))


def opening_lines(spec: StudySpec) -> list[str]:
    """What a person should see before a training begins: its data in few lines.

    Raises:
        DataError: the data cannot be read or split.
    """
    return first_lines(data_of(spec))


def train_view(trained: Trained) -> View:
    """One training run and its metrics."""
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
    return f"{outcome.epochs}, of which epoch {outcome.kept_epoch} is kept"
