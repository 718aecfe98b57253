"""Draining an engine that runs a single job."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.support.jobs import change_job
from tunecli.engine.inline import InlineEngine
from tunecli.engine.protocol import run_job, run_to_end
from tunecli.messages import Ended, EpochEnded, Started
from tunecli.testing.engines import job_of
from tunecli.trial import FailureKind, State


def test_all_events_are_yielded_and_the_engine_is_closed() -> None:
    engine = InlineEngine()
    events = list(run_job(engine, job_of(4)))
    assert [type(event) for event in events] == [Started, EpochEnded, EpochEnded, EpochEnded, Ended]
    assert engine.n_idle == 1
    assert list(engine.events(0.0)) == []


def test_the_job_ends_when_the_iterator_closes() -> None:
    engine = InlineEngine()
    with closing(run_job(engine, job_of(0, training={"epochs": 1_000_000}))) as events:
        assert isinstance(next(events), Started)
        assert engine.n_idle == 0
    assert engine.n_idle == 1


def test_the_outcome_of_a_job_is_returned() -> None:
    assert run_to_end(InlineEngine(), job_of(0)).state is State.COMPLETE
    failed = run_to_end(InlineEngine(), job_of(0, optimizer={"name": "sgd", "lr": 1e30}))
    assert failed.failure is not None
    assert failed.failure.kind is FailureKind.DIVERGED


def test_a_job_that_pauses_has_no_outcome(tmp_path: Path) -> None:
    pausing = change_job(job_of(0), until_epoch=1, checkpoints_path=str(tmp_path))
    with pytest.raises(RuntimeError, match="trial 0 stopped before its end"):
        run_to_end(InlineEngine(), pausing)
