"""What the coordinator and the workers send each other: a `Job` goes out, events come back.

The events of an attempt are `Started`, then `EpochEnded` and `Checkpointed`, and one of `Ended`, `Paused` or `Stopped`.
All are plain data that survives JSON; nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunecli.objective import Objective
from tunecli.trial import Checkpoint, Outcome


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
