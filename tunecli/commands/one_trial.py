"""`tunecli results --trial N`: everything on record of one trial, with the traceback where it failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunecli.commands.logs import last_lines
from tunecli.commands.outcome_summary import parameters_block
from tunecli.config.concrete_trial import derived_values
from tunecli.results.failures import Place, failure_line, place_of
from tunecli.results.ranking import Ranked, rank
from tunecli.results.view import View
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.record.publish import Overview, overview
from tunecli.text import duration, sanitize, shorten
from tunecli.trial import FailedAttempt, Failure, Scalar, Trial

_LONGEST = 300
_SHOWN_SETBACKS = 10
_SHOWN_LINES = 10


@dataclass(frozen=True)
class OneTrial:
    """Everything on record of one trial.

    Attributes:
        study: the study's name.
        overview: of all trials.
        ranked: the trial with its rank.
        n_ranked: the number of trials with a rank.
        n_attempts: the number of times the trial was started.
        setbacks: the attempts that failed and were repeated.
        ended_by: the limit or the person that ended the trial; None: it ended by itself.
        place: the line of the user's own code that failed; None: the trial did not fail, or the line is unknown.
        log_path: the output of the user's code; None: none was kept.
        files_paths: the folders with files that the user's code wrote.
        host: the machine of the last attempt; empty: the one that ran the sweep.
    """

    study: str
    overview: Overview
    ranked: Ranked
    n_ranked: int
    n_attempts: int
    setbacks: tuple[FailedAttempt, ...]
    ended_by: Failure | None
    place: Place | None
    log_path: Path | None = None
    derived: Mapping[str, Scalar] = field(default_factory=dict)
    files_paths: tuple[Path, ...] = ()
    host: str = ""

    @property
    def trial(self) -> Trial:
        return self.ranked.trial


def one_trial(folder: RunFolder, number: int) -> OneTrial:
    """Everything on record of trial ``number``.

    Raises:
        UsageError: there is no such trial.
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    with open_to_read(folder) as study:
        study.log.trial(number)  # raises if there is no such trial
        trials = study.log.trials()
        ranking = rank(trials, study.spec.objective, include_unfinished=True)
        ranked = next(row for row in ranking if row.trial.number == number)
        failure = ranked.trial.outcome.failure if ranked.trial.outcome else None
        setbacks, ended_by = study.log.failed_attempts(number), study.log.ended_by(number)
        return OneTrial(
            study.spec.settings.study,
            overview(study, trials),
            ranked,
            sum(row.rank is not None for row in ranking),
            study.log.attempts(number),
            tuple(setbacks[:-1] if ended_by else setbacks),
            ended_by,
            None if failure is None else place_of(failure),
            path if (path := folder.trial_log_path(number)).is_file() else None,
            derived_values(study.spec.space, ranked.trial.parameters),
            folder.own_files_paths(number),
            study.log.hosts().get(number, ""),
        )


def one_trial_view(one: OneTrial) -> View:
    """Outcome, metrics, attempts and parameters of one trial, and the traceback if it failed."""
    trial, outcome, ranked = one.trial, one.trial.outcome, one.ranked
    failure = outcome.failure if outcome else None
    lines = [("study", one.study), ("trial", str(trial.number)), ("status", trial.state.shown.value)]
    if ranked.rank is not None:
        lines.append(("rank", f"{ranked.rank} of {one.n_ranked}"))
    if ranked.front is not None:
        lines.append(("front", str(ranked.front)))
    if ranked.is_feasible is not None:
        lines.append(("feasible", "yes" if ranked.is_feasible else "no"))
    if one.ended_by is not None:
        lines.append(("ended by", sanitize(one.ended_by.cause)))
    if failure is not None:
        lines.append(("failure", failure_line(failure)))
    if one.place is not None:
        lines.append(("failed at", f"{one.place.path}, line {one.place.line}"))
    lines += [(name, f"{value:.6g}") for name, value in _metrics(one).items()]
    if outcome is not None:
        has_earlier_weights = outcome.kept_epoch not in (0, outcome.epochs)
        unit = "steps" if "steps" in one.overview.table.columns else "epochs"
        kept = f" ({unit[:-1]} {outcome.kept_epoch} kept)" if has_earlier_weights else ""
        seconds = f" ({duration(outcome.seconds)})" if outcome.seconds >= 60 else ""
        lines += [(unit, f"{outcome.epochs}{kept}"), ("seconds", f"{outcome.seconds:.4g}{seconds}")]
        lines += [("device", outcome.device)] if outcome.device else []
    lines += [("machine", sanitize(one.host))] if one.host else []
    lines += [("seed", str(trial.seed)), ("attempts", str(one.n_attempts))]
    for setback in one.setbacks[:_SHOWN_SETBACKS]:
        cause = shorten(sanitize(setback.failure.cause), _LONGEST)
        lines.append((f"attempt {setback.attempt}", f"{setback.failure.kind}: {cause}"))
    if one.log_path is not None:
        lines.append(("log", str(one.log_path)))
    lines += [("files" if n == 0 else "", str(path)) for n, path in enumerate(one.files_paths)]
    heading = "parameters" if trial.parameters else "parameters: none"
    shown = replace(trial, parameters={**trial.parameters, **one.derived})
    block = parameters_block(one.overview, shown, heading, "")
    text = "\n\n".join(filter(None, (failure.traceback.rstrip("\n"), _printed(one)))) if failure else ""
    return View("trial", _data(one), tuple(lines), blocks=(block,), text=text)


def _printed(one: OneTrial) -> str:
    """The last lines of the log below a heading, without the traceback, which is shown; empty if there are none."""
    lines = [*last_lines(one.log_path, _SHOWN_LINES)] if one.log_path else []
    traceback = one.trial.outcome.failure.traceback if one.trial.outcome and one.trial.outcome.failure else ""
    traced = {" ".join(line.split()) for line in traceback.splitlines()}
    n = len(lines)
    while lines and " ".join(lines[-1].split()) in traced:
        lines.pop()
    heading = "last lines of the log:" if len(lines) == n else "last lines of the log before that:"
    return "\n".join([heading, *(f"  {line}" for line in lines)]) if lines else ""


def _metrics(one: OneTrial) -> dict[str, float]:
    outcome, objective = one.trial.outcome, one.overview.objective
    if outcome is None:
        return {}
    every = dict(outcome.metrics)
    if outcome.score is not None:
        every[objective.metric] = outcome.score
    first = [name for name in objective.metrics if name in every]
    return {name: every[name] for name in (*first, *sorted(set(every) - set(first)))}


def _data(one: OneTrial) -> dict[str, Any]:
    trial, outcome = one.trial, one.trial.outcome
    failure = outcome.failure if outcome else None
    return {
        "study": one.study,
        "path": one.overview.path,
        "trial": trial.number,
        "status": trial.state.shown.value,
        "rank": one.ranked.rank,
        "front": one.ranked.front,
        "feasible": one.ranked.is_feasible,
        "score": _finite(outcome.score) if outcome else None,
        "metrics": {name: _finite(value) for name, value in _metrics(one).items()},
        "parameters": {
            name: _finite(value) if isinstance(value, float) else value
            for name, value in trial.parameters.items()
        },
        **({"derived": dict(one.derived)} if one.derived else {}),
        "epochs": outcome.epochs if outcome else None,
        "kept_epoch": outcome.kept_epoch if outcome else None,
        "seconds": outcome.seconds if outcome else None,
        "seed": trial.seed,
        "device": outcome.device or None if outcome else None,
        "machine": one.host or None,
        "log": str(one.log_path) if one.log_path else None,
        "files": [str(path) for path in one.files_paths],
        "attempts": one.n_attempts,
        "setbacks": [
            {
                "attempt": setback.attempt,
                "kind": setback.failure.kind.value,
                "cause": setback.failure.cause,
            }
            for setback in one.setbacks
        ],
        "ended_by": None
        if one.ended_by is None
        else {"kind": one.ended_by.kind.value, "cause": one.ended_by.cause},
        "failure": None
        if failure is None
        else {
            "kind": failure.kind.value,
            "cause": failure.cause,
            "file": one.place.path if one.place else None,
            "line": one.place.line if one.place else None,
            "traceback": failure.traceback,
        },
    }


def _finite(value: float | None) -> float | None:
    """None for NaN and the infinities, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None
