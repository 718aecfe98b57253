"""The baseline of a study: simple models on the data of its best trial, fitted once and kept in the run folder.

The file ``baseline.json`` is derived from the record and the data, like ``results.csv``. It names the data, the split
and the metrics that it is about; for others the models are fitted again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.schema.data import Data
from tunecli.config.schema.sources import Bundled, Images, Torchvision
from tunecli.config.schema.user_code import UserCode
from tunecli.durable_files import open_regular
from tunecli.engine.baseline import fitted_baseline
from tunecli.errors import TunecliError
from tunecli.messages import Job
from tunecli.results.baseline import Baseline, BaselineScore, baseline_data, baseline_of
from tunecli.results.ranking import best
from tunecli.store.files import write_atomically
from tunecli.study.record.facts import changed_data, facts_of
from tunecli.study.record.lifecycle import Study
from tunecli.study.runner.jobs import job_for
from tunecli.train.data.sources import BUNDLED_FACTS
from tunecli.trial import Trial

LIMIT_S = 60.0
"""Wall time of the fits, in seconds."""
LEAST_SWEEP_S = 20.0
"""A shorter sweep does not wait for its baseline, which takes about 3 s; `tunecli report` fits it."""
_SHARE, _LEAST_LIMIT_S = 0.1, 10.0  # of the sweep's time, and seconds, for which its end waits at most
_NOT_OF_THE_TABLE = {"augment", "balance", "normalize"}  # keys of the data that the simple models ignore
_MAX_BYTES = 1_000_000


def recorded_baseline(study: Study, trials: Sequence[Trial]) -> Baseline | None:
    """The baseline in the run folder; None: there is none yet, or the study has none.

    Args:
        study: the study.
        trials: all its trials.
    """
    if (text := _text(study)) is None:
        return None
    job = _job(study, trials)
    return None if job is None else _of_text(text, _key(study, job))


def baseline(study: Study, trials: Sequence[Trial]) -> Baseline | None:
    """The baseline; it is fitted if the run folder does not have it, for at most `LIMIT_S`.

    A baseline that cannot be written is fitted again the next time.

    Args:
        study: the study.
        trials: all its trials.

    Returns:
        The baseline; None: it is switched off, no trial is complete, or the data are images or of the user's own code.
    """
    return _baseline(study, trials, LIMIT_S)


def baseline_at_end(study: Study) -> Baseline | None:
    """The same at the end of a sweep, which waits for it no longer than `limit_at_end_s`.

    After less than `LEAST_SWEEP_S` it is not fitted, and None.
    """
    elapsed_s = float(facts_of(study.log)["elapsed_s"])
    if elapsed_s < LEAST_SWEEP_S:
        return None if _text(study) is None else recorded_baseline(study, study.log.trials())
    return _baseline(study, study.log.trials(), limit_at_end_s(elapsed_s))


def limit_at_end_s(elapsed_s: float) -> float:
    """The longest wait at the end of a sweep, in seconds: a tenth of its time ``elapsed_s``, from 10 s to `LIMIT_S`."""
    return min(LIMIT_S, max(_LEAST_LIMIT_S, _SHARE * elapsed_s))


def _baseline(study: Study, trials: Sequence[Trial], limit_s: float) -> Baseline | None:
    job = _job(study, trials)
    if job is None:
        return None
    key = _key(study, job)
    text = _text(study)
    if text is not None and (known := _of_text(text, key)) is not None:
        return known
    if changed := changed_data(facts_of(study.log)["data"], study.spec):
        return Baseline(job.task.objective.metric, note=f"{changed[0]} since the study began")
    fitted, note = fitted_baseline(job, limit_s)
    found = _of_fits(job, fitted, note)
    is_whole = not note or limit_s >= LIMIT_S  # with more time, more models may be fitted
    if is_whole:
        written = json.dumps({"key": key, **(baseline_data(found) or {})}, indent=2)
        with suppress(TunecliError):  # a read-only folder, or a full disk
            write_atomically(study.folder.baseline_path, f"{written}\n")
    return found


def _of_fits(job: Job, fitted: Sequence[Mapping[str, Any]], note: str) -> Baseline:
    metric = job.task.objective.metric
    scores = tuple(
        BaselineScore(one["model"], one["metrics"].get(metric), one["metrics"], one["seconds"])
        for one in fitted
    )
    if scores and not note and all(one.score is None for one in scores):
        note = f"the simple models have no `{metric}`"
    return Baseline(metric, scores, note)


def _job(study: Study, trials: Sequence[Trial]) -> Job | None:
    """The job of the best trial; None: the study has no baseline."""
    if study.spec.settings.run.baseline == "off":
        return None
    winner = best(trials, study.spec.objective)
    if winner is None:
        return None
    job = job_for(study.spec, study.plan, winner)
    config = job.task.config
    if trial_model(config) is not TrialConfig:
        return None
    return job if _may_have_baseline(Data.model_validate(config["data"])) else None


def _may_have_baseline(data: Data) -> bool:
    """Whether the data are no images; a file must be read to know. The user's own code is not run."""
    match data.source:
        case UserCode() | Images() | Torchvision():
            return False
        case Bundled(name=name):
            return BUNDLED_FACTS[name].inputs.kind != "image"
        case _:
            return True


def _key(study: Study, job: Job) -> str:
    """SHA-256 of the data, the split and the metrics."""
    config = job.task.config
    data = Data.model_validate(config["data"]).model_dump(mode="json", exclude=_NOT_OF_THE_TABLE)
    # `val_loss` is that of the trial's own loss.
    told = [data, config.get("loss"), job.task.study_seed, list(job.task.objective.recorded)]
    told.append(facts_of(study.log)["data"])
    if job.task.objective.threshold is not None:
        told.append(job.task.objective.threshold)
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _text(study: Study) -> bytes | None:
    try:
        with os.fdopen(open_regular(study.folder.baseline_path, os.O_RDONLY), "rb") as file:
            return file.read(_MAX_BYTES)
    except OSError:
        return None


def _of_text(text: bytes, key: str) -> Baseline | None:
    """The baseline in the file; None: the file is about other data, or damaged."""
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return baseline_of(data) if isinstance(data, dict) and data.get("key") == key else None
