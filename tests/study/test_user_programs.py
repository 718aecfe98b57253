"""User code may do anything that a program may do, and it ends alike under `train` and under `search`."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest

from tests.study.user_programs import PROGRAMS, TORCH
from tests.verbs import called

EXPECTED = {
    "arguments": 1.0,
    "beside": 2.5,
    "relative_file": 7.0,
    "pool": 14.0,
    "executor": 14.0,
    "executor_that_is_left_open": 14.0,
    "spawned": 14.0,
    "start_method": 14.0,
    "terminated": 15.0,
    "subprocess_terminated": 15.0,
    "subprocess_read": 3.0,
    "handler": 3.0,
    "alarm": 1.0,
    "main_thread": 1.0,
    "asyncio_run": 5.0,
    "asyncio_program": 0.0,
    "at_exit": 1.0,
    "thread_that_ends": 1.0,
    "daemon_thread": 1.0,
    "thread_that_reports": 4.0,
    "fork": 6.0,
    "fork_that_returns": 0.0,
    "fork_that_reports": 2.0,
    "fault_handler": 1.0,
    "warned": 1.0,
    "logged": 1.0,
    "changed_folder": 1.0,
    "folder_that_is_gone": 1.0,
    "no_daemon_is_it": 0.0,
    "leaves": "error: SystemExit: 3 (programs.py:214)",
    "interrupts": "error: KeyboardInterrupt (programs.py:218)",
    "leaves_at_once": "crash: the worker ended with exit code 7",
    "aborts": "crash: the worker was killed by SIGABRT",
    "killed": "crash: the worker was killed by SIGKILL",
    "raises": "error: ValueError: no luck (programs.py:234)",
    "too_big": "oom: MemoryError (programs.py:238)",
}
EXPECTED_OF_TORCH = {"loader": 28.0, "loader_that_stays": 28.0, "torch_spawn": 3.0}
TRAINED = (
    *("arguments", "pool", "start_method", "handler", "asyncio_run", "at_exit", "thread_that_ends"),
    *("fork_that_returns", "folder_that_is_gone", "leaves", "leaves_at_once", "killed", "too_big"),
)
"""Programs of each kind that the ordinary tests train too; the slow ones train all."""
STUDY = """\
study: programs
objective: {metric: val_loss}
trial: {python: "programs:train", params: {what: {choice: [WHAT]}}}
search: {sampler: grid}
run: {device: cpu, workers: 2, on_failure: {crash: skip}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "programs.py").write_text(PROGRAMS)
    (tmp_path / "sibling.py").write_text("VALUE = 2.5\n")
    (tmp_path / "number.txt").write_text("7.0")
    return tmp_path


@pytest.fixture
def tunecli(folder, capfd, monkeypatch):
    """Run a verb in this process and return its exit code, its stdout and its stderr."""
    return partial(called, capture=capfd, monkeypatch=monkeypatch)


def searched(tunecli, folder: Path, names) -> dict[str, float | str]:
    (folder / "s.yaml").write_text(STUDY.replace("WHAT", ", ".join(names)))
    code, out, err = tunecli("search", "s.yaml", "--json")
    assert code == 0, err
    return {
        trial["params.what"]: trial["val_loss"] if trial["status"] == "complete" else trial["failure"]
        for trial in json.loads(out)["trials"]
    }


def trained(tunecli, folder: Path, name: str) -> float | str:
    (folder / "t.yaml").write_text(STUDY.replace("{choice: [WHAT]}", name))
    code, out, err = tunecli("train", "t.yaml", "--json")
    if code == 0:
        return json.loads(out)["score"]
    assert code == 3, err
    message = json.loads(err.splitlines()[-1])["message"]
    return re.sub("^the trial failed: ", "", message)


@pytest.mark.parametrize(
    "names", [TRAINED, pytest.param(EXPECTED, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_each_program_ends_alike_under_search_and_under_train(tunecli, folder, names):
    assert searched(tunecli, folder, EXPECTED) == EXPECTED
    n_exits = len([*(folder / "exits").iterdir()])
    assert n_exits == 1, "atexit ran at the trial's end"
    assert (folder / "thread.txt").read_text() == "done"
    assert {name: trained(tunecli, folder, name) for name in names} == {
        name: EXPECTED[name] for name in names
    }
    assert len([*(folder / "exits").iterdir()]) == 2


@pytest.mark.parametrize(
    ("names", "trained_names"),
    [
        (["loader", "loader_that_stays"], ["loader"]),
        pytest.param(EXPECTED_OF_TORCH, EXPECTED_OF_TORCH, marks=pytest.mark.slow),
    ],
    ids=["some", "all"],
)
def test_each_program_with_torch_ends_alike_under_search_and_under_train(
    tunecli, folder, names, trained_names
):
    (folder / "programs.py").write_text(PROGRAMS + TORCH)
    assert searched(tunecli, folder, names) == {name: EXPECTED_OF_TORCH[name] for name in names}
    for name in trained_names:
        assert trained(tunecli, folder, name) == EXPECTED_OF_TORCH[name]


def test_verify_reproduces_each_program_bit_for_bit(tunecli, folder):
    names = ["pool", "handler", "fork_that_returns", "changed_folder"]
    searched(tunecli, folder, names)
    code, out, err = tunecli("verify", "programs", "--all", "--exact", "--json")
    assert code == 0, err
    assert [trial["verdict"] for trial in json.loads(out)["trials"]] == ["bit-identical"] * 4
