"""Jobs for the tests of fused trials, and their events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.support.jobs import make_job
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job
from tunecli.objective import Objective
from tunecli.trial import Outcome

ACCURACY = Objective("val_accuracy", True)
SMALL: dict[str, Any] = {
    "data": {"source": "iris"},
    "model": {"name": "mlp", "hidden": [16]},
    "optimizer": {"name": "adam", "lr": 0.01},
    "training": {"epochs": 3, "batch_size": 32},
}


def job_of(number: int, config: Mapping[str, Any] = {}, objective: Objective = ACCURACY, **knobs: Any) -> Job:
    """A trial of the small study; its number is in its seed."""
    options = {"device": "cpu", "study_seed": 7, "seed": 100 + number, **knobs}
    return make_job(number, {**SMALL, **config}, objective, **options)


def epochs_of(events: Iterable[Event]) -> dict[int, list[Mapping[str, float]]]:
    """The metrics of each epoch, by trial."""
    found: dict[int, list[Mapping[str, float]]] = {}
    for event in events:
        if isinstance(event, EpochEnded):
            found.setdefault(event.number, []).append(event.metrics)
        if isinstance(event, Ended) and event.outcome.failure is not None:
            raise AssertionError(event.outcome.failure.traceback or event.outcome.failure.cause)
    return found


def outcomes_of(events: Iterable[Event]) -> dict[int, Outcome]:
    """The outcome of each trial, by trial."""
    return {event.number: event.outcome for event in events if isinstance(event, Ended)}


def checkpoints_of(events: Sequence[Event], number: int) -> list[Checkpointed]:
    """A trial's checkpoints, the newest first."""
    return [e for e in events if isinstance(e, Checkpointed) and e.number == number][::-1]
