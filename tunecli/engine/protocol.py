"""The engine protocol: jobs in, events out.

`tunecli.engine.inline.InlineEngine` and `tunecli.engine.local.LocalEngine` implement it, and
`tunecli.testing.EngineContract` tests every implementation. `run_job` drains an engine that runs a single trial.

The events of one job come in this order:

1. at most one `Started`;
2. any number of `EpochEnded` and `Checkpointed`;
3. exactly one of `Ended`, `Paused` and `Stopped`, even where the worker died or the device was lost. A job pauses only
   at the epoch that it names. It stops only after `Engine.stop`, or where another job of its group ended the group.

Events of different jobs may interleave. An engine never touches the record (one-writer).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from tunecli.knob import Knob
from tunecli.messages import Ended, Event, Job, Paused, Stopped
from tunecli.trial import Outcome

WAIT_S = 0.2
"""How long a caller that has other things to do waits for events at a time, in seconds."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The settings that an engine is made from.

    Attributes:
        n_workers: the largest number of jobs at a time, at least 1.
        threads: threads of each worker.
        needs_torch: whether the trials need torch.
        workers_lock: the file of which every worker process holds a shared lock while it lives; None: no file.
        per_device: the largest number of jobs on one accelerator at a time, at least 1.
        settings: the engine's own settings in the file, as the model of its registry entry; None: it has none.
        device: ``run.device``.
        n_devices: ``run.devices_per_trial``.
        folder: the run folder, for an engine whose workers may not see it; None: the jobs belong to no study.
        base_path: the absolute folder that the names in ``files`` start from, as in the jobs' `Files.base_path`.
        files: SHA-256 of the user's files of code and data that trials read, by name, as the study recorded them;
            only for an engine that runs them elsewhere. A hash is empty for a file of an image folder: the record has
            one for the whole folder. A file outside of ``base_path`` has a relative name if the study's file has
            one for it, and else its absolute path.
        versions: the versions of the software here, by package, for such an engine: a machine with others may compute
            other bits.
    """

    n_workers: int
    threads: int
    needs_torch: bool = True
    workers_lock: Path | None = None
    per_device: int = 1
    settings: Knob | None = None
    device: str = "auto"
    n_devices: int = 1
    folder: Path | None = None
    base_path: Path | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine on which an engine runs trials.

    Attributes:
        name: its name.
        n_slots: number of jobs that it has room for.
        devices: kinds of its accelerators, such as ``cuda``, each as often as there are accelerators.
        versions: the versions of the software on it, by package; empty: not known yet.
    """

    name: str
    n_slots: int
    devices: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many jobs an engine has room for, and where.

    Attributes:
        n_slots: number of jobs at a time.
        hosts: the machines; empty: this machine.
        can_grow: whether there may be more machines later, as with an autoscaler.
    """

    n_slots: int
    hosts: Sequence[Host] = ()
    can_grow: bool = False


class Engine(Protocol):
    """Runs jobs, on this machine or on others."""

    @property
    def n_workers(self) -> int:
        """Number of workers: how many `submit` calls can be under way at a time."""

    @property
    def n_idle(self) -> int:
        """Number of workers without a job."""

    def submit(self, *jobs: Job) -> None:
        """Give an idle worker a job, or several jobs to train together as one model.

        Raises:
            RuntimeError: no worker is idle; callers ask `n_idle` first.
        """

    def events(self, wait_s: float) -> Iterator[Event]:
        """Yield the events that have come; wait up to ``wait_s`` seconds for the first.

        Raises:
            DiskFull, StoreFailed: a worker could not write a file of its trial. Events yielded before it remain valid.
        """

    def stop(self) -> None:
        """Ask every running job to stop at its epoch's end, with a checkpoint if the job keeps checkpoints."""

    def close(self) -> None:
        """End every worker at once. Running jobs are lost; their trials stay as they are recorded."""


@runtime_checkable
class EndsOneJob(Protocol):
    """An engine that can end one of its jobs; with any other one `tunecli stop --trial` has no effect."""

    def end(self, number: int) -> None:
        """Ask one job to end now, if it runs.

        The job's last event is then an `Ended` of the state pruned, with ``ended_by``, unless it ends by itself first.
        """


@runtime_checkable
class HasNotices(Protocol):
    """An engine that tells why its jobs wait."""

    def notices(self) -> Sequence[str]:
        """Return a sentence for each thing that it waits for now, for example a cluster with too few nodes.

        A notice is shown once when it appears, and again only after it was absent.
        """


@runtime_checkable
class HasHosts(Protocol):
    """An engine that runs jobs on several machines. The record then names the versions on each of them."""

    def hosts(self) -> Sequence[Host]:
        """Return the machines that run jobs now, with their versions; `Started.host` has the same names."""


def run_job(engine: Engine, job: Job) -> Generator[Event]:
    """Run one job on an engine that has no other; yield its events to the last, then close the engine.

    The job begins when the caller takes the first event. Closing the iterator early ends the job.

    Raises:
        DiskFull, StoreFailed: as of `Engine.events`.
    """
    try:
        engine.submit(job)
        while True:
            for event in engine.events(WAIT_S):
                yield event
                if isinstance(event, Ended | Paused | Stopped):
                    return
    finally:
        engine.close()


def run_to_end(engine: Engine, job: Job) -> Outcome:
    """Run one job on an engine that has no other, close the engine, and return how the trial ended.

    Raises:
        DiskFull, StoreFailed: as of `Engine.events`.
        RuntimeError: the job paused or was stopped, so that its trial did not end.
    """
    with closing(run_job(engine, job)) as events:
        for event in events:
            if isinstance(event, Ended):
                return event.outcome
    raise RuntimeError(f"trial {job.number} stopped before its end")
