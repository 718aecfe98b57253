"""A trial's record as another objective has it, where what was recorded tells all of it.

What a trial gave at its end is on record by the name of each metric, so a trial whose course would have been the same
needs not be run again: its score is read off anew. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunecli.config.metrics import MEASURED
from tunecli.messages import EpochEnded
from tunecli.objective import Objective
from tunecli.trial import FailureKind, Outcome, State

_OF_THE_MACHINE = (FailureKind.OOM, FailureKind.TIMEOUT, FailureKind.CRASH, FailureKind.LOST)


def rescored(
    outcome: Outcome, epochs: Sequence[EpochEnded], config: Mapping[str, Any], old: Objective, new: Objective
) -> tuple[Outcome, Sequence[EpochEnded]] | None:
    """How a trial ended, and its epochs, had ``new`` been asked of it; None where the record does not tell.

    The first goal may differ only where nothing of the trial's own course went by it: no early stopping, no end of an
    epoch, no end by a pruner, no deviation over folds and repeats. A failure stands where it is the machine's.

    Args:
        outcome: as it was recorded under ``old``.
        epochs: its epochs.
        config: the concrete trial.
        old, new: the objectives.
    """
    if old == new:
        return outcome, epochs
    own = [goal for goal in old.goals if goal.python]
    if any(goal.python and not any(_is_same(goal, each) for each in own) for goal in new.goals):
        return None
    if outcome.failure is not None:
        return (outcome, epochs) if outcome.failure.kind in _OF_THE_MACHINE else None
    if not _is_same(old, new) and _went_by(old, outcome, config):
        return None
    wanted = new.metrics if outcome.state is State.COMPLETE else (new.metric,)
    if any(name not in outcome.metrics for name in wanted):
        return None
    idle = ({*old.metrics} & {*MEASURED}) | {goal.metric for goal in own}
    idle -= {*new.metrics}
    again = replace(outcome, score=outcome.metrics[new.metric], metrics=_without(idle, outcome.metrics))
    return again, [replace(epoch, metrics=_without(idle, epoch.metrics)) for epoch in epochs]


def _is_same(one: Objective, other: Objective) -> bool:
    return replace(one, further_objectives=(), constraints=()) == replace(
        other, further_objectives=(), constraints=()
    )


def _went_by(goal: Objective, outcome: Outcome, config: Mapping[str, Any]) -> bool:
    """Whether a trial's course is another one under another first goal."""
    training = config.get("training")
    stops_early = isinstance(training, Mapping) and bool(training.get("early_stop"))
    ends_epochs = "command" in config and bool(config.get("metrics"))
    has_deviation = f"{goal.metric}_std" in outcome.metrics
    return stops_early or ends_epochs or has_deviation or outcome.state is not State.COMPLETE


def _without(names: set[str], metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name not in names}
