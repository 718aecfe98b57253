"""Contract tests of the engine protocol: each job has exactly one end, even if its worker dies.

`EngineContract` runs on every engine of the registry; the other tests are for engines that run jobs in other processes.
"""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import ExitStack

import psutil
import pytest

from tests.support.jobs import change_job, make_job
from tunecli.engine import engine_named
from tunecli.engine.protocol import Engine, EngineOptions
from tunecli.messages import Ended, Started
from tunecli.objective import Objective
from tunecli.registry.engines import ENGINES
from tunecli.testing import EngineContract
from tunecli.testing.engines import drain, job_of
from tunecli.trial import FailureKind, State


@pytest.fixture(
    params=[name for name, info in ENGINES.items() if not (info.runs_in_this_process or info.runs_elsewhere)]
)
def make_engine(request):
    """Makes an engine with worker processes, which is closed at the end of the test."""
    with ExitStack() as exit_stack:

        def make(n_workers: int = 1) -> Engine:
            made = engine_named(request.param, EngineOptions(n_workers, 1))
            exit_stack.callback(made.close)
            return made

        yield make


for _name, _info in ENGINES.items():
    if _info.runs_elsewhere:  # tests of its own run the contract, where its package is installed
        continue
    globals()[f"Test{_name.title()}"] = type(f"Test{_name.title()}", (EngineContract,), {"engine": _info})


class TestWorkerProcesses:
    def test_a_killed_worker_fails_only_its_own_trial(self, make_engine):
        engine = make_engine(2)
        engine.submit(job_of(0, training={"epochs": 1_000_000}))
        engine.submit(job_of(1))
        ends: dict = {}
        while len(ends) < 2:
            for event in engine.events(5.0):
                if isinstance(event, Started) and event.number == 0:
                    os.kill(event.process_id, signal.SIGKILL)
                if isinstance(event, Ended):
                    ends[event.number] = event.outcome
        assert ends[0].failure.kind is FailureKind.CRASH
        assert "SIGKILL" in ends[0].failure.cause
        assert ends[1].state is State.COMPLETE
        engine.submit(job_of(2))
        assert drain(engine)[-1].outcome.state is State.COMPLETE

    def test_a_worker_that_dies_between_two_jobs_is_replaced(self, make_engine):
        engine = make_engine()
        engine.submit(job_of(0))
        process_id = next(event.process_id for event in drain(engine) if isinstance(event, Started))
        worker = psutil.Process(process_id)
        worker.kill()
        psutil.wait_procs([worker], timeout=10)
        engine.submit(job_of(1))
        end = drain(engine)[-1].outcome
        assert end.state is State.COMPLETE or end.failure.kind is FailureKind.CRASH

    def test_a_full_engine_rejects_another_job(self, make_engine):
        engine = make_engine()
        engine.submit(job_of(0, training={"epochs": 1_000_000}))
        with pytest.raises(RuntimeError, match="all 1 workers have a job"):
            engine.submit(job_of(1))

    def test_workers_end_when_their_parent_is_killed(self, tmp_path):
        script = tmp_path / "parent.py"
        script.write_text(
            textwrap.dedent("""
            from tunecli.testing.engines import job_of
            from tunecli.engine import engine_named
            from tunecli.engine.protocol import EngineOptions
            from tunecli.messages import Started
            if __name__ == "__main__":
                engine = engine_named("local", EngineOptions(1, 1))
                engine.submit(job_of(0, training={"epochs": 1_000_000}))
                while True:
                    for event in engine.events(5.0):
                        if isinstance(event, Started):
                            print(event.process_id, flush=True)
            """)
        )
        with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            worker = psutil.Process(int(parent.stdout.readline()))
            parent.kill()
            _, alive = psutil.wait_procs([worker], timeout=10)
            assert alive == []


def test_a_hanging_worker_is_killed_and_the_next_job_runs(make_engine, tmp_path):
    (tmp_path / "hanging.py").write_text(
        "import threading\n\ndef train(params, trial):\n    threading.Event().wait()\n"
    )
    hanging = make_job(
        0,
        {"python": "hanging:train"},
        Objective("val_loss", False),
        1,
        2,
        base_path=str(tmp_path),
        idle_s=0.3,
    )
    engine = make_engine()
    engine.submit(hanging)
    *_, ended = drain(engine)
    assert ended.outcome.failure.kind is FailureKind.TIMEOUT
    assert "run.trial_limit.idle" in ended.outcome.failure.cause
    engine.submit(job_of(1))
    assert drain(engine)[-1].outcome.state is State.COMPLETE


class TestLostDevices:
    def test_a_worker_that_lost_its_device_is_replaced(self, make_engine, tmp_path):
        """A process that lost its device cannot use it again, but another process can."""
        (tmp_path / "losing.py").write_text(LOSING)
        config = {"python": "losing:train", "params": {"flag": str(tmp_path / "lost before")}}
        losing = make_job(
            0, config, Objective("val_loss", False), 1, 2, device="cpu", base_path=str(tmp_path)
        )
        engine = make_engine()
        engine.submit(losing)
        first = drain(engine)
        assert first[-1].outcome.failure.kind is FailureKind.LOST
        engine.submit(change_job(losing, attempt=2))
        second = drain(engine)
        assert second[-1].outcome.state is State.COMPLETE
        assert second[0].process_id != first[0].process_id

    def test_a_repeatedly_lost_device_is_set_aside(self, make_engine, tmp_path):
        (tmp_path / "losing.py").write_text(LOSING)
        always = make_job(0, {"python": "losing:always"}, Objective("val_loss", False), 1, 2, device="cpu")
        always = change_job(always, base_path=str(tmp_path))
        engine = make_engine()
        for attempt in (1, 2, 3):
            engine.submit(change_job(always, attempt=attempt))
            assert drain(engine)[-1].outcome.failure.kind is FailureKind.LOST
        engine.submit(change_job(job_of(1), device="cpu"))
        failure = drain(engine)[-1].outcome.failure
        assert failure is not None
        assert "cpu" in failure.cause


LOSING = """
import pathlib, torch

def train(params, trial):
    flag = pathlib.Path(params["flag"])
    if not flag.exists():
        flag.touch()
        raise RuntimeError("CUDA error: unspecified launch failure")
    trial.report(1, val_loss=1.0)

def always(params, trial):
    raise RuntimeError("CUDA error: an illegal memory access was encountered")
"""


def test_a_trial_past_its_time_limit_can_stop_before_its_worker_is_killed(make_engine, tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\n\ndef train(params, trial):\n    try:\n"
        "        for epoch in range(10**6):\n            time.sleep(0.01)\n            trial.report(epoch, val_loss=1.0)\n"
        "    finally:\n        open(params['mark'], 'w').close()\n"
    )
    config = {"python": "slow:train", "params": {"mark": str(tmp_path / "mark")}}
    slow = make_job(0, config, Objective("val_loss", False), 1, 2, base_path=str(tmp_path), time_s=0.2)
    engine = make_engine()
    engine.submit(slow)
    assert drain(engine)[-1].outcome.failure.kind is FailureKind.TIMEOUT
    assert (tmp_path / "mark").exists(), "the trial stopped by itself"
    engine.submit(job_of(1))
    assert drain(engine)[-1].outcome.state is State.COMPLETE


def test_a_worker_survives_a_timeout_that_its_trial_obeyed(make_engine):
    engine = make_engine()
    engine.submit(change_job(job_of(0, training={"epochs": 1_000_000}), time_s=0.2))
    first = drain(engine)
    assert first[-1].outcome.failure.kind is FailureKind.TIMEOUT
    engine.submit(job_of(1))
    assert drain(engine)[0].process_id == first[0].process_id


def test_a_frozen_worker_is_killed(make_engine, tmp_path):
    frozen = change_job(job_of(0, training={"epochs": 1_000_000}), idle_s=0.5)
    engine = make_engine()
    engine.submit(frozen)
    events: list = []
    while not any(isinstance(event, Ended) for event in events):
        for event in engine.events(1.0):
            if isinstance(event, Started):
                os.kill(event.process_id, signal.SIGSTOP)
            events.append(event)
    assert events[-1].outcome.failure.kind is FailureKind.TIMEOUT
