"""The server and its workers load nothing from the working folder, and end with their coordinator."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tunecli.engine.fork_client import fork_worker, start_server
from tunecli.engine.worker_process import WorkerProcess

SPOILT = "import pathlib\npathlib.Path(__file__).with_name('ran.txt').open('a').write(__name__ + '\\n')\n"
# the packages that workers and the coordinator import, tunecli included
OTHERS = (
    "tunecli",
    "torch",
    "numpy",
    "yaml",
    "typer",
    "rich",
    "pydantic",
    "sklearn",
    "skopt",
    "scipy",
    "sitecustomize",
)
COMMAND = """\
study: spoilt
objective: {metric: val_loss}
trial: {command: [echo, '{{"val_loss": {x}}}'], params: {x: {uniform: [0, 1]}}}
search: {sampler: random, trials: 2}
run: {workers: 1}
"""
FUNCTION = COMMAND.replace("command: [echo, '{{\"val_loss\": {x}}}']", "python: 'mine:train'")
BUILT_IN = """\
study: spoilt
objective: {metric: val_loss}
trial: {data: {source: iris}, training: {epochs: 1}, optimizer: {name: sgd, lr: {uniform: [0.01, 0.1]}}}
search: {sampler: random, trials: 2}
run: {workers: 1, device: cpu}
"""
MINE = """\
import multiprocessing, queue, random, sys

def train(params, trial):
    with multiprocessing.get_context("fork").Pool(1) as workers:
        return workers.apply(float, (params["x"],))
"""


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A folder with a file for every module of Python and of tunecli, each of which notes its import."""
    for name in {*sys.stdlib_module_names, *OTHERS}:
        (tmp_path / f"{name}.py").write_text(SPOILT)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


SEARCH, RESUME, VERIFY = ["search", "s.yaml"], ["resume", "spoilt", "--trials", "3"], ["verify", "spoilt"]


@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        pytest.param(FUNCTION, [SEARCH, RESUME, VERIFY], id="function, all verbs"),
        pytest.param(BUILT_IN, [SEARCH], id="built-in"),
        pytest.param(COMMAND, [SEARCH, RESUME, VERIFY], id="command, all verbs", marks=pytest.mark.slow),
        pytest.param(BUILT_IN, [SEARCH, RESUME, VERIFY], id="built-in, all verbs", marks=pytest.mark.slow),
    ],
)
def test_no_file_of_the_working_folder_is_imported_as_a_module_of_python_or_tunecli(
    spoilt: Path, text: str, verbs: list[list[str]]
) -> None:
    (spoilt / "s.yaml").write_text(text)
    program = str(Path(sys.executable).with_name("tunecli"))
    for words in verbs:
        done = subprocess.run([program, *words], cwd=spoilt, capture_output=True, text=True)
        assert not (spoilt / "ran.txt").exists(), (spoilt / "ran.txt").read_text()
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("is_single_use", [True, False])
def test_a_worker_ends_with_its_pipe_and_has_exit_code_0(is_single_use: bool) -> None:
    start_server(1)
    pipe, process = fork_worker(is_single_use=is_single_use)
    assert process.is_alive()
    pipe.close()
    process.join(60.0)
    assert (process.is_alive(), process.exit_code) == (False, 0)
    process.close()


def test_a_killed_worker_has_the_signal_as_its_exit_code() -> None:
    start_server(1)
    pipe, process = fork_worker(is_single_use=True)
    process.kill()
    process.join(60.0)
    assert process.exit_code == -9
    pipe.close()
    process.close()


def test_a_killed_server_is_replaced(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from tunecli.engine.fork_client import fork_worker, server_id, start_server\n"
        "start_server(1, needs_torch=False)\n"
        "pipe, process = fork_worker(is_single_use=True)\n"
        "os.kill(server_id(), signal.SIGKILL)\n"
        "process.join(60.0)\n"
        "assert not process.is_alive() and process.exit_code is None\n"
        "pipe.close(); process.close()\n"
        "pipe, process = fork_worker(is_single_use=True)\n"
        "pipe.close(); process.join(60.0)\n"
        "assert process.exit_code == 0, process.exit_code\n"
        "process.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_worker_process_is_dead_after_its_server_ended() -> None:
    import socket

    ours, theirs = socket.socketpair()
    process = WorkerProcess(ours)
    assert process.is_alive()
    theirs.close()
    assert not process.is_alive()
    process.close()


def test_the_client_imports_no_other_package() -> None:
    """The server must start before anything that takes long to import."""
    code = (
        "import sys, tunecli.engine.fork_client\n"
        "heavy = {'pydantic', 'numpy', 'yaml', 'importlib.metadata', 'multiprocessing', 'ctypes'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
