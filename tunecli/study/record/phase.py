"""Why a sweep ended, and where its study stands: running, finished or interrupted.

`list` asks for many studies, so this module reads the record alone and loads little.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from tunecli.store.database import Log
from tunecli.trial import State

Phase = Literal["running", "finished", "interrupted"]


class EndReason(StrEnum):
    """Why a sweep ended. The record and the JSON output hold its value."""

    COMPLETE = "complete"  # the total is reached
    EXHAUSTED = "exhausted"  # the space has no further point
    TIME = "time"
    TRIALS = "trials"
    EPOCHS = "epochs"
    FAILURES = "failures"
    ALIKE = "alike"  # the first trials all failed with one message
    IMPROVEMENT = "improvement"
    STAGNATION = "stagnation"
    TARGET = "target"


ENDED_BY_ITSELF = frozenset((EndReason.IMPROVEMENT, EndReason.STAGNATION, EndReason.TARGET))
"""The reasons that `search.stop` gives."""
_FINAL = ENDED_BY_ITSELF | {EndReason.EXHAUSTED}
"""The reasons after which a study is finished before its total."""
_ENDED = (State.COMPLETE, State.PRUNED, State.PAUSED, State.FAILED)


def number_ended(counts: Mapping[State, int]) -> int:
    """Return the number of trials that have ended or pause, by the number of trials in each state."""
    return sum(counts.get(state, 0) for state in _ENDED)


def phase_of(log: Log, facts: Mapping[str, Any], counts: Mapping[State, int], *, is_held: bool) -> Phase:
    """Return where a study stands: ``interrupted`` means that trials are left, and that no process runs them.

    Args:
        log: its open record.
        facts: its facts, of which the plan and the ending are read.
        counts: the number of trials in each state. Paused trials may count as pruned.
        is_held: whether a process holds the study.

    Raises:
        StoreDamaged: the record cannot be read.
        KeyError, TypeError, ValueError: a fact is malformed.
    """
    if is_held:
        return "running"
    ending = str(facts.get("ending", ""))
    if ending in _FINAL:
        return "finished"
    if number_ended(counts) < int(facts["plan"]["n_trials"]):
        return "interrupted"
    # Where trials pause, which the record shows by their steps, one that has ended may be continued.
    return "finished" if ending == EndReason.COMPLETE or not log.steps() else "interrupted"
