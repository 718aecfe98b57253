"""The fork server starts early with settings guessed from the file; the engine keeps it only if the guess was right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys
from tunecli.engine.fork_client import server_id
from tunecli.engine import engine_named
from tunecli.engine.protocol import EngineOptions
from tunecli.study.prefork import head_start

def pid():
    return server_id()

def is_alive(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True

before = dict(os.environ)
threads, needs_torch = int(sys.argv[1]), sys.argv[2] == "True"
with head_start(sys.argv[3:]):
    guessed = pid()
    took = None
    if threads:
        engine_named("local", EngineOptions(1, threads, needs_torch=needs_torch)).close()
        took = pid()
assert dict(os.environ) == before
print("none" if guessed is None else "kept" if took == guessed and is_alive(guessed) else
      "another" if took is not None and not is_alive(guessed) else "ended" if not is_alive(guessed) else "left")
"""


def server_fate(folder: Path, threads: int, *words: str, needs_torch: bool = True) -> str:
    """The fate of the early server after an engine with ``threads`` threads was made; 0: no engine was made."""
    command = [sys.executable, "-c", CODE, str(threads), str(needs_torch), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


TRIAL = "trial: {command: [echo, '1']}\n"  # its server loads no torch


@pytest.mark.parametrize(
    ("text", "words", "threads", "expected"),
    [
        ("study: s", ["search", "s.yaml"], 1, "kept"),
        ("run: {threads: 2}", ["search", "--workers", "2", "s.yaml"], 2, "kept"),
        ("study: s", ["search", "s.yaml", "--set", "run.threads=3"], 3, "kept"),
        ("# threads: 2 were too many", ["search", "s.yaml"], 1, "another"),
        ("not: [a study", ["search", "s.yaml"], 0, "ended"),
        ("run: {engine: inline}", ["search", "s.yaml"], 0, "none"),
        ("run: {engine: ray}", ["search", "s.yaml"], 0, "none"),
        ("run: {engine: ray}", ["search", "s.yaml", "--engine", "local"], 1, "kept"),
        ("study: s", ["search", "s.yaml", "--engine=ray"], 0, "none"),
        ("study: inline", ["search", "s.yaml"], 1, "kept"),
        ("study: s", ["search", "s.yaml", "--dry-run"], 0, "none"),
        ("study: s", ["search", "other.yaml"], 0, "none"),
        ("study: s", ["check", "s.yaml"], 0, "none"),
    ],
)
def test_the_early_fork_server_is_kept_if_its_guess_was_right(
    tmp_path: Path, text: str, words: list[str], threads: int, expected: str
) -> None:
    (tmp_path / "s.yaml").write_text(TRIAL + text)
    assert server_fate(tmp_path, threads, *words, needs_torch=False) == expected


@pytest.mark.parametrize("run", ["runs/s", "s"])
def test_a_run_that_is_resumed_is_found_by_its_folder_and_by_its_name(tmp_path: Path, run: str) -> None:
    (tmp_path / "runs" / "s").mkdir(parents=True)
    (tmp_path / "runs" / "s" / "config.yaml").write_text(TRIAL)
    assert server_fate(tmp_path, 1, "resume", run, needs_torch=False) == "kept"


OWN = "trial: {python: 'mine:train', params: {x: {uniform: [0, 1]}}}\nrun: {device: cpu}"


@pytest.mark.parametrize(
    ("source", "text", "words", "needs_torch", "expected"),
    [
        ("import random", OWN, [], False, "kept"),
        ("import random", OWN, [], True, "another"),
        ("import torch", OWN, [], True, "kept"),
        ("import torch", OWN, [], False, "another"),
        pytest.param("import helper", OWN, [], True, "kept", marks=pytest.mark.slow),
        ("import random", OWN, ["--device", "cuda"], True, "kept"),
        pytest.param(
            "import random", OWN, ["--set", "run.device=cuda:1"], True, "kept", marks=pytest.mark.slow
        ),
        pytest.param(
            "import random", OWN.replace("mine", "installed"), [], True, "kept", marks=pytest.mark.slow
        ),
        ("import random", TRIAL, [], False, "kept"),
        ("import random", "# a command would do", [], True, "another"),
        pytest.param("import random", "study: s", [], True, "kept", marks=pytest.mark.slow),
        pytest.param(
            "import random",
            "trial: {data: {source: {python: 'mine:make'}}}",
            [],
            True,
            "kept",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_fork_server_loads_torch_early_if_the_trials_need_it(
    tmp_path: Path, source: str, text: str, words: list[str], needs_torch: bool, expected: str
) -> None:
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "helper.py").write_text("def late():\n    import torch\n")
    (tmp_path / "s.yaml").write_text(text)
    assert server_fate(tmp_path, 1, "search", "s.yaml", *words, needs_torch=needs_torch) == expected


def test_resume_finds_the_users_module_and_loads_no_unneeded_torch(tmp_path: Path) -> None:
    (tmp_path / "runs" / "s").mkdir(parents=True)
    (tmp_path / "runs" / "s" / "config.yaml").write_text(OWN)
    (tmp_path / "mine.py").write_text("import random")
    assert server_fate(tmp_path, 1, "resume", "s", needs_torch=False) == "kept"
