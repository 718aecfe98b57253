"""The contract of an engine: each job ends exactly once, even if its worker dies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tunecli.engine import engine_named
from tunecli.engine.protocol import EndsOneJob, Engine, EngineOptions
from tunecli.knob import NamedKnob
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job, Started, Stopped, Task
from tunecli.objective import Objective
from tunecli.registry.engines import EngineInfo
from tunecli.registry.implementations import implementation
from tunecli.trial import FailureKind, State

_WAIT_S = 5.0


def job_of(number: int, **config: Any) -> Job:
    """Return a job of a small trial on the CPU; ``config`` are keys of the trial."""
    whole = {
        "data": {"source": "iris"},
        "model": {"name": "mlp", "hidden": [8]},
        "training": {"epochs": 3, "batch_size": 32},
        **config,
    }
    job = Job(number, 1, Task(whole, Objective("val_accuracy", True), 1, 100 + number))
    return replace(job, execution=replace(job.execution, device="cpu"))


def drain(engine: Engine, n_ends: int = 1) -> list[Event]:
    """Return all events up to the end of so many jobs."""
    found: list[Event] = []
    while sum(isinstance(event, Ended) for event in found) < n_ends:
        found.extend(engine.events(_WAIT_S))
    return found


def _up_to(engine: Engine, epoch: int) -> list[Event]:
    """Return all events up to the end of an epoch, without checkpoints."""
    found: list[Event] = []
    while True:
        for event in engine.events(_WAIT_S):
            if not isinstance(event, Checkpointed):
                found.append(event)
            if isinstance(event, EpochEnded) and event.epoch == epoch:
                return found


def end_of(engine: Engine) -> Ended:
    """Return the end of the one job that an engine has."""
    *_, ended = drain(engine)
    assert isinstance(ended, Ended)
    return ended


class EngineContract:
    """The contract of every engine. Subclass it in a test module and set ``engine``.

    Attributes:
        engine: the registry entry.
        settings: its settings; None: it has none.
    """

    engine: ClassVar[EngineInfo]
    settings: ClassVar[NamedKnob | None] = None

    def make(self) -> Engine:
        """Return an engine of one worker."""
        made: Engine = implementation(self.engine.implementation)(EngineOptions(1, 1, settings=self.settings))
        return made

    @pytest.fixture
    def made(self) -> Iterator[Engine]:
        """An engine of one worker, closed at the end."""
        made = self.make()
        yield made
        made.close()

    def test_it_has_the_workers_that_were_asked_for(self, made: Engine) -> None:
        assert made.n_workers == made.n_idle == 1
        made.submit(job_of(0))
        assert made.n_idle == 0
        drain(made)
        assert made.n_idle == 1

    def test_a_job_starts_ends_its_epochs_in_order_and_ends_once(self, made: Engine) -> None:
        made.submit(job_of(4))
        found = drain(made)
        assert [type(event) for event in found] == [Started, EpochEnded, EpochEnded, EpochEnded, Ended]
        assert [event.epoch for event in found if isinstance(event, EpochEnded)] == [1, 2, 3]
        assert {event.number for event in found} == {4}
        assert isinstance(found[-1], Ended) and found[-1].outcome.state is State.COMPLETE

    def test_a_failed_trial_ends_and_the_next_job_runs(self, made: Engine) -> None:
        made.submit(job_of(0, optimizer={"name": "sgd", "lr": 1e30}))
        outcome = end_of(made).outcome
        assert outcome.state is State.FAILED
        assert outcome.failure is not None and outcome.failure.kind is FailureKind.DIVERGED
        made.submit(job_of(1))
        assert end_of(made).outcome.state is State.COMPLETE

    def test_an_engine_without_a_job_has_no_events(self, made: Engine) -> None:
        assert list(made.events(0.0)) == []
        made.submit(job_of(0))
        drain(made)
        assert list(made.events(0.0)) == []

    def test_a_trial_has_the_same_bits_as_in_this_process(self, made: Engine) -> None:
        inline = engine_named("inline", EngineOptions(1, 1))
        scores = []
        for engine in (inline, made):
            engine.submit(job_of(0))
            scores.append(end_of(engine).outcome.metrics)
        assert scores[0] == scores[1]

    def test_a_trial_past_its_time_limit_ends_as_timeout_and_the_next_job_runs(self, made: Engine) -> None:
        endless = job_of(0, training={"epochs": 1_000_000})
        made.submit(replace(endless, limits=replace(endless.limits, time_s=0.2)))
        outcome = end_of(made).outcome
        assert outcome.failure is not None and outcome.failure.kind is FailureKind.TIMEOUT
        made.submit(job_of(1))
        assert end_of(made).outcome.state is State.COMPLETE

    def test_a_job_that_is_ended_by_hand_is_pruned_and_the_next_job_runs(self, made: Engine) -> None:
        if not isinstance(made, EndsOneJob):
            return
        made.submit(job_of(0, training={"epochs": 1_000_000}))
        _up_to(made, 1)
        made.end(1)  # another trial, which does not run
        made.end(0)
        ended = end_of(made)
        assert ended.outcome.state is State.PRUNED
        assert ended.ended_by is not None and ended.ended_by.kind is FailureKind.INTERRUPTED
        made.end(0)  # it has ended
        made.submit(job_of(1))
        assert end_of(made).outcome.state is State.COMPLETE

    def test_a_trial_within_its_time_limit_completes(self, made: Engine) -> None:
        job = job_of(0)
        made.submit(replace(job, limits=replace(job.limits, time_s=300.0, idle_s=300.0)))
        assert end_of(made).outcome.state is State.COMPLETE

    def test_a_job_stops_at_its_epochs_end_and_continues_from_its_checkpoint(
        self, made: Engine, tmp_path: Path
    ) -> None:
        job = job_of(0, training={"epochs": 100_000, "batch_size": 32})
        whole = replace(job, files=replace(job.files, checkpoints_path=str(tmp_path)))
        made.submit(whole)
        found: list[Event] = []
        while not any(isinstance(event, Stopped) for event in found):
            found.extend(made.events(_WAIT_S))
            if any(isinstance(event, EpochEnded) for event in found):
                made.stop()
        last = [event.checkpoint for event in found if isinstance(event, Checkpointed)][-1]
        assert last.epoch == sum(isinstance(event, EpochEnded) for event in found)
        made.submit(replace(whole, attempt=2, resume=replace(whole.resume, checkpoints=(last,))))
        started, resumed = _up_to(made, last.epoch + 1)
        assert isinstance(started, Started) and started.from_epoch == last.epoch
        made.close()
        another = self.make()
        another.submit(replace(whole, attempt=3))
        *_, undisturbed = _up_to(another, last.epoch + 1)
        another.close()
        assert isinstance(resumed, EpochEnded) and isinstance(undisturbed, EpochEnded)
        assert resumed.metrics == undisturbed.metrics

    def test_stop_does_not_affect_the_next_job(self, made: Engine) -> None:
        made.submit(job_of(0))
        drain(made)
        made.stop()
        made.submit(job_of(1))
        assert end_of(made).outcome.state is State.COMPLETE
