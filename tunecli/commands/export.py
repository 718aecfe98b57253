"""`tunecli export`: a recorded trial as a file that runs.

Nothing is trained, except for weights or test metrics that were not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from tunecli.config.concrete_trial import concrete, trial_models
from tunecli.config.metrics import is_clock
from tunecli.config.schema import TrialConfig, trial_model
from tunecli.durable_files import read_regular
from tunecli.engine import engine_named, name_for_one, needs_torch
from tunecli.engine.protocol import EngineOptions, run_to_end
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.registry.engines import LOCAL, engine_info
from tunecli.results.confirmed import Confirmed
from tunecli.results.ranking import best
from tunecli.results.view import View
from tunecli.store.destination import (
    as_argument,
    is_stream,
    path_in_message,
    require_destination,
    write_where_asked,
)
from tunecli.store.folder import RunFolder
from tunecli.study.record.confirmation import confirmed_of_study
from tunecli.study.record.lifecycle import Study, open_to_read
from tunecli.study.record.publish import document
from tunecli.study.runner.jobs import job_for, repeated
from tunecli.text import counted
from tunecli.trial import FailureKind, Outcome, State, Trial


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported trial.

    Attributes:
        text: the trial as a complete YAML file.
        tested: its metrics on the test part of the data; empty: they were not requested.
        weights_place: the file with its weights, in words; empty: no weights were written.
        note: how a training with the file differs from the recorded one, and which other trial was confirmed; a line
            each, or empty.
    """

    text: str
    tested: Mapping[str, float]
    weights_place: str = ""
    note: str = ""


def export(
    folder: RunFolder,
    number: int | None,
    weights_path: Path | None,
    *,
    open_test: bool = False,
    is_confirmed: bool = False,
) -> Exported:
    """Export a trial, and write its weights to ``weights_path``.

    Args:
        folder: the run folder.
        number: the trial's number; None: the best trial.
        weights_path: the file for the weights; None: no weights.
        open_test: train the trial again, to the recorded score, and measure it on ``data.test``.
        is_confirmed: take the trial that the last confirmation quotes, in place of ``number``.

    Raises:
        NoTrialSucceeded: ``number`` is None and no trial has a score.
        UsageError: there is no such trial, it has no weights, or the study has no ``data.test``.
    """
    if is_confirmed and number is not None:
        raise UsageError("--confirmed and --trial exclude each other", hint="use one of them")
    if weights_path is not None:
        require_destination(weights_path)
    with open_to_read(folder) as study:
        trials, confirmed = study.log.trials(), confirmed_of_study(study)
        if is_confirmed:
            number = _quoted(study, confirmed)
        trial = best(trials, study.spec.objective) if number is None else study.log.trial(number)
        if trial is None:
            raise NoTrialSucceeded(
                "no trial of this study has a score yet", hint=f"tunecli status {quote(str(folder.path))}"
            )
        place = _export_weights(study, trial, weights_path) if weights_path is not None else ""
        tested = _tested(study, trial) if open_test else {}
        notes = (_note(study, trial), _confirmed_note(study, trial, confirmed))
        return Exported(document(study, trial, tested), tested, place, "\n".join(filter(None, notes)))


def export_view(
    folder: RunFolder,
    number: int | None,
    out_path: Path | None,
    weights_path: Path | None,
    *,
    open_test: bool = False,
    is_confirmed: bool = False,
) -> View:
    """Export a trial as `export` does, and write the file.

    Args:
        folder, number, weights_path, open_test, is_confirmed: as for `export`.
        out_path: the file to write; None: the view holds the text.

    Raises:
        NoTrialSucceeded, UsageError: as `export`; both paths name one file.
    """
    if out_path is not None and out_path == weights_path:
        raise UsageError("-o and --weights name the same file", hint="name two files")
    if out_path is not None:
        require_destination(out_path)
    exported = export(folder, number, weights_path, open_test=open_test, is_confirmed=is_confirmed)
    messages = [f"{name} {value:.6g}" for name, value in exported.tested.items()]
    if out_path is not None:
        place = write_where_asked(out_path, exported.text)
        how = "" if is_stream(out_path) else f": `tunecli train {as_argument(out_path)}` runs it"
        messages.append(f"wrote {place}{how}")
    if weights_path is not None:
        messages.append(f"wrote {exported.weights_place}")
    messages += exported.note.splitlines()
    data = {
        "config": exported.text,
        "out": out_path and str(out_path),
        "weights": weights_path and str(weights_path),
        "test": dict(exported.tested),
    }
    raw = exported.text if out_path is None else ""
    return View("export", data, raw=raw, messages=tuple(messages))


def _quoted(study: Study, confirmed: Confirmed | None) -> int:
    if confirmed is None or confirmed.quote is None:
        raise not_quoted(study, confirmed)
    return confirmed.quote.number


def not_quoted(study: Study, confirmed: Confirmed | None) -> UsageError:
    """The error that no trial of the study has a confirmed score, and why."""
    path = quote(str(study.folder.path))
    if confirmed is not None and confirmed.is_seed_ignored:
        return UsageError(
            "no trial is quoted: the training does not use its seed, so fresh runs show no noise",
            hint=f"tunecli export {path} takes the best score",
        )
    if confirmed is not None and not confirmed.n_missing:
        return UsageError("no trial is quoted: its fresh runs failed", hint=f"tunecli report {path}")
    if confirmed is not None:
        return UsageError(
            f"no trial is quoted yet: {counted(confirmed.n_missing, 'fresh run')} are missing",
            hint=f"tunecli confirm {path}{confirmed.options}",
        )
    return UsageError("no trial of this study is confirmed", hint=f"tunecli confirm {path}")


def _confirmed_note(study: Study, trial: Trial, confirmed: Confirmed | None) -> str:
    """A note that another trial was confirmed."""
    if confirmed is None or confirmed.quote is None or confirmed.quote.number == trial.number:
        return ""
    found, metric = confirmed.quote, study.spec.objective.metric
    score = "" if found.score is None else f" ({metric} {found.score})"
    return (
        f"note: trial {found.number} was confirmed{score}, and this is trial {trial.number}; see --confirmed"
    )


def _note(study: Study, trial: Trial) -> str:
    limit = study.log.ended_by(trial.number)
    is_own = trial_model(concrete(study.spec.space, trial.parameters)) is not TrialConfig
    if limit is None or limit.kind is not FailureKind.TIMEOUT or is_own or trial.outcome is None:
        return ""
    return (
        f"note: a time limit ended trial {trial.number} after epoch {trial.outcome.epochs}; the file trains "
        "all epochs, so its score will differ"
    )


def _export_weights(study: Study, trial: Trial, weights_path: Path) -> str:
    if trial.outcome is None or trial.state is State.FAILED:
        raise UsageError(f"trial {trial.number} is {trial.state.shown.value}, so it has no weights")
    _require_complete(study, trial)
    if trial_models(study.spec.space.tree) != {TrialConfig}:
        kept_by_it = study.folder.checkpoint_dir(trial.number)
        raise UsageError(
            f"trial {trial.number} is your own training, whose weights tunecli does not save",
            hint=f"the files that it wrote are in {kept_by_it}",
        )
    if weights_path.exists() and not weights_path.is_file():
        raise UsageError(f"--weights: {weights_path} is not a regular file", hint="name another file")
    kept = study.folder.weights_path(trial.number)
    try:
        content = read_regular(kept)
        is_kept = hashlib.sha256(content).hexdigest() == trial.outcome.weights_sha256
    except OSError:  # not kept, or not a file of tunecli
        is_kept = False
    if not is_kept:
        _train_again(study, trial, weights_path.resolve())
        return path_in_message(weights_path)
    return write_where_asked(weights_path, content)


def _tested(study: Study, trial: Trial) -> Mapping[str, float]:
    if trial.outcome is None or trial.state is State.FAILED:
        raise UsageError(f"trial {trial.number} is {trial.state.shown.value}, so there is nothing to test")
    _require_complete(study, trial)
    if not concrete(study.spec.space, trial.parameters).get("data", {}).get("test"):
        raise UsageError(
            "this study has no test data", hint="set `data.test` in the file before the study begins"
        )
    metrics = _train_again(study, trial, open_test=True).metrics
    return {name: value for name, value in metrics.items() if name.startswith("test_")}


def _require_complete(study: Study, trial: Trial) -> None:
    """Refuse a pruned trial: a repeated training runs to the end, but the score comes from an earlier epoch."""
    if trial.state.shown is State.PRUNED and trial.outcome is not None:
        run, number = quote(str(study.folder.path)), trial.number
        raise UsageError(
            f"trial {number} was pruned after epoch {trial.outcome.epochs}; only a complete trial has final weights",
            hint=f"tunecli export {run} --trial {number} -o trial.yaml, then tunecli train trial.yaml",
        )


def _train_again(
    study: Study, trial: Trial, weights_path: Path | None = None, *, open_test: bool = False
) -> Outcome:
    """Train the trial again, to the recorded score; only the best trial's weights are on disk."""
    outcome = trial.outcome
    plan = replace(study.plan, device=outcome.device if outcome else study.plan.device)
    job = job_for(study.spec, plan, trial, weights_path=weights_path, open_test=open_test)
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
