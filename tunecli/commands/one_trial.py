"""`tunecli results --trial N`: everything on record of one trial, with the traceback where it failed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tunecli.commands.outcome_summary import parameters_block
from tunecli.results.failures import Place, place_of, told
from tunecli.results.ranking import Ranked, rank
from tunecli.results.view import View
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import look
from tunecli.study.record.overview import Overview, overview
from tunecli.text import duration, sanitize, shorten
from tunecli.trial import FailedAttempt, Trial

_LONGEST = 300
_SHOWN_SETBACKS = 10


@dataclass(frozen=True)
class OneTrial:
    """A trial and what is on record of it.

    Attributes:
        study: the study's name.
        overview: of all trials.
        ranked: the trial, and how it stands.
        n_ranked: how many trials have a rank.
        n_attempts: how often it was begun.
        setbacks: the attempts that did not end it.
        place: the line of the user's own code at which it failed; None where it did not, or where none is known.
    """

    study: str
    overview: Overview
    ranked: Ranked
    n_ranked: int
    n_attempts: int
    setbacks: tuple[FailedAttempt, ...]
    place: Place | None

    @property
    def trial(self) -> Trial:
        return self.ranked.trial


def one_trial(folder: RunFolder, number: int) -> OneTrial:
    """What is on record of trial ``number``.

    Raises:
        UsageError: there is no such trial.
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    with look(folder) as study:
        study.log.trial(number)  # whether there is one
        trials = study.log.trials()
        ranked = rank(trials, study.spec.objective, include_unfinished=True)
        found = next(each for each in ranked if each.trial.number == number)
        failure = found.trial.outcome.failure if found.trial.outcome else None
        return OneTrial(
            study.spec.settings.study,
            overview(study, trials),
            found,
            sum(each.rank is not None for each in ranked),
            study.log.attempts(number),
            tuple(study.log.failed_attempts(number)),
            None if failure is None else place_of(failure),
        )


def one_trial_view(found: OneTrial) -> View:
    """Everything on record of one trial."""
    trial, outcome = found.trial, found.trial.outcome
    failure = outcome.failure if outcome else None
    lines = [("study", found.study), ("trial", str(trial.number)), ("status", trial.state.value)]
    if found.ranked.rank is not None:
        lines.append(("rank", f"{found.ranked.rank} of {found.n_ranked}"))
    if found.ranked.front is not None:
        lines.append(("front", str(found.ranked.front)))
    if found.ranked.is_feasible is not None:
        lines.append(("feasible", "yes" if found.ranked.is_feasible else "no"))
    if failure is not None:
        lines.append(("failure", told(failure)))
    if found.place is not None:
        lines.append(("failed at", f"{found.place.path}, line {found.place.line}"))
    metrics = _metrics(found)
    lines += [(name, f"{value:.6g}") for name, value in metrics.items()]
    if outcome is not None:
        is_kept = outcome.kept_epoch not in (0, outcome.epochs)
        kept = f", of which epoch {outcome.kept_epoch} is kept" if is_kept else ""
        lines += [("epochs", f"{outcome.epochs}{kept}"), ("seconds", f"{outcome.seconds:.4g}")]
        if outcome.seconds >= 60:
            lines[-1] = ("seconds", f"{outcome.seconds:.4g} ({duration(outcome.seconds)})")
        lines += [("device", outcome.device)] if outcome.device else []
    lines += [("seed", str(trial.seed)), ("attempts", str(found.n_attempts))]
    for setback in found.setbacks[:_SHOWN_SETBACKS]:
        cause = shorten(sanitize(setback.failure.cause), _LONGEST)
        lines.append((f"attempt {setback.attempt}", f"{setback.failure.kind}: {cause}"))
    heading = "parameters" if trial.parameters else "parameters: none"
    block = parameters_block(found.overview, trial, heading, "")
    text = failure.traceback if failure else ""
    return View("trial", _data(found), tuple(lines), blocks=(block,), text=text)


def _metrics(found: OneTrial) -> dict[str, float]:
    outcome, objective = found.trial.outcome, found.overview.objective
    if outcome is None:
        return {}
    every = dict(outcome.metrics)
    if outcome.score is not None:
        every[objective.metric] = outcome.score
    first = [name for name in objective.metrics if name in every]
    return {name: every[name] for name in (*first, *sorted(set(every) - set(first)))}


def _data(found: OneTrial) -> dict[str, Any]:
    trial, outcome = found.trial, found.trial.outcome
    failure = outcome.failure if outcome else None
    return {
        "study": found.study,
        "path": found.overview.path,
        "trial": trial.number,
        "status": trial.state.value,
        "rank": found.ranked.rank,
        "front": found.ranked.front,
        "feasible": found.ranked.is_feasible,
        "score": _finite(outcome.score) if outcome else None,
        "metrics": {name: _finite(value) for name, value in _metrics(found).items()},
        "parameters": {
            name: _finite(value) if isinstance(value, float) else value
            for name, value in trial.parameters.items()
        },
        "epochs": outcome.epochs if outcome else None,
        "kept_epoch": outcome.kept_epoch if outcome else None,
        "seconds": outcome.seconds if outcome else None,
        "seed": trial.seed,
        "device": outcome.device or None if outcome else None,
        "attempts": found.n_attempts,
        "setbacks": [
            {"attempt": each.attempt, "kind": each.failure.kind.value, "cause": each.failure.cause}
            for each in found.setbacks
        ],
        "failure": None
        if failure is None
        else {
            "kind": failure.kind.value,
            "cause": failure.cause,
            "file": found.place.path if found.place else None,
            "line": found.place.line if found.place else None,
            "traceback": failure.traceback,
        },
    }


def _finite(value: float | None) -> float | None:
    """JSON has no word for the other numbers."""
    return value if value is not None and math.isfinite(value) else None
