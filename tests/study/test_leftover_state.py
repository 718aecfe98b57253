"""No process state outlives a trial of user code: each kind of state is tested in each kind of user code."""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.study.leftover_state import LEFT
from tests.support.forked import started_verb
from tests.verbs import called
from tunecli.train.user_code import code as user_code

IRIS = "data: {source: iris}, training: {epochs: 1}, optimizer: {name: sgd, lr: {uniform: [0.01, 0.1]}}"
KINDS = {
    "function": ("val_loss", "python: 'left:train', params: {x: {uniform: [0, 1]}}"),
    "model": ("val_loss", f"model: {{python: 'left:Net'}}, {IRIS}"),
    "loss": ("val_loss", f"loss: {{python: 'left:Loss'}}, {IRIS}"),
    "optimizer": (
        "val_loss",
        f"{IRIS.partition(' optimizer')[0]} optimizer: {{python: 'left:Step', args: {{lr: {{uniform: [0.01, 0.1]}}}}}}",
    ),
    "data": ("val_loss", IRIS.replace("iris", "{python: 'left:data'}")),
    "metric": ("{python: 'left:score'}, direction: maximize", IRIS),
}
STUDY = """\
study: left
seed: 5
objective: {metric: METRIC}
trial: {TRIAL}
search: {sampler: random, trials: 4, lookahead: 2}
run: {device: cpu, engine: local, workers: 1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "left.py").write_text(LEFT)
    (tmp_path / "alone").touch()
    return tmp_path


@pytest.fixture
def tunecli(folder, capfd, monkeypatch):
    """Run a verb in this process and return its exit code, its stdout and its stderr."""
    return partial(called, capture=capfd, monkeypatch=monkeypatch)


def write(folder: Path, kind: str) -> None:
    metric, trial = KINDS[kind]
    (folder / "s.yaml").write_text(STUDY.replace("METRIC", metric).replace("TRIAL", trial))


def table(done: tuple[int, str, str]) -> list[dict]:
    code, out, err = done
    assert code == 0, err
    trials = json.loads(out)["trials"]
    assert [trial["failure"] for trial in trials] == [None] * len(trials)
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in trials]


def living_children(folder: Path) -> list[int]:
    numbers = [int(line) for line in (folder / "children.txt").read_text().split()]
    assert numbers
    living = [process for process in map(_process, numbers) if process is not None]
    return [process.pid for process in psutil.wait_procs(living, timeout=2)[1]]


def _process(number: int) -> psutil.Process | None:
    try:
        return psutil.Process(number)
    except psutil.NoSuchProcess:
        return None


@pytest.mark.parametrize(
    "kind",
    [kind if kind in ("function", "model") else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def test_no_trial_sees_the_state_that_another_trial_left(tunecli, folder, kind):
    write(folder, kind)
    one = table(tunecli("search", "s.yaml", "--json"))
    (folder / "alone").unlink()
    assert table(tunecli("search", "s.yaml", "--workers", "2", "--out", "two", "--json")) == one
    assert living_children(folder) == []


def test_a_study_that_is_killed_and_resumed_has_the_same_table_and_leaves_no_child(tunecli, folder):
    write(folder, "function")
    whole = table(tunecli("search", "s.yaml", "--out", "whole", "--json"))
    (folder / "children.txt").unlink()
    hung = LEFT.replace("    leave()\n    return", "    leave()\n    hold(trial)\n    return") + HOLD
    (folder / "left.py").write_text(hung)
    os.mkfifo(folder / "ready")
    with started_verb("search", "s.yaml", "--out", "cut", cwd=folder) as search:
        worker = psutil.Process(int((folder / "ready").read_text()))
        search.send_signal(signal.SIGKILL)
        assert psutil.wait_procs([worker], timeout=10)[1] == []
    assert living_children(folder) == []
    (folder / "ready").unlink()
    assert table(tunecli("resume", "cut", "--json")) == whole


HOLD = """

def hold(trial):
    if trial.number == 2 and (HERE / "ready").exists():
        (HERE / "ready").write_text(str(os.getpid()))
        threading.Event().wait()
"""


@pytest.mark.parametrize("kind", ["function", "model", "loss", "optimizer", "metric"])
def test_process_state_is_restored_after_each_trial_of_the_inline_engine(tunecli, folder, kind):
    write(folder, kind)
    shared = (folder / "left.py").read_text()
    for name in SHARED:
        shared += f"\nSTATE.pop({name!r})\n"
    (folder / "left.py").write_text(shared)
    user_code.forget()  # modules that another test of this process imported
    before = dict(os.environ), Path.cwd(), list(sys.path)
    table(tunecli("search", "s.yaml", "--set", "run={engine: inline, device: cpu}", "--json"))
    assert (dict(os.environ), Path.cwd(), list(sys.path)) == before


SHARED = [
    *("modules", "monkeypatch", "builtins", "decimals", "random", "numpy's errors", "torch's flags", "limit"),
    *("torch's anomalies", "open file", "fault handler", "thread", "start method"),
    *("child", "child of another session", "forked child", "daemon"),
]
"""State that tunecli does not restore, or that belongs to one thread."""
