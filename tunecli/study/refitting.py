"""`search.refit`: the best trial trained again on all rows, when the sweep has ended.

The model file is in the run folder, and a fact on record names its trial and its SHA-256. The file is written first
(write-ahead). A training that is cut off leaves nothing that a later one uses: it begins anew, with the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from tunecli.config.metrics import THRESHOLD
from tunecli.config.user_code import code_changes
from tunecli.durable_files import read_regular
from tunecli.engine import engine_named, name_for_one, needs_torch
from tunecli.engine.protocol import EngineOptions, run_to_end
from tunecli.errors import UsageError
from tunecli.messages import Job, Limits
from tunecli.registry.engines import LOCAL, engine_info
from tunecli.results.ranking import best
from tunecli.study.record.facts import changed_data, facts_of
from tunecli.study.record.lifecycle import Study
from tunecli.study.runner.jobs import job_for, micro_batches
from tunecli.trial import Trial

REFIT = "refit"
"""The key of the fact."""


@dataclass(frozen=True, slots=True)
class Refit:
    """A trial trained on all rows. It has no validation score.

    Attributes:
        trial: the trial's number.
        epochs: the epochs that it was trained.
        train_loss: the training loss of the last one.
        seconds: the time that it took.
        sha256: of the model file, in hexadecimal.
    """

    trial: int
    epochs: int
    train_loss: float
    seconds: float
    sha256: str


class RecordedRefit(NamedTuple):
    """A refit on record, and its model file."""

    refit: Refit
    content: bytes


def recorded_refit(study: Study, trial: Trial) -> RecordedRefit | None:
    """The refit of a trial; None: the file wants none, there is none, or the model file is not the recorded one.

    Raises:
        StoreDamaged: the database cannot be read.
    """
    record = facts_of(study.log).get(REFIT)
    if study.spec.settings.search.refit == "off" or not isinstance(record, Mapping):
        return None
    try:
        refit = Refit(**record)
        content = read_regular(study.folder.refit_path)
    except (TypeError, OSError):
        return None
    is_recorded = hashlib.sha256(content).hexdigest() == refit.sha256 and refit.trial == trial.number
    return RecordedRefit(refit, content) if is_recorded else None


def refit_at_end(study: Study, say: Callable[[str], None]) -> Refit | None:
    """Train the best trial on all rows, if the file wants it and the run folder does not have it yet.

    Args:
        study: the study, held by this process.
        say: shows a line to the person before the training.

    Returns:
        The refit; None: `search.refit` is off, or no trial has a score.

    Raises:
        UsageError: the training fails, or the data or the user's code have changed since the study began.
        DiskFull, StoreFailed: the disk refuses the file.
    """
    if study.spec.settings.search.refit == "off":
        return None
    trial = best(study.log.trials(), study.spec.objective)
    if trial is None:
        return None
    recorded = recorded_refit(study, trial)
    if recorded is not None:
        return recorded.refit
    say(f"trial {trial.number}, the best one, is trained on all rows (search.refit)")
    refit = train_refit(study, trial, study.folder.refit_path)
    study.log.set_fact(REFIT, asdict(refit))
    study.folder.append_log({"refit": refit.trial, "epochs": refit.epochs, "seconds": refit.seconds})
    return refit


def train_refit(study: Study, trial: Trial, path: Path) -> Refit:
    """Train a complete trial on all rows but those of the test part, and write its model file.

    Args:
        study: the study, open.
        trial: the trial.
        path: the model file to write.

    Raises:
        UsageError: the training fails, or the data or the user's code have changed since the study began.
        DiskFull, StoreFailed: the disk refuses the file.
    """
    facts = facts_of(study.log)
    changes = changed_data(facts["data"], study.spec) or code_changes(facts["code"], study.spec)
    if changes:
        raise UsageError(
            f"trial {trial.number} cannot be trained on all rows: {changes[0]} since the study began",
            hint="undo the change, or begin a new study",
        )
    job = refit_job(study, trial, path)
    name = name_for_one(job, LOCAL)  # the user's own code runs in a process of its own, as in the search
    options = EngineOptions(
        n_workers=1,
        threads=job.execution.threads,
        needs_torch=not engine_info(name).runs_in_this_process and needs_torch(study.spec, study.plan.device),
    )
    end = run_to_end(engine_named(name, options), job)
    if end.failure is not None:
        cause = f"{end.failure.kind.value}: {end.failure.cause}"
        raise UsageError(f"trial {trial.number} was trained on all rows and failed: {cause}")
    return Refit(trial.number, end.epochs, end.metrics["train_loss"], end.seconds, end.weights_sha256)


def refit_job(study: Study, trial: Trial, path: Path) -> Job:
    """The job that trains a trial on all rows: its configuration and seed, and the epochs that it keeps.

    Raises:
        UsageError: the trial has no epochs on record.
    """
    epochs, outcome = study.log.epochs(trial.number), trial.outcome
    n_kept = outcome.kept_epoch if outcome is not None else 0
    loss_of = {epoch.epoch: epoch.metrics.get("val_loss") for epoch in epochs}
    losses = [loss_of.get(epoch) for epoch in range(1, n_kept + 1)]
    if not any(loss is not None for loss in losses):
        raise UsageError(f"trial {trial.number} has no epochs on record, so it cannot be trained on all rows")
    job = job_for(study.spec, study.plan, trial, weights_path=path)
    n_parts = micro_batches(study.spec.settings.run.on_failure, study.log.failed_attempts(trial.number))
    return replace(
        job,
        task=replace(
            job.task,
            refit=tuple(losses),
            threshold=None if outcome is None else outcome.metrics.get(THRESHOLD),
            code=dict(facts_of(study.log)["code"]),
        ),
        limits=Limits(),
        execution=replace(job.execution, micro_batches=n_parts, is_fused=False),
    )
