"""An engine that trains nothing: a job's losses are a function of its seed, and a random generator orders the events.

It keeps the contract of `tunecli.engine.protocol.Engine`, with checkpoints and pruning, so a study runs as on an engine
that trains. A test can end the process after any event.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.pruning import decide
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job, Paused, Started, Stopped
from tunecli.search.protocols import Bounds
from tunecli.trial import Checkpoint, Failure, FailureKind, Outcome, State

EPOCHS = 9


def loss_at(job: Job, epoch: int) -> float:
    """The loss after an epoch: it falls from one epoch to the next, and the seed sets its level."""
    return 1.0 + (job.task.seed % 97) / 97 + 1.0 / (epoch + job.task.seed % 5)


@dataclass
class FakeEngine:
    """Runs ``n_workers`` jobs at a time; ``after`` is called with the number of each event before it is yielded."""

    n_workers: int
    arrival: random.Random
    after: Callable[[int], None] = lambda _: None
    n_events: int = 0
    _jobs: dict[int, Iterator[Event]] = field(default_factory=dict)
    _is_stop_wanted: bool = False

    @property
    def n_idle(self) -> int:
        return self.n_workers - len(self._jobs)

    def submit(self, *jobs: Job) -> None:
        (job,) = jobs
        assert len(self._jobs) < self.n_workers, "no more jobs than workers"
        assert job.number not in self._jobs, "a running trial is not started again"
        self._jobs[job.number] = self._events_of(job)

    def events(self, wait_s: float) -> Iterator[Event]:
        if not self._jobs:
            return
        number = self.arrival.choice(sorted(self._jobs))
        event = next(self._jobs[number])
        if isinstance(event, Ended | Paused | Stopped):
            del self._jobs[number]
        self.n_events += 1
        self.after(self.n_events)
        yield event

    def stop(self) -> None:
        self._is_stop_wanted = True

    def close(self) -> None:
        self._jobs.clear()

    def _events_of(self, job: Job) -> Iterator[Event]:
        number, attempt = job.number, job.attempt
        from_epoch = job.resume.checkpoints[0].epoch if job.resume.checkpoints else 0
        yield Started(number, attempt, "cpu", 1, from_epoch)
        if from_epoch and from_epoch == job.limits.until_epoch:
            yield Paused(number, attempt, self._outcome(job, from_epoch, State.PAUSED))
            return
        if job.task.seed % 7 == 0 and attempt == 1:
            failure = Failure(FailureKind.CRASH, "the worker was killed by SIGKILL")
            yield Ended(number, attempt, Outcome(State.FAILED, failure=failure))
            return
        if job.task.seed % 11 == 0:
            failure = Failure(FailureKind.DIVERGED, "val_loss is not a finite number after epoch 1")
            yield Ended(number, attempt, Outcome(State.FAILED, failure=failure))
            return
        for epoch in range(from_epoch + 1, EPOCHS + 1):
            metrics = {"val_loss": loss_at(job, epoch)}
            yield EpochEnded(number, attempt, epoch, EPOCHS, metrics, 0.0)
            curve = [(e, loss_at(job, e)) for e in range(1, epoch + 1)]
            is_pruned = decide(Bounds(tuple(job.limits.stop_epochs), tuple(job.limits.stop_above)), curve)
            if is_pruned or epoch == EPOCHS:
                state = State.PRUNED if is_pruned else State.COMPLETE
                yield Ended(number, attempt, self._outcome(job, epoch, state))
                return
            is_pausing = epoch == job.limits.until_epoch
            if epoch % 2 == 1 or self._is_stop_wanted or is_pausing:
                name = f"trial-{number:05d}.{attempt}-{epoch:06d}.checkpoint.safetensors"
                yield Checkpointed(number, attempt, Checkpoint(name, "", epoch))
            if is_pausing:
                yield Paused(number, attempt, self._outcome(job, epoch, State.PAUSED))
                return
            if self._is_stop_wanted:
                yield Stopped(number, attempt)
                return

    def _outcome(self, job: Job, epoch: int, state: State) -> Outcome:
        metrics = {"val_loss": loss_at(job, epoch)}
        return Outcome(state, metrics["val_loss"], metrics, epoch, epoch, 0.0, "cpu")
