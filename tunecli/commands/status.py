"""`tunecli status`: the state of a study, from its record and its lock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tunecli.commands.outcome_summary import (
    going_on,
    lifted,
    metric_texts,
    reason_line,
    standing_data,
    standing_lines,
)
from tunecli.objective import Objective
from tunecli.registry.pruners import is_pausing
from tunecli.results.ranking import Standing, best, standing
from tunecli.results.view import View
from tunecli.store.folder import RunFolder
from tunecli.store.lock import Holder, holder
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import look
from tunecli.study.runner.stopping_rule import ENDED_BY_ITSELF
from tunecli.text import duration
from tunecli.trial import State, Trial

_FINAL = {"exhausted", *ENDED_BY_ITSELF}


@dataclass(frozen=True, slots=True)
class Status:
    """Where a study stands.

    ``word`` is ``running`` (``holder`` says by whom), ``finished``, or ``interrupted``: nobody holds it and
    there is more to do. A study that cannot be read is damaged, and that is an error. ``standing`` is None where one
    metric tells all. ``ending`` is why its last sweep came to its end; empty where it did not.
    """

    study: str
    path: str
    word: str
    holder: Holder | None
    n_trials: int
    counts: Mapping[State, int]
    objective: Objective
    best: Trial | None
    standing: Standing | None
    elapsed_s: float
    ending: str


def status(folder: RunFolder) -> Status:
    """Where the study in ``folder`` stands.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be used.
    """
    held_by = holder(folder.path)
    with look(folder) as study:
        counts = study.log.counts()
        facts = facts_of(study.log)
        objective, stands = study.spec.objective, None
        if objective.further_objectives or objective.constraints:
            trials = study.log.trials()
            winner, stands = best(trials, objective), standing(trials, objective)
        else:  # which is told without reading every trial
            scores = [(objective.sign * score, n) for n, score in study.log.scores() if math.isfinite(score)]
            winner = study.log.trial(min(scores)[1]) if scores else None
        elapsed_s, ending = float(facts["elapsed_s"]), str(facts["ending"])
    n_ended = sum(counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    if held_by is None:  # begun, and left by whoever held the study
        counts[State.WAITING] = counts.get(State.WAITING, 0) + counts.pop(State.RUNNING, 0)
    # Where trials pause, all may have ended as they stand, and yet some are to be continued.
    is_settled = ending == "complete" or not is_pausing(study.spec.settings.search.pruner)
    is_finished = (n_ended >= study.plan.n_trials and is_settled) or ending in _FINAL
    word = "running" if held_by else "finished" if is_finished else "interrupted"
    return Status(
        study.spec.settings.study,
        str(folder.path),
        word,
        held_by,
        study.plan.n_trials,
        counts,
        objective,
        winner,
        stands,
        elapsed_s,
        ending,
    )


def status_view(status: Status) -> View:
    """Where a study stands."""
    ended = sum(status.counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    lines = [
        ("study", status.study),
        ("state", status.word + (f" by {status.holder}" if status.holder else "")),
        ("trials", f"{ended} of {status.n_trials} ended"),
        *((state.value, str(n)) for state, n in status.counts.items() if n),
    ]
    score = None
    lines += standing_lines(status.standing)
    if status.best is not None and status.best.outcome is not None:
        score = status.best.outcome.score
        told = "  ".join(metric_texts(status.best, status.objective))
        lines.append(("best", f"{told} (trial {status.best.number})"))
    if status.elapsed_s:
        lines.append(("elapsed", duration(status.elapsed_s)))
    is_limited = status.word == "interrupted" and lifted(status.ending)
    if (status.word == "finished" and status.ending) or is_limited:
        lines.append(reason_line(status.ending, status.n_trials))
    if status.word == "interrupted":
        lines.append(("next", going_on(status.path, status.ending)))
    data = {
        "study": status.study,
        "path": status.path,
        "state": status.word,
        "n_trials": status.n_trials,
        "n_ended": ended,
        "counts": {state.value: n for state, n in status.counts.items()},
        "best": None
        if status.best is None
        else {"trial": status.best.number, "metric": status.objective.metric, "score": score},
        **standing_data(status.standing),
        "elapsed_s": status.elapsed_s,
        "reason": status.ending or None,
        "holder": str(status.holder) if status.holder else None,
    }
    return View("status", data, tuple(lines))


def damage_view(path: str, why: str) -> View:
    """A study whose record cannot be read."""
    return View(
        "status", {"path": path, "state": "damaged", "why": why}, (("path", path), ("state", "damaged"))
    )
