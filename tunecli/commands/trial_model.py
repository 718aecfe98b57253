"""The model file of a recorded trial: the one that was kept, or that of a training which repeats the trial."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shlex import quote

from tunecli.config.concrete_trial import trial_models
from tunecli.config.metrics import is_clock
from tunecli.config.schema import TrialConfig
from tunecli.durable_files import read_regular
from tunecli.engine import engine_named, name_for_one, needs_torch
from tunecli.engine.protocol import EngineOptions, run_to_end
from tunecli.errors import UsageError
from tunecli.registry.engines import LOCAL, engine_info
from tunecli.study.record.lifecycle import Study
from tunecli.study.runner.jobs import job_for, repeated
from tunecli.train.artifact.layout import is_model_file
from tunecli.trial import Outcome, State, Trial


def model_file_of(study: Study, trial: Trial, say: Callable[[str], None] = lambda _: None) -> bytes:
    """The bytes of a trial's model file.

    The kept file is used if it is the recorded one. Otherwise the trial is trained again, to the recorded score: its
    weights were not kept, they are damaged, or an earlier version kept the weights alone.

    Args:
        study: the study, open.
        trial: the trial.
        say: shows a line to the person, before a training.

    Raises:
        UsageError: the trial has no model of tunecli, or the training gives another score.
    """
    require_model(study, trial)
    content = kept_file_of(study, trial)
    if content is not None and is_model_file(content):
        return content
    reason = "its weights were not kept" if content is None else "an earlier version kept only its weights"
    say(f"trial {trial.number} is trained again: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        train_again(study, trial, path)
        return path.read_bytes()


def kept_file_of(study: Study, trial: Trial) -> bytes | None:
    """The kept weights of a trial, as they were recorded; None if they were not kept or have changed."""
    sha256 = trial.outcome.weights_sha256 if trial.outcome else ""
    try:
        content = read_regular(study.folder.weights_path(trial.number))
    except OSError:  # not kept, or not a file of tunecli
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def require_model(study: Study, trial: Trial) -> None:
    """Check that a trial is complete, and that tunecli trained it.

    Raises:
        UsageError: it has no model.
    """
    if trial.outcome is None or trial.state is State.FAILED:
        raise UsageError(f"trial {trial.number} is {trial.state.shown.value}, so it has no weights")
    require_complete(study, trial)
    if trial_models(study.spec.space.tree) != {TrialConfig}:
        kept_by_it = study.folder.checkpoint_dir(trial.number)
        raise UsageError(
            f"trial {trial.number} is your own training, whose weights tunecli does not save",
            hint=f"the files that it wrote are in {kept_by_it}",
        )


def require_complete(study: Study, trial: Trial) -> None:
    """Refuse a pruned trial: a repeated training runs to the end, but the score comes from an earlier epoch.

    Raises:
        UsageError: the trial was pruned.
    """
    if trial.state.shown is State.PRUNED and trial.outcome is not None:
        run, number = quote(str(study.folder.path)), trial.number
        raise UsageError(
            f"trial {number} was pruned after epoch {trial.outcome.epochs}; only a complete trial has final weights",
            hint=f"tunecli export {run} --trial {number} -o trial.yaml, then tunecli train trial.yaml",
        )


def train_again(
    study: Study, trial: Trial, model_path: Path | None = None, *, open_test: bool = False
) -> Outcome:
    """Train a trial again, to the recorded score; only the best trial's weights are on disk.

    Args:
        study: the study, open.
        trial: the trial.
        model_path: the model file to write; None: no file.
        open_test: measure the weights on the test part too.

    Raises:
        UsageError: the training fails, or gives another score.
    """
    outcome = trial.outcome
    plan = replace(study.plan, device=outcome.device if outcome else study.plan.device)
    job = job_for(study.spec, plan, trial, weights_path=model_path, open_test=open_test)
    job = repeated(job, study.log.ended_by(trial.number), study.log.epochs(trial.number))
    name = name_for_one(job, LOCAL)  # the user's own code runs in a process of its own, as in the search
    engine = engine_named(
        name,
        EngineOptions(
            n_workers=1,
            threads=job.execution.threads,
            needs_torch=not engine_info(name).runs_in_this_process and needs_torch(study.spec, plan.device),
        ),
    )
    again = run_to_end(engine, job)
    if again.failure is not None:
        failure = again.failure
        raise UsageError(
            f"trial {trial.number} was trained again and failed: {failure.kind}: {failure.cause}"
        )
    is_reproduced = is_clock(job.task.objective.metric) or again.score == (outcome and outcome.score)
    if outcome is None or not is_reproduced:
        score = None if outcome is None else outcome.score
        raise UsageError(
            f"trial {trial.number} was trained again and scores {again.score!r} instead of the recorded {score!r}",
            hint="the machine, device or a package version differs from the recorded one",
        )
    return again
