"""A trial and its results as frozen values: state, outcome, failure, checkpoint, step, and what a sampler sees of it.

Each is plain data that survives JSON; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Scalar = None | bool | int | float | str
Parameters = Mapping[str, Scalar]
"""A trial's point in the space: the path of each active parameter under ``trial``, and its value."""


class State(StrEnum):
    """A trial's state. The last three are final; a paused trial may be continued."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def shown(self) -> State:
        """The state that tables, JSON and messages show: pruned for a paused trial, itself otherwise."""
        return State.PRUNED if self is State.PAUSED else self


class FailureKind(StrEnum):
    """Why a trial failed ."""

    OOM = "oom"
    DIVERGED = "diverged"
    TIMEOUT = "timeout"
    CRASH = "crash"
    ERROR = "error"
    LOST = "lost"
    INTERRUPTED = "interrupted"  # of an attempt that a signal stopped, never of a trial


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as data: its kind, its cause in one line, and the traceback where there is one."""

    kind: FailureKind
    cause: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that ended without ending its trial, which is tried again: ``failure`` says why."""

    number: int
    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a trial can go on from: its state at the end of ``epoch``, in the file ``name``.

    Attributes:
        name: the file's, in the run folder's checkpoints.
        sha256: of its content, in hexadecimal.
        epoch: counted from 1.
    """

    name: str
    sha256: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: complete, pruned or failed.
        score: the objective at ``kept_epoch``; None where the trial failed.
        metrics: every metric at ``kept_epoch``, by name.
        epochs: how many epochs were trained.
        kept_epoch: 1-based: the last one, or the best one under early stopping; 0 where none ended.
        seconds: time spent training this trial, monotonic clock.
        device: where it ran, for example ``cpu`` or ``cuda:0``.
        failure: set exactly where the state is failed.
        weights_sha256: of the weights file, where this trial's weights were kept; else empty. Whether they were kept
            depends on which trials led when it ended, and so on how fast its neighbours were.
    """

    state: State
    score: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    kept_epoch: int = 0
    seconds: float = 0.0
    device: str = ""
    failure: Failure | None = None
    weights_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the space and what became of it; ``number`` is its identity."""

    number: int
    parameters: Parameters
    seed: int
    state: State = State.WAITING
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a study whose trials pause does next: begin a trial, or continue one, and how far.

    Attributes:
        step: its place in the study's one sequence of steps, from 0.
        number: the trial's.
        level: to which of the pruner's levels the trial is trained; the last one is its end.
        until_epoch: the epoch after which it pauses; None: it is trained to its end.
    """

    step: int
    number: int
    level: int
    until_epoch: int | None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sampler sees of a trial.

    Attributes:
        number, parameters: the trial's number and point.
        state: waiting or paused while its result must not be seen yet (speed-independence). A paused trial has not
            failed so far.
        loss: ``sign * score``, lower is better; for a paused trial its loss at the epoch where it paused, if that
            counts. None while the trial is pending, and if it failed.
        losses: the losses of all objectives if there are several; else empty.
        violations: the violation of each constraint, 0 or less where it is satisfied; empty without a loss.
    """

    number: int
    parameters: Parameters
    state: State
    loss: float | None = None
    losses: tuple[float, ...] = ()
    violations: tuple[float, ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether its result is still to come, as far as the sampler sees."""
        return self.loss is None and self.state in (State.WAITING, State.RUNNING, State.PAUSED)
