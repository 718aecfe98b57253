"""The vocabulary every room shares: frozen values, no behaviour.

A trial's life is a row of records. The coordinator writes a `Trial` (a suggestion) before anybody runs it;
an engine turns it into a `Job`; whoever trains answers with events: `Started`, `EpochEnded`, `Checkpointed`, and
`Ended`, `Paused` or `Stopped`. All of them are plain data that survives JSON, so nothing here is ever pickled (law 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Scalar = None | bool | int | float | str
Parameters = Mapping[str, Scalar]
"""A trial's point in the space: the path of each active parameter under ``trial``, and its value."""


class State(StrEnum):
    """Where a trial stands. Only the last three are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


class FailureKind(StrEnum):
    """Why a trial failed (law 6)."""

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
class Constraint:
    """A metric that is to be at most ``bound``, or at least that where it ``is_least``."""

    metric: str
    bound: float
    is_least: bool = False

    def excess(self, value: float) -> float:
        """How far a value of the metric is beyond the bound, in its unit; 0 or less where the constraint holds."""
        return self.bound - value if self.is_least else value - self.bound

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.is_least else '<='} {self.bound:.12g}"


@dataclass(frozen=True, slots=True)
class Objective:
    """What is optimised: a metric's name and whether more of it is better.

    Where the metric is the user's own function, ``python`` is its ``module:name``, called with ``args`` by name.

    Attributes:
        metric: the score. Where there are several goals it is the first one's, which early stopping goes by too.
        maximize: whether more of it is better.
        python, args: see above.
        others: the further goals, none of which has others or constraints.
        constraints: what a trial is to hold besides.
    """

    metric: str
    maximize: bool
    python: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    @property
    def sign(self) -> float:
        """``sign * score`` is a loss: lower is better whatever the direction."""
        return -1.0 if self.maximize else 1.0

    @property
    def goals(self) -> tuple[Objective, ...]:
        """All that is optimised, the score's first."""
        return (self, *self.others)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a trial must give: the goals' and then the constraints'."""
        named = [*(goal.metric for goal in self.goals), *(each.metric for each in self.constraints)]
        return tuple(dict.fromkeys(named))

    def losses(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """Each goal's value with its sign turned so that lower is better; NaN where there is none."""
        return tuple(goal.sign * metrics.get(goal.metric, float("nan")) for goal in self.goals)

    def excesses(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """How far each constraint is exceeded, 0 or less where it holds; NaN where there is no value."""
        return tuple(each.excess(metrics.get(each.metric, float("nan"))) for each in self.constraints)


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
    """A trial as a sampler may see it.

    ``loss`` is the score with its sign turned so that lower is better; None while the trial counts as
    pending (law 5) and where it failed. A pending one is running where it has paused, and so did not fail until then,
    else waiting. Where there is a loss, ``losses`` are those of all goals, empty where there is one; ``excesses`` say
    how far each constraint is exceeded, 0 or less where it holds.
    """

    number: int
    parameters: Parameters
    state: State
    loss: float | None = None
    losses: tuple[float, ...] = ()
    excesses: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a worker needs to train one trial; plain JSON data.

    Attributes:
        number: the trial's number.
        attempt: 1 for the first run of this trial, one more each time it is run again.
        config: the concrete trial, as ``trial_of`` reads it.
        objective: metric and direction.
        study_seed: names the split of the data, the same for every trial of a study.
        seed: names initialisation, shuffling and dropout of this trial.
        repeats: how many times it is trained, over as many seeds made from its own; its metrics are the means.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, …
        threads: intra-op threads while it trains.
        base_path: the folder that relative file names start from.
        weights_path: where to keep the weights; empty: nowhere.
        keep_below: keep the weights only where the trial's loss (``sign * score``) is below this; None: always, as
            where constraints or several goals say more than the loss does.
        checkpoint_dir: the folder for what the user's own training keeps; empty: one that goes when it ends.
        code: the SHA-256 of each of the user's own files as the study knows them, by its path from ``base_path``.
        time_limit_s, idle_limit_s: how long it may take, and go without an epoch's end; None: for ever.
        open_test: whether the test part is read, and the kept weights' metrics on it told; never in a search.
        checkpoints_path: the folder of checkpoints; empty: none is kept.
        checkpoint_epochs: write one every so many epochs; None: as often as costs little; 0: only when asked to stop.
        checkpoints: where to go on from, the newest first; the first that is sound is taken.
        stop_above: for each epoch from the first on, the loss (``sign * objective``) above which the least loss so
            far ends the trial as pruned; None: it goes on. Epochs past its end have no such bound.
        stop_epochs: the epochs of ``stop_above``, ascending, each of which holds up to the next; empty: 1, 2, 3, …
        micro_batches: into how many parts each batch is split, its gradient being the mean of theirs.
        slot: which of the engine's workers runs it, from 0; of several devices of a kind it takes the one in turn.
        avoid_devices: devices that are not to be used, by name.
        is_fused: whether it is computed as one of a stack of models, where it can be, be it alone; the bits differ.
        until_epoch: the epoch after which the trial pauses, a checkpoint behind it; None: it is trained to its end.
            What it is trained with is the same either way: its schedules know its full length.
        recorded: of a trial of the user's own, the epochs that earlier attempts have on record, each with its metrics.
        epoch_offset: what was added to the user's own count of epochs to get those; None: there are none.
        reports_path: the file that each report of the user's own is kept in first; empty: none.
    """

    number: int
    attempt: int
    config: Mapping[str, Any]
    objective: Objective
    study_seed: int
    seed: int
    repeats: int = 1
    device: str = "auto"
    threads: int = 1
    base_path: str = "."
    weights_path: str = ""
    keep_below: float | None = None
    checkpoint_dir: str = ""
    code: Mapping[str, str] = field(default_factory=dict)
    time_limit_s: float | None = None
    idle_limit_s: float | None = None
    open_test: bool = False
    checkpoints_path: str = ""
    checkpoint_epochs: int | None = None
    checkpoints: Sequence[Checkpoint] = ()
    stop_above: Sequence[float | None] = ()
    stop_epochs: Sequence[int] = ()
    micro_batches: int = 1
    slot: int = 0
    avoid_devices: Sequence[str] = ()
    is_fused: bool = False
    until_epoch: int | None = None
    recorded: Sequence[tuple[int, Mapping[str, float]]] = ()
    epoch_offset: int | None = None
    reports_path: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """A worker began to train a trial, or goes on with it after ``from_epoch``.

    ``note`` says what of its checkpoints could not be used, and why; empty where all is well.
    """

    number: int
    attempt: int
    device: str
    process_id: int
    from_epoch: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """One epoch is over.

    Attributes:
        number, attempt: which attempt at which trial trained it.
        epoch: counted from 1.
        total_epochs: the planned number; 0 where it is not known.
        metrics: by name.
        seconds: how long it took.
        epoch_offset: the number that was added to the user's own count of epochs to get ``epoch``.
    """

    number: int
    attempt: int
    epoch: int
    total_epochs: int
    metrics: Mapping[str, float]
    seconds: float
    epoch_offset: int = 0


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """The trial can go on from here, whatever becomes of whoever trains it: the file is whole and durable."""

    number: int
    attempt: int
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Stopped:
    """The attempt is over and its trial is not, for no fault of its own (``cause``); it goes on another time."""

    number: int
    attempt: int
    cause: str = "a signal stopped the sweep"


@dataclass(frozen=True, slots=True)
class Paused:
    """The trial was trained as far as it was asked to, and may be continued another time.

    ``outcome`` is how it ends where it is not: pruned, with what it had come to.
    """

    number: int
    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ended:
    """The trial is over, one way or another; ``note`` says what else a person should know of it."""

    number: int
    attempt: int
    outcome: Outcome
    note: str = ""


Event = Started | EpochEnded | Checkpointed | Stopped | Paused | Ended


@dataclass(frozen=True, slots=True)
class SweepInfo:
    """What stays the same while a sweep runs: what a display shows above its trials.

    ``names`` are the parameters', in the order of the file; ``labels`` say by parameter what to call a value, by its
    ``repr``, where the value itself says too little.
    """

    study: str
    objective: Objective
    n_trials: int
    n_workers: int
    names: tuple[str, ...] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
