"""The output of a single-use worker reaches the trial's log, through a pipe to the fork server."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.jobs import make_job
from tunecli.engine.local import LocalEngine
from tunecli.engine.protocol import EngineOptions, run_to_end
from tunecli.engine.worker_output import WorkerOutput, print_to_log
from tunecli.errors import StoreFailed
from tunecli.messages import Job
from tunecli.objective import Objective
from tunecli.train.user_code.trial_log import LogFile
from tunecli.trial import FailureKind, Outcome

CODE = """
import os, signal, subprocess, sys, threading

def quiet(params, trial):
    return 1.0

def every_way(params, trial):
    print("printed")
    print("on stderr", file=sys.stderr)
    os.write(1, b"by descriptor\\n")
    subprocess.run(["echo", "by a child"])
    threading.Thread(target=print, args=("by a thread",)).start()
    return 1.0

def killed(params, trial):
    print("last words", end="", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

def token(params, trial):
    for part in params["token"][:7], params["token"][7:]:
        os.write(1, part.encode())
    return 1.0
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "printing.py").write_text(CODE)
    return tmp_path / "logs" / "trial-00004.log"


def job_of(path: Path, name: str, params: dict | None = None, **changes) -> Job:
    config = {"python": f"printing:{name}", "params": params or {}}
    files = {"base_path": str(path.parent.parent), "log_path": str(path), "log_limit_bytes": 10_000}
    return make_job(4, config, Objective("y", False), **{"device": "cpu", **files, **changes})


def outcome_of(job: Job) -> Outcome:
    return run_to_end(LocalEngine(EngineOptions(n_workers=1, threads=1, needs_torch=False)), job)


def test_everything_that_a_function_prints_is_logged(path):
    assert outcome_of(job_of(path, "every_way")).score == 1.0
    header, *lines = path.read_text().splitlines()
    assert header.startswith("--- attempt 1, begun ")
    assert sorted(lines) == ["by a child", "by a thread", "by descriptor", "on stderr", "printed"]


def test_function_that_prints_nothing_has_no_log(path):
    assert outcome_of(job_of(path, "quiet")).score == 1.0
    assert not path.parent.exists()


def test_output_of_a_killed_function_is_logged_before_its_end_is_reported(path):
    failure = outcome_of(job_of(path, "killed")).failure
    assert failure is not None
    assert failure.kind is FailureKind.CRASH
    assert path.read_text().endswith("\nlast words")


def test_secret_that_a_function_prints_in_two_parts_is_removed(path, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    assert outcome_of(job_of(path, "token", {"token": "${env:TOKEN}"})).score == 1.0
    assert path.read_text().endswith("\n${env:TOKEN}")


def test_log_that_cannot_be_written_ends_the_sweep_and_not_the_trial(path):
    path.mkdir(parents=True)
    with pytest.raises(StoreFailed, match=path.name):
        outcome_of(job_of(path, "every_way"))


def test_without_a_log_a_function_prints_on_stderr(path):
    script = (
        "from tests.engine.test_worker_output import job_of, outcome_of\n"
        "from pathlib import Path\n"
        f"outcome_of(job_of(Path({str(path)!r}), 'every_way', log_path=''))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == ""
    assert {"printed", "on stderr", "by a child"} <= set(done.stderr.splitlines())
    assert not path.parent.exists()


def test_the_log_is_named_before_the_first_byte_of_output(tmp_path):
    output, path = WorkerOutput(), tmp_path / "logs" / "x.log"
    os.write(output.log_name, json.dumps({"path": str(path), "limit_bytes": 5000}).encode())
    os.write(output.write_end, b"text\n")
    assert output.read()
    output.close_write_end()
    assert not output.read()
    assert output.finish() == 0
    assert path.read_text().endswith("\ntext\n")


def test_worker_that_printed_nothing_leaves_nothing():
    output = WorkerOutput()
    output.close_write_end()
    assert output.finish() == 0


def test_error_of_the_disk_is_kept_and_the_output_is_still_read(tmp_path):
    output = WorkerOutput()
    (tmp_path / "logs").write_text("a file in place of the folder")
    name = {"path": str(tmp_path / "logs" / "x.log"), "limit_bytes": 5000}
    os.write(output.log_name, json.dumps(name).encode())
    os.write(output.write_end, b"text\n")
    assert output.read()
    assert output.log_errno == errno.EEXIST
    for _ in range(20):  # more than the pipe holds
        os.write(output.write_end, b"x" * 65536)
        assert output.read()
    output.close_write_end()
    assert output.finish() == errno.EEXIST


def test_log_without_a_limit_leaves_the_process_as_it_is():
    output = WorkerOutput()
    print_to_log(output, LogFile("", 0))
    for descriptor in (output.write_end, output.log_name):
        with pytest.raises(OSError):
            os.fstat(descriptor)
    assert not output.read()
    output.close_read_end()
