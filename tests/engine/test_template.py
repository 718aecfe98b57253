"""Workers are forked from a process that has loaded the user's modules, unless loading them has effects outside it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.jobs import make_job
from tunecli.config.python_source import sha256_of
from tunecli.engine import fork_client, template
from tunecli.engine.fork_client import Template, fork_worker, start_server, template_for
from tunecli.engine.local import LocalEngine
from tunecli.engine.protocol import EngineOptions, run_job
from tunecli.messages import Ended
from tunecli.objective import Objective

pytestmark = pytest.mark.skipif(not template.IS_POSSIBLE, reason="only Linux shows what a process shares")

FUNCTION = """
import os

SEEN = []

def train(params, trial):
    SEEN.append(1)
    return {"loss": 1.0, "seen": len(SEEN), "loader": LOADER, "process": os.getpid()}

LOADER = os.getpid()
"""


def outcomes(folder: Path, module: str, n: int = 3) -> list:
    """The outcomes of trials of ``mine:train``, run one after the other, with the module's source."""
    (folder / "mine.py").write_text(module)
    found = []
    for number in range(n):
        job = make_job(
            number, {"python": "mine:train"}, Objective("loss", maximize=False), base_path=str(folder)
        )
        engine = LocalEngine(EngineOptions(1, 1, needs_torch=False))
        found += [event.outcome for event in run_job(engine, job) if isinstance(event, Ended)]
    return found


def n_loads(folder: Path, module: str) -> int:
    """How many processes load the module for three trials."""
    metrics = [outcome.metrics for outcome in outcomes(folder, module)]
    assert [one["seen"] for one in metrics] == [1.0, 1.0, 1.0]
    assert len({one["process"] for one in metrics}) == 3
    return len({one["loader"] for one in metrics})


def test_trials_share_one_load_of_their_modules_and_see_no_state_of_each_other(tmp_path):
    assert n_loads(tmp_path, FUNCTION) == 1


def test_trials_of_a_later_study_see_modules_that_were_edited_meanwhile(tmp_path):
    def loss(value: float) -> float:
        module = tmp_path / "mine.py"
        module.write_text(f"def train(params, trial):\n    return {value}\n")
        job = make_job(
            0, {"python": "mine:train"}, Objective("loss", maximize=False), base_path=str(tmp_path)
        )
        job = replace(job, task=replace(job.task, code={"mine.py": sha256_of(module)}))
        engine = LocalEngine(EngineOptions(1, 1, needs_torch=False))
        (ended,) = [event for event in run_job(engine, job) if isinstance(event, Ended)]
        return ended.outcome.score

    assert [loss(1.0), loss(2.0)] == [1.0, 2.0]


@pytest.mark.parametrize(
    "effect",
    [
        "open(__file__ + '.log', 'w').close()",
        "kept = open(__file__)",
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import tempfile; folder = tempfile.mkdtemp()",
        "import signal; signal.signal(signal.SIGUSR1, lambda *_: None)",
        "import subprocess; subprocess.run(['true'])",
        "import multiprocessing; lock = multiprocessing.get_context('fork').Lock()",
        "import mmap; shared = mmap.mmap(-1, 4096)",
        "import socket; pair = socket.socketpair()",
        "import sqlite3; base = sqlite3.connect(':memory:')",
        "if os.fork() == 0: os._exit(0)",
    ],
)
def test_modules_whose_load_has_effects_are_loaded_by_each_trial(tmp_path, effect):
    assert n_loads(tmp_path, f"import os\n{effect}\n{FUNCTION}") == 3


def test_reading_a_file_and_using_random_numbers_is_no_effect(tmp_path):
    harmless = "import json, random, numpy\nwith open(__file__) as file: text = file.read()\nx = numpy.random.rand()\n"
    assert n_loads(tmp_path, harmless + FUNCTION) == 1


def test_a_trial_meets_the_error_of_the_import_itself(tmp_path):
    (outcome,) = outcomes(tmp_path, "raise ValueError('no data')", 1)
    assert outcome.failure.cause.startswith("ValueError: no data")
    assert "mine.py" in outcome.failure.traceback


def test_a_module_that_ends_the_process_fails_only_its_trials(tmp_path):
    (outcome,) = outcomes(tmp_path, "import os\nos._exit(7)", 1)
    assert "exit code 7" in outcome.failure.cause


def test_the_output_of_the_import_is_kept_and_repeated(monkeypatch, capfd):
    monkeypatch.setattr(template, "_output", [])
    with template._captured_output():
        os.write(1, b"by this process\n")
        os.system("echo by a program >&2")
    assert capfd.readouterr() == ("", "")
    template.replay_output()
    assert set(capfd.readouterr().out.split("\n")) == {"by this process", "by a program", ""}


def test_an_order_is_read_to_its_last_byte_and_no_further():
    ours, theirs = socket.socketpair()
    order = template.LoadOrder(("mine",), "/somewhere", ("mine.py",), "/", {"A": "ü"}, "0")
    template.send_order(ours, order.packed())
    ours.sendall(b"x")
    taken = template.take_order(theirs)
    assert (list(taken.modules), taken.environment, taken.visible) == (["mine"], {"A": "ü"}, "0")
    assert theirs.recv(10) == b"x"
    ours.close()
    with theirs, pytest.raises(EOFError):
        template.take_order(theirs)


def test_one_order_has_one_template_and_the_least_used_one_retires(tmp_path, monkeypatch):
    monkeypatch.setattr(fork_client, "_MOST_TEMPLATES", 2)
    start_server(1, needs_torch=False)
    a, b, c = (template.LoadOrder((name,), str(tmp_path)).packed() for name in "abc")
    first, second = template_for(a), template_for(b)
    assert template_for(a) is first
    template_for(c)
    assert template_for(a) is first
    assert template_for(b) is not second


def test_retired_templates_that_have_ended_are_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(fork_client, "_MOST_TEMPLATES", 1)
    start_server(1, needs_torch=False)
    for number in range(4):
        name = f"missing_{number}"
        template_for(template.LoadOrder((name,), str(tmp_path)).packed())._process.join(60.0)
    assert len(fork_client._retired) <= 1


def test_a_template_that_loads_for_too_long_is_ended(tmp_path):
    start_server(1, needs_torch=False)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    slow = Template(template.LoadOrder(("slow",), str(tmp_path)).packed())
    assert slow.is_alive(60.0)
    assert not slow.is_alive(-1.0)
    slow.close()


def test_a_worker_that_is_not_forked_yet_is_not_waited_for(tmp_path):
    start_server(1, needs_torch=False)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    slow = Template(template.LoadOrder(("slow",), str(tmp_path)).packed())
    pipe, process = fork_worker(is_single_use=True, template=slow)
    assert process.is_alive()
    process.end(600.0)
    assert (process.is_alive(), process.has_begun) == (False, False)
    pipe.close()
    slow.close()


def test_the_client_knows_no_template_without_a_server():
    code = "import sys, tunecli.engine.fork_client; assert 'tunecli.engine.template' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
