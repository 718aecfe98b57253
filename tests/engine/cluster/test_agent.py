"""An agent that is called as a transport calls it."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import change_job, make_job
from tunecli.engine.cluster.agent import Agent
from tunecli.engine.cluster.node_files import LOG_S
from tunecli.engine.cluster.protocol import AgentSetup, SentFile
from tunecli.engine.cluster.storage import InMessages
from tunecli.engine.cluster.wire import Kind, Order, Role, SentAlong, pack_order, pack_poll, unpack_batch
from tunecli.messages import Ended, Event, Job
from tunecli.objective import Objective
from tunecli.train.machine import Accelerator
from tunecli.trial import State

_FUNCTION = b"""\
def train(params, trial):
    print("in training")
    trial.report(1, val_loss=1.0)
"""
_FILE = SentFile("own.py", hashlib.sha256(_FUNCTION).hexdigest(), len(_FUNCTION))


@contextmanager
def agent_of(
    n_slots: int = 1, orphan_s: float = 60.0, **changes: Any
) -> Iterator[tuple[Agent, threading.Event]]:
    """An agent that does not see the run folder, and what it sets when it has ended itself."""
    orphaned = threading.Event()
    setup = AgentSetup(
        "study", "session", n_slots, needs_torch=False, files=(_FILE,), orphan_s=orphan_s, **changes
    )
    agent = Agent(setup, (_FUNCTION,), on_orphaned=orphaned.set)
    try:
        yield agent, orphaned
    finally:
        agent.close()


def job_of(number: int, device: str = "cpu") -> Job:
    """A job of an own function."""
    config = {"python": "own:train", "params": {}}
    objective = Objective("val_loss", False)
    return make_job(number, config, objective, device=device, is_isolated=False)


def events_of(agent: Agent, n_ends: int, wait_s: float) -> list[Event]:
    """The events until so many trials have ended."""
    found: list[Event] = []
    until_s, last = time.monotonic() + wait_s, 0
    while sum(isinstance(event, Ended) for event in found) < n_ends:
        assert time.monotonic() < until_s, f"only {found} came in {wait_s} s"
        batch = unpack_batch(agent.call("poll", pack_poll(last, 0.5))[0])
        last = max(last, batch.number)
        found += [item.event for item in batch.items if isinstance(item.event, Event)]
    return found


def test_jobs_that_wait_for_an_accelerator_begin_when_it_is_free() -> None:
    with agent_of(n_slots=2) as (agent, _):
        agent._engine._accelerators_of = lambda device: (Accelerator("cuda:0", "cpu"),)
        for number in (1, 2):
            agent.call("order", pack_order(Order(number, Kind.SUBMIT, [job_of(number, "cuda")])))
        ends = [event for event in events_of(agent, 2, 20.0) if isinstance(event, Ended)]
        assert all(end.outcome.state is State.COMPLETE for end in ends)


def test_an_error_of_the_agents_own_code_stays_until_the_coordinator_has_met_it() -> None:
    with agent_of() as (agent, orphaned):
        along = [SentAlong(Role.LOG, 1, "", "")]  # of which the content is missing
        agent.call("order", pack_order(Order(1, Kind.SUBMIT, [job_of(1)], files=along)))
        for _ in range(2):
            with pytest.raises(ValueError, match="zip"):
                agent.call("poll", pack_poll(0, 20.0))
        agent._thread.join(0.2)
        assert agent._thread.is_alive()
        assert not orphaned.is_set()


def test_a_slow_start_does_not_count_as_time_without_a_call(tmp_path: Path) -> None:
    probe, orphan_s = tmp_path / "probe", 2.0
    os.mkfifo(probe)  # it has no content until somebody writes to it, as a slow file system
    threading.Timer(1.2 * orphan_s, probe.write_text, ["another text"]).start()
    with agent_of(orphan_s=orphan_s, probe_path=str(probe), probe_text="text") as (_, orphaned):
        assert not orphaned.wait(orphan_s / 4)


class _SlowChannel(InMessages):
    """Holds every upload of the sender's threads until `go_on` is set."""

    def __init__(self) -> None:
        self.has_begun, self.go_on = threading.Event(), threading.Event()

    def put(self, content: bytes) -> bytes:
        if threading.current_thread().name.startswith("tunecli-upload"):
            self.has_begun.set()
            assert self.go_on.wait(20.0)
        return content


def test_no_log_follows_an_end_that_a_slow_upload_delays(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    channel, job = _SlowChannel(), change_job(job_of(1), log_path="log", log_limit_bytes=10_000)
    with agent_of(storage=str(tmp_path / "storage"), storage_prefix="study/session") as (agent, _):
        agent._files._channel = channel
        agent.call("order", pack_order(Order(1, Kind.SUBMIT, [job])))
        assert channel.has_begun.wait(20.0)
        (log,) = agent.spool.rglob("log.txt")
        with log.open("a") as file:  # as a process does that the trial left behind
            file.write("after the end")
        late = agent._files.changed_logs(time.monotonic() + LOG_S)
        channel.go_on.set()
        assert late == []
        (end,) = [event for event in events_of(agent, 1, 20.0) if isinstance(event, Ended)]
        assert end.outcome.state is State.COMPLETE
