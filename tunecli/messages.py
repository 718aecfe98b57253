"""Messages of a sweep: the coordinator sends a `Job` to a worker, which answers with events.

The events of an attempt are `Started`, then `EpochEnded` and `Checkpointed`, and one of `Ended`, `Paused` or `Stopped`.
All are plain data that survives JSON; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

from tunecli.objective import Objective
from tunecli.trial import Checkpoint, FailedAttempt, Failure, Outcome, Parameters, Trial


class Order(IntEnum):
    """The coordinator's order to a running job; only `GO_ON` is false."""

    GO_ON = 0
    STOP = 1  # end the attempt: a later one goes on from it
    FINISH = 2  # end the trial as complete, with its result so far


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the user's own command or function runs, as the settings under ``run`` say it.

    Attributes:
        cwd: the working folder: ``config``, ``trial`` or a path; empty: the folder of the configuration file for a
            command, and the folder in which tunecli was started for a function.
        link: names and patterns of the files and folders that are linked into the trial's own folder.
        env: environment variables by name, with their placeholders; None removes a variable.
        python: the interpreter or the virtual environment of a command; empty: the interpreter of tunecli.
    """

    cwd: str = ""
    link: Sequence[str] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    python: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """What to train: all that a trial's score is a function of, apart from `Execution`.

    Attributes:
        config: the concrete trial, without ranges.
        objective: the metrics to report, and their directions.
        study_seed: seed of the split of the data; the same for every trial of a study.
        seed: seed of this trial's initialisation, shuffling and dropout.
        repeats: number of trainings, each with a seed made from ``seed``; the trial's metrics are their means.
        open_test: whether to evaluate the kept weights on the test part; never in a search.
        code: the expected SHA-256 of each of the user's own files, by its path relative to ``Files.base_path``.
        surroundings: where the user's own command or function runs.
        refit: the validation losses of the epochs that a trial keeps, from its record. The job trains as many epochs on
            all rows but those of the test part, and has no score. None: it is an ordinary training.
        threshold: with ``refit``, the recorded threshold of the decided classes; None: the trial tuned none.
    """

    config: Mapping[str, Any]
    objective: Objective
    study_seed: int
    seed: int
    repeats: int = 1
    open_test: bool = False
    code: Mapping[str, str] = field(default_factory=dict)
    surroundings: Surroundings = Surroundings()
    refit: Sequence[float | None] | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """Where a job reads and writes files.

    Attributes:
        base_path: the folder that relative file names start from.
        weights_path: the model file for the kept weights; empty: keep no weights.
        has_only_weights: whether that file holds the weights alone, and nothing else that a model file holds.
        keep_below: keep the weights only if the trial's loss (``sign * score``) is below this; None: always, as with
            constraints or several objectives, where the loss alone does not decide.
        checkpoint_dir: the folder for the user's own checkpoints; empty: a temporary one.
        trial_dir: the trial's own working folder, for ``cwd: trial``; empty: a temporary one.
        checkpoints_path: the folder of our checkpoints; empty: write no checkpoints.
        checkpoint_epochs: epochs between two checkpoints; None: as many as keep their cost small; 0: write a
            checkpoint only when the sweep stops.
        reports_path: the file that buffers the reports of the user's own code; empty: none.
        log_path: the file for the output of the user's own code; empty: none.
        log_limit_bytes: the largest size of that file; 0: no file.
    """

    base_path: str = "."
    weights_path: str = ""
    has_only_weights: bool = False
    keep_below: float | None = None
    checkpoint_dir: str = ""
    trial_dir: str = ""
    checkpoints_path: str = ""
    checkpoint_epochs: int | None = None
    reports_path: str = ""
    log_path: str = ""
    log_limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """When an attempt ends before its full training.

    Attributes:
        time_s: the longest time it may take; None: unlimited.
        idle_s: the longest time between two epochs' ends; None: unlimited.
        memory_bytes: the most memory that it and the processes that it started may use; None: unlimited.
        stop_above: bounds of the least loss so far (``sign * objective``). A trial above its epoch's bound is pruned;
            None: no bound at this epoch. Epochs beyond the last bound have no bound.
        stop_epochs: the epochs of ``stop_above``, ascending; each bound holds until the next. Empty: 1, 2, 3, …
        until_epoch: the epoch after which the trial pauses, with a checkpoint; None: train it to its end. Its schedules
            know the full length either way.
        end_epoch: the epoch with which the trial is complete, even if it could go on; None: it ends by itself.
        max_epoch: the last epoch that counts. If the user's own code reports a later one, the trial is complete
            without it; None: every epoch counts.
        is_kept: whether a trial that reaches ``time_s`` or ``idle_s`` is complete with its result so far.
    """

    time_s: float | None = None
    idle_s: float | None = None
    memory_bytes: int | None = None
    stop_above: Sequence[float | None] = ()
    stop_epochs: Sequence[int] = ()
    until_epoch: int | None = None
    end_epoch: int | None = None
    max_epoch: int | None = None
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a trial's earlier attempts ended; all empty for a first attempt.

    Attributes:
        checkpoints: the newest first; the first one that is intact is loaded.
        recorded: epochs of a trial of the user's own that are on record, each with its metrics.
        epoch_offset: number that was added to the user's own count of epochs to get those; None: no recorded epochs.
    """

    checkpoints: Sequence[Checkpoint] = ()
    recorded: Sequence[tuple[int, Mapping[str, float]]] = ()
    epoch_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and how an attempt computes.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, …
        threads: intra-op threads.
        n_devices: number of devices that a command or a function of the user uses; the built-in loop uses one.
        slot: index of the engine's worker, from 0; it picks one of several devices of a kind.
        avoid_devices: names of devices that must not be used.
        micro_batches: number of parts of each batch; its gradient is the mean of theirs.
        is_fused: whether to train it in a stack of models where possible, even alone: the bits differ.
        is_isolated: whether a trial of the user's own code runs in a process of its own.
    """

    device: str = "auto"
    threads: int = 1
    n_devices: int = 1
    slot: int = 0
    avoid_devices: Sequence[str] = ()
    micro_batches: int = 1
    is_fused: bool = False
    is_isolated: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """Everything a worker needs for one attempt at one trial.

    Attributes:
        number: the trial's number.
        attempt: 1 for the first attempt, one more for each further one.
        task: what to train.
        files: where files go.
        limits: when it ends early.
        resume: where to go on from.
        execution: where and how it computes.
    """

    number: int
    attempt: int
    task: Task
    files: Files = Files()
    limits: Limits = Limits()
    resume: ResumePoint = ResumePoint()
    execution: Execution = Execution()


@dataclass(frozen=True, slots=True)
class Started:
    """A worker began an attempt.

    Attributes:
        number, attempt: the trial and the attempt.
        device: where it trains.
        process_id: the worker's process.
        from_epoch: the epoch of the checkpoint that it goes on from; 0: it trains from the start.
        note: why a checkpoint could not be used; empty if there was no problem.
        host: the name of the worker's machine; empty: the coordinator's machine.
    """

    number: int
    attempt: int
    device: str
    process_id: int
    from_epoch: int = 0
    note: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """An epoch ended.

    Attributes:
        number, attempt: the trial and the attempt.
        epoch: the epoch, from 1.
        total_epochs: planned number of epochs; 0 if unknown.
        metrics: the epoch's metrics, by name.
        seconds: duration of the epoch.
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
    """A checkpoint is complete and durable: the trial can go on from it even if its worker dies."""

    number: int
    attempt: int
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Stopped:
    """An attempt was interrupted for a reason outside its trial (``cause``); the trial is resumed later."""

    number: int
    attempt: int
    cause: str = "a signal stopped the sweep"


@dataclass(frozen=True, slots=True)
class Paused:
    """The trial reached `Limits.until_epoch`, and may be continued later.

    ``outcome`` has the state paused, and the metrics up to that epoch: the trial's result if it is never continued.
    """

    number: int
    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ended:
    """The trial ended: complete, pruned or failed.

    Attributes:
        number, attempt: the trial and the attempt.
        outcome: how it ended.
        note: is shown to the user; it may be empty.
        ended_by: the limit or the person that ended a trial which could have gone on; None: it ended by itself, was
            pruned by the pruner, or failed.
    """

    number: int
    attempt: int
    outcome: Outcome
    note: str = ""
    ended_by: Failure | None = None


Event = Started | EpochEnded | Checkpointed | Stopped | Paused | Ended


@dataclass(frozen=True, slots=True)
class Origins:
    """How a study's sampler makes suggestions, so that a display can say where a trial comes from.

    Attributes:
        start: the points of `search.start`, which are tried first.
        default: the point of the file's defaults, the first one after ``start``; None: there is none.
        draws: what a suggestion without a model is, for example ``quasi-random``; ``initial``: of several kinds.
        initial: numbers of the trials that are suggested without a model; None: all of them.
        earlier: the points of earlier studies; the best of them are tried first.
    """

    start: tuple[Parameters, ...] = ()
    default: Parameters | None = None
    draws: str = ""
    initial: frozenset[int] | None = None
    earlier: tuple[Parameters, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepInfo:
    """Facts that a display shows above the trials; they do not change during a sweep.

    Attributes:
        study: the study's name.
        objective: the study's objective.
        n_trials: the total.
        n_workers: number of jobs that run at a time.
        names: the parameters' names, in the order of the file.
        labels: by parameter and by a value's ``repr``, what to show in place of a value that says too little.
        scales: by numeric parameter, the ends of its range, and whether its scale is logarithmic.
        origins: how the sampler makes suggestions.
    """

    study: str
    objective: Objective
    n_trials: int
    n_workers: int
    names: tuple[str, ...] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    scales: Mapping[str, tuple[float, float, bool]] = field(default_factory=dict)
    origins: Origins = field(default_factory=Origins)


class Display(Protocol):
    """Shows a sweep while it runs. It cannot stop training: after its first failure it is not called any more."""

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None:
        """The sweep begins or goes on, with these trials on record."""

    def suggested(self, trial: Trial) -> None:
        """A trial was recorded, and a worker gets it next."""

    def happened(self, event: Event | FailedAttempt) -> None:
        """An event was recorded; `FailedAttempt` replaces an end after which the trial is tried again."""

    def noticed(self, notices: Sequence[str]) -> None:
        """The engine has other notices: a sentence for each reason why its jobs wait now; empty: none wait.

        A display without this method is not called.
        """

    def ended(self) -> None:
        """Nothing more will come."""
