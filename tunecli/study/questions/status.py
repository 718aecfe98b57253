"""Where a study stands, as its record and its lock tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tunecli.config.pruners import Pausing
from tunecli.objective import Objective
from tunecli.results.ranking import Standing, best, standing
from tunecli.store.folder import RunFolder
from tunecli.store.lock import Holder, holder
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import look
from tunecli.study.runner.stopping_rule import ENDED_BY_ITSELF
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
    is_settled = ending == "complete" or not isinstance(study.spec.settings.search.pruner, Pausing)
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
