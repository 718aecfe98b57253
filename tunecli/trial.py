"""A trial and its results as frozen values: state, outcome, failure, checkpoint, step, observation, fresh runs.

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
    """Why a trial failed."""

    OOM = "oom"
    DIVERGED = "diverged"
    TIMEOUT = "timeout"
    CRASH = "crash"
    ERROR = "error"
    LOST = "lost"
    INTERRUPTED = (
        "interrupted"  # a signal, a limit of epochs or a person ended the attempt; never a failed trial
    )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or a trial failed: the kind, the cause in one line, and the traceback (may be empty)."""

    kind: FailureKind
    cause: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that failed or was interrupted, and whose trial is tried again; ``failure`` says why.

    If it is the attempt that gave the trial's result, ``failure`` is the limit or the person that ended it.
    """

    number: int
    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trial's state at the end of an epoch, in a file.

    Attributes:
        name: the file's name, in the run folder's checkpoints.
        sha256: SHA-256 of its content, in hexadecimal.
        epoch: the epoch, from 1.
    """

    name: str
    sha256: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: complete, pruned, paused or failed.
        score: the objective at ``kept_epoch``; None if the trial failed.
        metrics: every metric at ``kept_epoch``, by name.
        epochs: number of epochs that were trained.
        kept_epoch: the last epoch, or the best one under early stopping, from 1; 0 if no epoch ended.
        seconds: training time, monotonic clock.
        device: where it ran, for example ``cpu`` or ``cuda:0``.
        failure: why it failed; None unless the state is failed.
        weights_sha256: SHA-256 of the weights file; empty if the weights were not kept. Whether they were kept depends
            on which trials led when it ended, and so on the speed of other trials.
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


@dataclass(frozen=True)
class EarlierStudy:
    """The complete trials of an earlier study that a new one learns from, as points of the new study's space.

    Attributes:
        name: its run folder, as the file names it.
        points: the trials that fit the space, by number.
        losses: the loss of each point, in the unit of the earlier study; lower is better.
        unknown: the parameters of which no trial has a value; the points have the default or the middle there.
        n_complete: the number of its complete trials.
        n_fitting: the number of those that fit the space. There are fewer points if these are very many.
        left_out: by parameter, the number of trials whose value the space does not contain.
        basis: the source of the losses, if they are not those of the study's own objective; else empty.
    """

    name: str
    points: tuple[Parameters, ...]
    losses: tuple[float, ...]
    unknown: tuple[str, ...] = ()
    n_complete: int = 0
    n_fitting: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A point of the space with its seed, its state and its outcome; ``number`` is its identity."""

    number: int
    parameters: Parameters
    seed: int
    state: State = State.WAITING
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a study whose trials pause: it begins or continues a trial, up to a rung.

    Attributes:
        step: index in the study's sequence of steps, from 0.
        number: the trial's number.
        rung: the pruner's rung that the trial is trained to, from 0; the last rung is a full training.
        until_epoch: the epoch after which it pauses; None: it is trained to its end.
    """

    step: int
    number: int
    rung: int
    until_epoch: int | None


@dataclass(frozen=True, slots=True)
class Observation:
    """A trial, as a sampler sees it.

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


class Stage(StrEnum):
    """The purpose of a fresh run."""

    RACE = "race"  # it compares the candidates
    QUOTE = "quote"  # it gives the confirmed score, and takes no part in the choice


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The plan of a confirmation: the trials that are trained again with fresh seeds.

    Attributes:
        id: counts the study's confirmations, from 1.
        candidates: the trials' numbers, in the order in which they were chosen; no fresh run chose them.
        request: the request for them: ``{"top": 3}`` or ``{"trials": [4, 7]}``.
        is_split: whether each repeat has a split of the data of its own, which all candidates share.
        n_trials: the number of trials that had ended when the candidates were chosen.
    """

    id: int
    candidates: tuple[int, ...]
    request: Mapping[str, int | list[int]]
    is_split: bool
    n_trials: int


@dataclass(frozen=True, slots=True)
class FreshRun:
    """A training of a candidate with a fresh seed; it is no trial, and no sampler sees it.

    Attributes:
        confirmation: the id of its confirmation.
        number: the candidate.
        repeat: its name in the seed; no other run of the candidate has it, in any confirmation.
        stage: its purpose.
        seed: of initialisation, shuffling and dropout.
        split_seed: of the split of the data; None: the study's seed.
        opening: counts the openings of the test part of the study's data, from 1; 0: the run does not open it.
        outcome: how it ended, complete or failed; None: it has not ended.
        host: the machine on which it ended; empty: the coordinator's, or it has not ended.
    """

    confirmation: int
    number: int
    repeat: int
    stage: Stage
    seed: int
    split_seed: int | None = None
    opening: int = 0
    outcome: Outcome | None = None
    host: str = ""
