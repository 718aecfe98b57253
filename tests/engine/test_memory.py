"""The memory of a trial is measured with its children; a trial above its limit ends as `oom`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.jobs import change_job, make_job
from tunecli.engine.local import LocalEngine
from tunecli.engine.memory import MemoryLimit, exceeded, used_by
from tunecli.engine.protocol import EngineOptions, run_to_end
from tunecli.objective import Objective
from tunecli.trial import FailureKind, State

MIB = 2**20
MINE = """\
import atexit, subprocess, sys, time

HOLD = "held = bytearray(400 * 2**20); import time; print(1, flush=True); time.sleep(600)"

def own(params, trial):
    held = bytearray(params["mib"] * 2**20)
    time.sleep(600 if params["mib"] > 100 else 0)
    return {"loss": 1.0}

def late(params, trial):
    atexit.register(own, {"mib": 400}, trial)
    trial.report(1, loss=3.0)
    return {"loss": 1.0}

def child(params, trial):
    subprocess.run([sys.executable, "-c", HOLD])
"""
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the memory of a process")


def job(code: str, mib: int = 0, number: int = 0, **changes):
    config = {"python": f"mine:{code}", "params": {"mib": mib}}
    return make_job(number, config, Objective("loss", maximize=False), **changes)


@pytest.fixture
def outcome_of(tmp_path: Path):
    (tmp_path / "mine.py").write_text(MINE)

    def run(one):
        engine = LocalEngine(EngineOptions(1, 1, needs_torch=False))
        return run_to_end(engine, change_job(one, base_path=str(tmp_path), memory_bytes=200 * MIB))

    return run


@ON_LINUX
@pytest.mark.parametrize("is_isolated", [True, False])
def test_a_function_that_uses_too_much_memory_ends_as_oom(outcome_of, is_isolated):
    outcome = outcome_of(job("own", 400, is_isolated=is_isolated))
    assert outcome.failure.kind is FailureKind.OOM
    assert "more than run.trial_limit.memory, 200.0 MiB" in outcome.failure.cause


@ON_LINUX
def test_the_memory_of_a_child_process_counts(outcome_of):
    assert outcome_of(job("child")).failure.kind is FailureKind.OOM


@ON_LINUX
def test_the_memory_of_a_command_counts(tmp_path):
    config = {"command": [sys.executable, "-c", MINE.splitlines()[2].partition('"')[2].rstrip('"')]}
    one = make_job(0, config, Objective("loss", maximize=False), base_path=str(tmp_path))
    engine = LocalEngine(EngineOptions(1, 1, needs_torch=False))
    assert run_to_end(engine, change_job(one, memory_bytes=200 * MIB)).failure.kind is FailureKind.OOM


@ON_LINUX
def test_a_function_within_its_limit_is_complete(outcome_of):
    assert outcome_of(job("own", 10)).state is State.COMPLETE


@ON_LINUX
def test_memory_that_a_trial_uses_after_its_end_does_not_change_its_result(outcome_of):
    outcome = outcome_of(job("late"))
    assert (outcome.state, outcome.score) == (State.COMPLETE, 1.0)


@ON_LINUX
def test_pages_that_processes_share_count_once():
    held = bytearray(100 * MIB)
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as other:
        alone = used_by([os.getpid()], 0)
        both = used_by([os.getpid(), other.pid], 0)
        other.stdin.close()
    assert 100 * MIB < alone < both + MIB
    assert len(held) == 100 * MIB


def test_a_process_that_has_ended_uses_nothing(tmp_path: Path):
    assert used_by([1], 0, proc=tmp_path) == 0


def test_jobs_that_are_trained_together_share_the_sum_of_their_limits():
    jobs = [job("own", number=number, memory_bytes=MIB) for number in range(3)]
    assert MemoryLimit(jobs).limit_bytes == 3 * MIB
    assert MemoryLimit([job("own")]).limit_bytes == 0


def test_the_memory_is_looked_at_a_few_times_a_second():
    now = [0.0]
    watched = MemoryLimit([job("own", memory_bytes=1)], clock=lambda: now[0])
    seen = []
    for now[0] in (0.0, 0.05, 0.2):
        seen.append(watched.excess(os.getpid()) > 1)
    assert seen == [sys.platform == "linux", False, sys.platform == "linux"]


def test_the_failure_names_both_sizes():
    end = exceeded(job("own", memory_bytes=8 * 2**30), 9 * 2**30, 1.5, "cpu")
    cause = "it used 9.0 GiB of memory, more than run.trial_limit.memory, 8.0 GiB"
    assert (end.outcome.failure.cause, end.outcome.seconds, end.outcome.device) == (cause, 1.5, "cpu")
